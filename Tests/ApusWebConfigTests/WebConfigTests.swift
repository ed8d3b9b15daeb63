import ApusBytes
import ApusModel
import Foundation
import Testing

@testable import ApusWebConfig

@Suite("Web configuration") struct WebConfigTests {
    private static let hash = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"

    @Test("every field is read")
    func everyField() throws {
        let config = try WebConfig.parse(
            """
            tls_server_config:
              cert_file: a.crt
              key_file: /abs/a.key
              client_auth_type: RequireAndVerifyClientCert
              client_ca_file: ca.crt
              client_allowed_sans: [one, two]
              min_version: TLS11
              max_version: TLS12
              cipher_suites:
                - TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
                - TLS_AES_128_GCM_SHA256
              prefer_server_cipher_suites: false
              curve_preferences: [X25519, CurveP256]
            http_server_config:
              http2: false
              headers:
                X-Frame-Options: sameorigin
                Content-Security-Policy: default-src 'self'
            rate_limit:
              burst: 5
              interval: 1s
            basic_auth_users:
              alice: \(Self.hash)
            """, folder: "/etc/apus")
        #expect(config.tls.certificateFile == "/etc/apus/a.crt")
        #expect(config.tls.keyFile == "/abs/a.key")
        #expect(config.tls.clientCAFile == "/etc/apus/ca.crt")
        #expect(config.tls.clientAuth == "RequireAndVerifyClientCert")
        #expect(config.tls.clientAllowedNames == ["one", "two"])
        #expect(config.tls.minVersion == .tls11)
        #expect(config.tls.maxVersion == .tls12)
        #expect(config.tls.cipherSuites == [0xC02F, 0x1301])
        #expect(config.tls.curves == [29, 23])
        #expect(!config.allowsHTTP2)
        #expect(config.headers.map(\.name) == ["Content-Security-Policy", "X-Frame-Options"])
        #expect(config.rateLimit == .init(burst: 5, intervalMs: 1_000))
        #expect(config.users == ["alice": Self.hash])
    }

    @Test("an empty file asks for nothing", arguments: ["", "# nothing\n", "tls_server_config:\nbasic_auth_users:\n", "{}"])
    func empty(text: String) throws {
        let config = try WebConfig.parse(text, folder: ".")
        #expect(config == WebConfig())
        #expect(!config.tls.isEnabled)
    }

    @Test(
        "what is wrong is said as Prometheus says it",
        arguments: [
            ("tls_config:\n  x: 1\n", "yaml: unmarshal errors:\n  line 1: field tls_config not found in type web.Config"),
            (
                "tls_server_config:\n  cert_filse: x\n",
                "yaml: unmarshal errors:\n  line 2: field cert_filse not found in type web.TLSConfig"
            ),
            ("tls_server_config:\n  min_version: TLS1.2\n", "unknown TLS version: TLS1.2"),
            ("tls_server_config:\n  cipher_suites: [TLS_X]\n", "unknown cipher: TLS_X"),
            ("tls_server_config:\n  curve_preferences: [P256]\n", "unknown curve: P256"),
            ("http_server_config:\n  headers:\n    X-Test: 1\n", "HTTP header \"X-Test\" can not be configured"),
            (
                "http_server_config:\n  headers:\n    X-Frame-Options: never\n",
                "invalid value for X-Frame-Options. Expected one of: [\"deny\" \"sameorigin\"], but got: \"never\""
            ),
            ("basic_auth_users:\n  a: secret\n", "crypto/bcrypt: hashedSecret too short to be a bcrypted password"),
            (
                "basic_auth_users:\n  a: \(String(repeating: "x", count: 60))\n",
                "crypto/bcrypt: bcrypt hashes must start with '$', but hashedSecret started with 'x'"
            ),
            (
                "basic_auth_users:\n  a: $6$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrWx\n",
                "crypto/bcrypt: bcrypt algorithm version '6' requested is newer than current version '2'"
            ),
            (
                "basic_auth_users:\n  a: $2b$40$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n",
                "crypto/bcrypt: cost 40 is outside allowed inclusive range 4..31"
            ),
        ])
    func mistakes(text: String, expected: String) {
        #expect(throws: WebConfigError(expected)) { try WebConfig.parse(text, folder: ".") }
    }

    @Test(
        "a header cannot bring another one, and hostile YAML is an error and no crash",
        arguments: [
            "http_server_config:\n  headers:\n    Content-Security-Policy: \"a\\r\\nSet-Cookie: b\"\n", "[", "a: *b", "- 1",
            "\u{0}", "{a: {a: {a:",
            "tls_server_config: 1", "basic_auth_users: [1]", "rate_limit: {interval: x}", "rate_limit: {burst: x, interval: 1s}",
            String(repeating: "[", count: 100_000),
        ])
    func hostile(text: String) {
        #expect(throws: WebConfigError.self) { try WebConfig.parse(text, folder: ".") }
    }

    @Test("passwords are checked, whatever they hold")
    func passwords() {
        let checker = PasswordChecker()
        let users = ["alice": Self.hash]
        // The second time from memory.
        for _ in 0..<2 {
            #expect(checker.check("alice", Array("secret".utf8), users))
            #expect(!checker.check("alice", Array("Secret".utf8), users))
        }
        #expect(!checker.check("alice", [], users))
        #expect(!checker.check("alice", Array("secret\u{0}x".utf8), users))
        #expect(!checker.check("alice", [UInt8](repeating: 97, count: 100_000), users))
        // The password whose hash stands in for users that do not exist.
        #expect(!checker.check("bob", Array("fakepassword".utf8), users))
        #expect(!checker.check("alice", Array("secret".utf8), ["alice": "$2b$04$broken"]))
    }

    @Test("credentials of a header")
    func credentials() throws {
        let found = try #require(PasswordChecker.credentials("bAsIc YWxpY2U6czplY3JldA=="))
        #expect(found.user == "alice")
        #expect(found.password == Array("s:ecret".utf8))
        for wrong in [nil, "", "Basic", "Basic ", "Basic YWxpY2U", "Basic YWxp", "Basic !!!!", "Bearer YWxpY2U6c2VjcmV0"] {
            #expect(PasswordChecker.credentials(wrong) == nil)
        }
        // Every length of the last group.
        for text in ["a:", "a:b", "a:bc", "a:bcd"] {
            let encoded = Data(text.utf8).base64EncodedString()
            #expect(PasswordChecker.base64Decoded(Substring(encoded)) == Array(text.utf8))
        }
    }

    @Test(
        "what TLS needs and has not is said",
        arguments: [
            ("client_auth_type: NoClientCert", "missing one of cert or cert_file"), ("cert: x", "missing one of key or key_file"),
            (
                "{cert_file: /nowhere/a.crt, key: k}",
                "failed to read cert_file (/nowhere/a.crt): open /nowhere/a.crt: no such file or directory"
            ),
        ])
    func incompleteTLS(fields: String, expected: String) throws {
        let text = fields.hasPrefix("{") ? "tls_server_config: \(fields)\n" : "tls_server_config:\n  \(fields)\n"
        let config = try WebConfig.parse(text, folder: ".")
        #expect(throws: WebConfigError(expected)) { try TLSServerContext(config.tls) }
    }

    @Test(
        "wrong types and certificates",
        arguments: [
            ("tls_server_config: 1\n", "yaml: unmarshal errors:\n  line 1: cannot unmarshal !!int `1` into web.TLSConfig"),
            (
                "basic_auth_users: [1]\n",
                "yaml: unmarshal errors:\n  line 1: cannot unmarshal !!seq into map[string]config.Secret"
            ),
            (
                "http_server_config: {http2: maybe}\n",
                "yaml: unmarshal errors:\n  line 1: cannot unmarshal !!str `maybe` into bool"
            ),
            (
                "tls_server_config: {cert: x, key: y}\n",
                "failed to load X509KeyPair: tls: failed to find any PEM data in certificate input"
            ),
            (
                "tls_server_config: {cert: \"-----BEGIN X-----\\n-----END X-----\\n\", key: y}\n",
                "failed to load X509KeyPair: tls: failed to find \"CERTIFICATE\" PEM block in certificate input after skipping PEM blocks of the following types: [X]"
            ),
        ])
    func types(text: String, expected: String) {
        #expect(throws: WebConfigError(expected)) { try TLSServerContext(WebConfig.parse(text, folder: ".").tls) }
    }

    @Test("certificates that are none are an error and no crash")
    func nonsenseCertificates() throws {
        var tls = WebConfig.TLSServer()
        for (certificate, key) in [
            ("x", "y"), ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "k"), ("\u{0}", "\u{0}"),
        ] {
            (tls.certificate, tls.key) = (certificate, key)
            #expect(throws: WebConfigError.self) { try TLSServerContext(tls) }
        }
    }

    @Test("a limit of requests fills up with time")
    func rateLimit() {
        let time = HandTime()
        let limiter = RateLimiter(.init(burst: 2, intervalMs: 100), time: time)
        #expect([limiter.admits(), limiter.admits(), limiter.admits()] == [true, true, false])
        time.advance(ms: 100)
        #expect([limiter.admits(), limiter.admits()] == [true, false])
        time.advance(ms: 10_000)
        #expect([limiter.admits(), limiter.admits(), limiter.admits()] == [true, true, false])
    }
}

private final class HandTime: TimeSource {
    private let now = Locked<UInt64>(1_000_000_000)
    func wallMs() -> Int64 { 0 }
    func monotonicNs() -> UInt64 { now.withLock { $0 } }
    func advance(ms: UInt64) { now.withLock { $0 += ms * 1_000_000 } }
}
