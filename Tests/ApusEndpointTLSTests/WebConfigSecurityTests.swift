import ApusEndpoint
import ApusEndpointTLS
import ApusMetrics
import ApusWebConfig
import Foundation
import NIOSSL
import PEMFixtures
import Testing

@Suite("Endpoint with a web configuration") struct WebConfigSecurityTests {
    /// A folder with the certificates and a web configuration.
    private final class Folder {
        let url: URL
        init(_ config: String) throws {
            url = FileManager.default.temporaryDirectory.appending(path: "apus-tls-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
            try write("server.crt", TestCertificates.serverCertificate)
            try write("server.key", TestCertificates.serverKey)
            try write("ca.crt", TestCertificates.authority)
            try write("web.yml", config)
        }
        deinit { try? FileManager.default.removeItem(at: url) }
        func write(_ name: String, _ text: String) throws {
            try text.write(to: url.appending(path: name), atomically: true, encoding: .utf8)
        }
        var web: String { url.appending(path: "web.yml").path }
    }

    private static let tls = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"
    /// "secret", at bcrypt's lowest cost.
    private static let users = "basic_auth_users:\n  alice: $2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n"
    /// alice:secret
    private static let alice = "Authorization: Basic YWxpY2U6c2VjcmV0"
    private static let client = TLSClient.Identity(
        certificate: TestCertificates.clientCertificate, key: TestCertificates.clientKey)
    private static let other = TLSClient.Identity(certificate: TestCertificates.otherCertificate, key: TestCertificates.otherKey)
    private static let stranger = TLSClient.Identity(
        certificate: TestCertificates.strangerCertificate, key: TestCertificates.strangerKey)

    private func endpoint(_ folder: Folder) async throws -> MetricsEndpoint {
        let registry = MetricRegistry()
        try registry.counter("a_total", help: "A.").increment(by: 3)
        return try await MetricsEndpoint.start(registry, port: 0, security: try WebConfigSecurity(folder.web))
    }

    private func status(_ answer: String?) -> Int? { answer.flatMap { Int($0.split(separator: " ").dropFirst().first ?? "") } }

    @Test("serves over TLS with headers, and refuses versions that are too old")
    func serves() async throws {
        let folder = try Folder(Self.tls + "  min_version: TLS13\nhttp_server_config:\n  headers:\n    X-Frame-Options: deny\n")
        let endpoint = try await endpoint(folder)
        let answer = try #require(try await TLSClient.get("/metrics", port: endpoint.port))
        #expect(answer.hasSuffix("a_total 3\n"))
        #expect(answer.contains("X-Frame-Options: deny\r\n"))
        #expect(try await TLSClient.get("/metrics", port: endpoint.port, maximum: .tlsv12) == nil)
        await endpoint.stop()
    }

    @Test("asks for a password, on every path, and a wrong one is refused as an unknown user is")
    func passwords() async throws {
        let folder = try Folder(Self.tls + Self.users)
        let endpoint = try await endpoint(folder)
        for path in ["/metrics", "/-/healthy", "/nowhere"] {
            let refused = try #require(try await TLSClient.get(path, port: endpoint.port))
            #expect(status(refused) == 401)
            #expect(refused.contains("WWW-Authenticate: Basic\r\n"))
            #expect(refused.hasSuffix("\r\n\r\nUnauthorized\n"))
        }
        #expect(status(try await TLSClient.get("/metrics", port: endpoint.port, headers: [Self.alice])) == 200)
        // alice:wrong, bob:secret, and no base64
        for wrong in ["Basic YWxpY2U6d3Jvbmc=", "Basic Ym9iOnNlY3JldA==", "Basic ?", "Bearer x"] {
            #expect(status(try await TLSClient.get("/metrics", port: endpoint.port, headers: ["Authorization: " + wrong])) == 401)
        }
        await endpoint.stop()
    }

    @Test(
        "clients' certificates are asked for as told",
        arguments: [
            ("RequestClientCert", true, true, true), ("RequireAnyClientCert", false, true, true),
            ("RequireClientCert", false, true, true),
            ("VerifyClientCertIfGiven", true, true, false), ("RequireAndVerifyClientCert", false, true, false),
            ("NoClientCert", true, true, true),
        ])
    func clientCertificates(type: String, none: Bool, signed: Bool, stranger: Bool) async throws {
        let authority = type == "NoClientCert" ? "" : "  client_ca_file: ca.crt\n"
        let folder = try Folder(Self.tls + "  client_auth_type: \(type)\n" + authority)
        let endpoint = try await endpoint(folder)
        #expect(try await Self.isLetIn(endpoint.port, nil, expected: none) == none)
        #expect(try await Self.isLetIn(endpoint.port, Self.client, expected: signed) == signed)
        #expect(try await Self.isLetIn(endpoint.port, Self.stranger, expected: stranger) == stranger)
        await endpoint.stop()
    }

    /// Whether there was an answer. On a machine with much else to do the endpoint may close a connection because its request
    /// did not come in time; so who should be let in tries a few times.
    private static func isLetIn(_ port: Int, _ identity: TLSClient.Identity?, expected: Bool) async throws -> Bool {
        for _ in 0..<(expected ? 10 : 1) {
            if try await TLSClient.get("/metrics", port: port, as: identity) != nil { return true }
        }
        return false
    }

    @Test("only clients with an allowed name")
    func allowedNames() async throws {
        let folder = try Folder(
            Self.tls
                + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n  client_allowed_sans: [client.test]\n"
        )
        let endpoint = try await endpoint(folder)
        #expect(try await Self.isLetIn(endpoint.port, Self.client, expected: true))
        #expect(try await Self.isLetIn(endpoint.port, Self.other, expected: false) == false)
        await endpoint.stop()
    }

    @Test("a changed file counts from the next request on; while it is wrong nobody is let in")
    func changes() async throws {
        let folder = try Folder(Self.tls)
        let endpoint = try await endpoint(folder)
        #expect(status(try await TLSClient.get("/metrics", port: endpoint.port)) == 200)
        try folder.write("web.yml", Self.tls + Self.users)
        #expect(status(try await TLSClient.get("/metrics", port: endpoint.port)) == 401)
        try folder.write("web.yml", Self.tls + "nonsense: 1\n")
        #expect(try await TLSClient.get("/metrics", port: endpoint.port) == nil)
        try folder.write("web.yml", Self.tls)
        #expect(status(try await TLSClient.get("/metrics", port: endpoint.port)) == 200)
        // A renewed certificate, here one that the client does not trust.
        try folder.write("server.crt", TestCertificates.strangerCertificate)
        try folder.write("server.key", TestCertificates.strangerKey + "\n")
        #expect(try await TLSClient.get("/metrics", port: endpoint.port) == nil)
        await endpoint.stop()
    }

    @Test("a wrong file is an error at the start")
    func wrongFile() throws {
        let folder = try Folder("tls_server_config:\n  cert_file: missing.crt\n  key_file: server.key\n")
        #expect(throws: WebConfigError.self) { try WebConfigSecurity(folder.web) }
    }
}
