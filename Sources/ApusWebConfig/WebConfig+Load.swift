import ApusBytes
import ApusModel
import Yams

extension WebConfig {
    /// A larger file is a mistake.
    public static let maximumFileBytes = 1 << 20

    /// Reads a file. Certificates and keys are read by `TLSServerContext`.
    /// - Throws: what the file system says, or what is wrong with the content.
    public static func load(_ path: String, fileSystem: any FileSystem = PosixFileSystem()) throws -> WebConfig {
        let bytes: [UInt8]
        do { bytes = try fileSystem.read(path, limit: maximumFileBytes) } catch {
            throw WebConfigError("open \(path): \(errorText(error.code))")
        }
        let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        return try parse(String(decoding: bytes, as: UTF8.self), folder: folder)
    }

    /// Reads the text of a file that lies in `folder`.
    public static func parse(_ text: String, folder: String) throws(WebConfigError) -> WebConfig {
        let root: Node?
        do { root = try Parser(yaml: text, resolver: .basic, encoding: .utf8).nextRoot() } catch {
            throw WebConfigError("yaml: \(describe(error))")
        }
        var config = WebConfig()
        let problems = StrictMapping.Problems()
        let top = StrictMapping(
            root, type: "web.Config", known: ["tls_server_config", "http_server_config", "rate_limit", "basic_auth_users"],
            problems)
        config.tls = try tls(top["tls_server_config"], folder: folder, problems)
        let http = StrictMapping(top["http_server_config"], type: "web.HTTPConfig", known: ["http2", "headers"], problems)
        config.allowsHTTP2 = http.bool("http2") ?? true
        config.headers = http.texts("headers")
        config.rateLimit = try rateLimit(top["rate_limit"], problems)
        for (user, hash) in top.texts("basic_auth_users", type: "config.Secret") { config.users[user] = hash }
        if !problems.lines.isEmpty { throw WebConfigError("yaml: unmarshal errors:\n" + problems.lines.joined(separator: "\n")) }
        for (name, value) in config.headers { try checkHeader(name, value) }
        // In order of names, so that the same file gives the same error.
        for (_, hash) in config.users.sorted(by: { $0.key < $1.key }) { try PasswordChecker.checkHash(hash) }
        return config
    }

    private static func describe(_ error: any Error) -> String {
        guard let error = error as? YamlError else { return "\(error)" }
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _), .composer(_, let problem, let mark, _):
            return "line \(mark.line): \(problem)"
        case .duplicatedKeysInMapping(let keys, let context):
            return "line \(context.mark.line): key \(keys.first.map { "\"\($0)\"" } ?? "") already set in map"
        default: return "\(error)"
        }
    }

    private static func tls(
        _ node: Node?, folder: String, _ problems: StrictMapping.Problems
    ) throws(WebConfigError) -> TLSServer {
        let fields = StrictMapping(
            node, type: "web.TLSConfig",
            known: [
                "cert", "key", "client_ca", "cert_file", "key_file", "client_auth_type", "client_ca_file", "cipher_suites",
                "curve_preferences", "min_version", "max_version", "prefer_server_cipher_suites", "client_allowed_sans",
            ], problems)
        var tls = TLSServer()
        tls.certificate = fields.string("cert") ?? ""
        tls.key = fields.string("key") ?? ""
        tls.clientCA = fields.string("client_ca") ?? ""
        tls.certificateFile = resolved(fields.string("cert_file"), folder)
        tls.keyFile = resolved(fields.string("key_file"), folder)
        tls.clientCAFile = resolved(fields.string("client_ca_file"), folder)
        tls.clientAuth = fields.string("client_auth_type") ?? ""
        tls.clientAllowedNames = fields.strings("client_allowed_sans")
        // The library always follows the server's order; the field is read and has nothing left to change.
        _ = fields.bool("prefer_server_cipher_suites")
        for name in fields.strings("cipher_suites") ?? [] {
            guard let suite = cipherSuites[name] else { throw WebConfigError("unknown cipher: " + name) }
            tls.cipherSuites.append(suite)
        }
        for name in fields.strings("curve_preferences") ?? [] {
            guard let curve = curves[name] else { throw WebConfigError("unknown curve: " + name) }
            tls.curves.append(curve)
        }
        tls.minVersion = try version(fields.string("min_version")) ?? .tls12
        tls.maxVersion = try version(fields.string("max_version")) ?? .tls13
        return tls
    }

    private static func version(_ text: String?) throws(WebConfigError) -> TLSServer.Version? {
        guard let text else { return nil }
        guard let version = TLSServer.Version(rawValue: text) else { throw WebConfigError("unknown TLS version: " + text) }
        return version
    }

    private static func rateLimit(_ node: Node?, _ problems: StrictMapping.Problems) throws(WebConfigError) -> RateLimit? {
        guard let node else { return nil }
        let fields = StrictMapping(node, type: "web.RateLimiterConfig", known: ["burst", "interval"], problems)
        guard let text = fields.string("interval"), text != "0" else { return nil }
        do throws(DurationError) {
            let intervalMs = try parseDuration(text)
            return intervalMs > 0 ? RateLimit(burst: max(0, fields.int("burst") ?? 0), intervalMs: intervalMs) : nil
        } catch { throw WebConfigError("rate_limit: interval: \(error.description)") }
    }

    private static func resolved(_ path: String?, _ folder: String) -> String {
        guard let path, !path.isEmpty else { return "" }
        return path.hasPrefix("/") ? path : folder + "/" + path
    }

    /// Headers that may be set, and what to, where that is fixed.
    private static func checkHeader(_ name: String, _ value: String) throws(WebConfigError) {
        let allowed: [String: [String]] = [
            "Strict-Transport-Security": [], "X-Content-Type-Options": ["nosniff"], "X-Frame-Options": ["deny", "sameorigin"],
            "X-XSS-Protection": [], "Content-Security-Policy": [],
        ]
        guard let values = allowed[name] else { throw WebConfigError("HTTP header \"\(name)\" can not be configured") }
        if !values.isEmpty && !values.contains(value) {
            let list = values.map { "\"\($0)\"" }.joined(separator: " ")
            throw WebConfigError("invalid value for \(name). Expected one of: [\(list)], but got: \"\(value)\"")
        }
        // A line end in a value would begin a header of its own.
        if value.utf8.contains(where: { $0 < 0x20 && $0 != 0x09 || $0 == 0x7F }) {
            throw WebConfigError("invalid value for \(name): it contains control characters")
        }
    }

    /// Names as Go's `crypto/tls` gives them.
    static let cipherSuites: [String: UInt16] = [
        "TLS_AES_128_GCM_SHA256": 0x1301, "TLS_AES_256_GCM_SHA384": 0x1302, "TLS_CHACHA20_POLY1305_SHA256": 0x1303,
        "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": 0xC009, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": 0xC00A,
        "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": 0xC013, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": 0xC014,
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": 0xC02B, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": 0xC02C,
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": 0xC02F, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": 0xC030,
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": 0xCCA8, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": 0xCCA9,
    ]
    static let curves: [String: UInt16] = ["CurveP256": 23, "CurveP384": 24, "CurveP521": 25, "X25519": 29]
}
