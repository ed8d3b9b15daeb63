import ApusConfig
import Foundation
import Testing

/// Texts are promtool's.
@Suite("Web configuration") struct WebConfigTests {
    private static let certificate = "-----BEGIN CERTIFICATE-----\\n-----END CERTIFICATE-----"
    private static let key = "-----BEGIN PRIVATE KEY-----\\n-----END PRIVATE KEY-----"
    private static let hash = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"

    private func problem(_ yaml: String) -> String? {
        do throws(ConfigError) {
            _ = try WebConfig.parse(yaml: yaml, fileName: "w.yml")
            return nil
        } catch { return error.messageWithoutFile }
    }

    @Test func valid() throws {
        #expect(problem("") == nil && problem("tls_server_config: {}") == nil)
        let web = try WebConfig.parse(
            yaml: """
                tls_server_config: {cert: "\(Self.certificate)", key: "\(Self.key)", client_auth_type: RequireAnyClientCert, min_version: TLS13}
                http_server_config: {http2: false, headers: {X-Frame-Options: deny}}
                basic_auth_users: {alice: "\(Self.hash)"}
                """, fileName: "w.yml")
        #expect(web.tls?.clientAuth == .requireAny && web.tls?.minVersion == .tls13 && !web.enableHTTP2)
        #expect(web.users["alice"]?.value == Self.hash && web.headers.first?.value == "deny")
    }

    @Test(arguments: [
        ("tls_server_config: {cert_file: a.pem}", "missing one of key or key_file"),
        ("tls_server_config: {key_file: a.pem}", "missing one of cert or cert_file"),
        ("tls_server_config: {cert_file: nope.pem, key_file: a}", "failed to read cert_file (nope.pem): open nope.pem: no such file or directory"),
        ("tls_server_config: {cert: abc, key: abc}", "failed to load X509KeyPair: tls: failed to find any PEM data in certificate input"),
        ("tls_server_config: {cert: a, key: a, min_version: TLS9}", "unknown TLS version: TLS9"),
        ("tls_server_config: {cert: a, key: a, cipher_suites: [FOO]}", "unknown cipher: FOO"),
        ("tls_server_config: {cert: a, key: a, curve_preferences: [FOO]}", "unknown curve: FOO"),
        ("basic_auth_users: {a: b}", "crypto/bcrypt: hashedSecret too short to be a bcrypted password"),
        ("http_server_config: {headers: {Bogus: foo}}", "HTTP header \"Bogus\" can not be configured"),
        ("http_server_config: {headers: {X-Frame-Options: foo}}", "invalid value for X-Frame-Options. Expected one of: [\"deny\" \"sameorigin\"], but got: \"foo\""),
        ("foo: bar", "yaml: unmarshal errors:\n  line 1: field foo not found in type web.Config"),
    ])
    func invalid(_ yaml: String, _ text: String) { #expect(problem(yaml) == text) }

    @Test func clientCertificates() {
        let pair = "cert: \"\(Self.certificate)\", key: \"\(Self.key)\""
        #expect(problem("tls_server_config: {\(pair), client_auth_type: foo}") == "invalid ClientAuth: foo")
        #expect(problem("tls_server_config: {\(pair), client_ca: x}") == "client CA's have been configured without a Client Auth Policy")
    }
}
