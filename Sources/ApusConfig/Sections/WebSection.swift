import ApusBytes
import ApusModel

/// What the file of `--web.config.file` may hold.
enum WebSection {
    private static let tls = ObjectSchema(
        "web.TLSConfig",
        [
            Field("cert", .string), Field("key", .secret), Field("client_ca", .string), Field("cert_file", .path), Field("key_file", .path),
            Field("client_auth_type", .string), Field("client_ca_file", .path), Field("cipher_suites", .list(.string)),
            Field("curve_preferences", .list(.string)), Field("min_version", .string), Field("max_version", .string),
            Field("prefer_server_cipher_suites", .bool, .bool(true)), Field("client_allowed_sans", .list(.string)),
        ])

    private static let http = ObjectSchema(
        "web.HTTPConfig", [Field("http2", .bool, .bool(true)), Field("headers", .map(.string))])

    private static let rateLimit = ObjectSchema("web.RateLimiterConfig", [Field("burst", .int), Field("interval", .duration)])

    static let root = ObjectSchema(
        "web.Config",
        [
            Field("tls_server_config", .object(tls)), Field("http_server_config", .object(http)),
            Field("rate_limit", .object(rateLimit)), Field("basic_auth_users", .map(.secret)),
        ])

    static func version(_ o: ConfigObject, _ field: String) throws(ConfigProblem) -> TLSConfig.Version? {
        let name = o.string(field)
        if name.isEmpty { return nil }
        guard let version = TLSConfig.Version(rawValue: name) else { throw o.problem("unknown TLS version: \(name)", field: field) }
        return version
    }

    /// The headers that can be set, with the values that they may have; empty for any.
    private static let headers: [(name: String, values: [String])] = [
        ("Strict-Transport-Security", []), ("X-Content-Type-Options", ["nosniff"]), ("X-Frame-Options", ["deny", "sameorigin"]),
        ("X-XSS-Protection", []), ("Content-Security-Policy", []),
    ]

    /// The value, checked.
    static func header(_ name: String, _ value: String, _ o: ConfigObject) throws(ConfigProblem) -> String {
        guard let known = headers.first(where: { $0.name == name }) else {
            throw o.problem("HTTP header \(goQuoted(name)) can not be configured", field: "headers")
        }
        guard known.values.isEmpty || value.isEmpty || known.values.contains(value.lowercased()) else {
            let allowed = known.values.map(goQuoted).joined(separator: " ")
            throw o.problem("invalid value for \(name). Expected one of: [\(allowed)], but got: \(goQuoted(value))", field: "headers")
        }
        return value
    }

    /// Those that Go's library counts as secure, by its names.
    static let cipherSuites: Set<String> = [
        "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
        "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    ]
    static let curves: Set<String> = ["CurveP256", "CurveP384", "CurveP521", "X25519"]
}
