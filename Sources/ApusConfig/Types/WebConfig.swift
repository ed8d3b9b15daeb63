import ApusBytes
import ApusModel

/// What `--web.config.file` says: TLS, users and headers of the server's own addresses.
///
/// <https://prometheus.io/docs/prometheus/latest/configuration/https/>, with its rules, defaults and error texts.
public struct WebConfig: Sendable, Hashable {
    public enum ClientAuth: String, Sendable, Hashable, CaseIterable {
        case none = "NoClientCert"
        case request = "RequestClientCert"
        case requireAny = "RequireAnyClientCert"
        case verifyIfGiven = "VerifyClientCertIfGiven"
        case requireAndVerify = "RequireAndVerifyClientCert"
    }

    public struct TLS: Sendable, Hashable {
        /// PEM texts, or the files that hold them; of each pair one is set.
        public var certificate = ""
        public var certificateFile = ""
        public var key = Secret("")
        public var keyFile = ""
        public var clientAuth = ClientAuth.none
        public var clientCA = ""
        public var clientCAFile = ""
        public var clientAllowedSANs: [String] = []
        public var minVersion = TLSConfig.Version.tls12
        public var maxVersion = TLSConfig.Version.tls13
        /// Go's names; empty for the library's choice.
        public var cipherSuites: [String] = []
        public var curves: [String] = []
        public init() {}
    }

    /// Nil without TLS.
    public var tls: TLS?
    public var enableHTTP2 = true
    /// For each answer.
    public var headers: [(name: String, value: String)] { headerTable.map { ($0.key, $0.value) }.sorted { $0.0 < $1.0 } }
    var headerTable: [String: String] = [:]
    /// Bcrypt hashes by user; empty lets everyone in.
    public var users: [String: Secret] = [:]

    /// Reads and checks `file`; relative paths in it count from its directory.
    public static func load(file: String) throws(ConfigError) -> WebConfig {
        try parse(yaml: try readConfigFile(file), fileName: file, baseDirectory: directory(of: file))
    }

    /// Checks `yaml`, and that the files it names can be read.
    public static func parse(yaml: String, fileName: String, baseDirectory: String = "") throws(ConfigError) -> WebConfig {
        let document = try PrometheusConfig.decode(yaml, WebSection.root, fileName: fileName, baseDirectory: baseDirectory)
        do throws(ConfigProblem) { return try WebConfig(document) } catch {
            throw ConfigError(.invalid, fileName: fileName, problems: [error])
        }
    }

    private init(_ o: ConfigObject) throws(ConfigProblem) {
        if let section = o.object("tls_server_config") { tls = try Self.tls(section) }
        if let section = o.object("http_server_config") {
            enableHTTP2 = section.bool("http2")
            for entry in section.map("headers") {
                headerTable[entry.key.description] = try WebSection.header(entry.key.description, entry.value.text?.description ?? "", section)
            }
        }
        for entry in o.map("basic_auth_users") {
            let hash = entry.value.text?.description ?? ""
            if let problem = Self.bcryptProblem(hash) { throw o.problem(problem, field: "basic_auth_users") }
            users[entry.key.description] = Secret(hash)
        }
    }

    private static func tls(_ o: ConfigObject) throws(ConfigProblem) -> TLS? {
        var tls = TLS()
        tls.certificate = o.string("cert")
        tls.certificateFile = o.string("cert_file")
        tls.key = o.secret("key")
        tls.keyFile = o.string("key_file")
        tls.clientCA = o.string("client_ca")
        tls.clientCAFile = o.string("client_ca_file")
        tls.clientAllowedSANs = o.strings("client_allowed_sans")
        let auth = o.string("client_auth_type")
        let hasCertificate = !tls.certificate.isEmpty || !tls.certificateFile.isEmpty
        let hasKey = !tls.key.value.isEmpty || !tls.keyFile.isEmpty
        // A section that names nothing is one that is not there.
        if !hasCertificate && !hasKey && auth.isEmpty && tls.clientCA.isEmpty && tls.clientCAFile.isEmpty { return nil }
        try o.atMostOne(["cert", "cert_file"], "at most one of cert & cert_file must be configured")
        try o.atMostOne(["key", "key_file"], "at most one of key & key_file must be configured")
        try o.atMostOne(["client_ca", "client_ca_file"], "at most one of client_ca & client_ca_file must be configured")
        if !hasCertificate { throw o.problem("missing one of cert or cert_file") }
        if !hasKey { throw o.problem("missing one of key or key_file") }
        tls.minVersion = try WebSection.version(o, "min_version") ?? .tls12
        tls.maxVersion = try WebSection.version(o, "max_version") ?? .tls13
        tls.cipherSuites = o.strings("cipher_suites")
        for suite in tls.cipherSuites where !WebSection.cipherSuites.contains(suite) {
            throw o.problem("unknown cipher: \(suite)", field: "cipher_suites")
        }
        tls.curves = o.strings("curve_preferences")
        for curve in tls.curves where !WebSection.curves.contains(curve) {
            throw o.problem("unknown curve: \(curve)", field: "curve_preferences")
        }
        let certificate = tls.certificateFile.isEmpty ? tls.certificate : try read(o, tls.certificateFile, "cert_file")
        let key = tls.keyFile.isEmpty ? tls.key.value : try read(o, tls.keyFile, "key_file")
        guard certificate.contains("-----BEGIN CERTIFICATE-----") else {
            throw o.problem("failed to load X509KeyPair: tls: failed to find any PEM data in certificate input")
        }
        guard key.contains("PRIVATE KEY-----") else {
            throw o.problem("failed to load X509KeyPair: tls: failed to find any PEM data in key input")
        }
        if !tls.clientCAFile.isEmpty, readFile(tls.clientCAFile, limit: YAMLNode.maximumFileBytes) == nil {
            throw o.problem("open \(tls.clientCAFile): no such file or directory", field: "client_ca_file")
        }
        guard auth.isEmpty || ClientAuth(rawValue: auth) != nil else { throw o.problem("invalid ClientAuth: \(auth)", field: "client_auth_type") }
        tls.clientAuth = ClientAuth(rawValue: auth) ?? .none
        if !tls.clientCA.isEmpty || !tls.clientCAFile.isEmpty, tls.clientAuth == .none {
            throw o.problem("client CA's have been configured without a Client Auth Policy")
        }
        return tls
    }

    private static func read(_ o: ConfigObject, _ path: String, _ field: String) throws(ConfigProblem) -> String {
        guard let bytes = readFile(path, limit: 16 << 20) else {
            throw o.problem("failed to read \(field) (\(path)): open \(path): no such file or directory", field: field)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// `$2y$10$` and 53 characters.
    private static func bcryptProblem(_ hash: String) -> String? {
        let bytes = Array(hash.utf8)
        if bytes.count < 59 { return "crypto/bcrypt: hashedSecret too short to be a bcrypted password" }
        if bytes[0] != UInt8(ascii: "$") {
            return "crypto/bcrypt: bcrypt hashes must start with '$', but hashedSecret started with '\(String(decoding: bytes[0..<1], as: UTF8.self))'"
        }
        guard bytes[1] <= UInt8(ascii: "2") else {
            let version = String(decoding: bytes[1..<2], as: UTF8.self)
            return "crypto/bcrypt: bcrypt algorithm version '\(version)' requested is newer than current version '2'"
        }
        let rest = bytes[2] == UInt8(ascii: "$") ? bytes.dropFirst(3) : bytes.dropFirst(4)
        guard let cost = Int(String(decoding: rest.prefix(2), as: UTF8.self)), (4...31).contains(cost) else {
            return "crypto/bcrypt: cost \(String(decoding: rest.prefix(2), as: UTF8.self)) is outside allowed inclusive range 4..31"
        }
        return nil
    }
}
