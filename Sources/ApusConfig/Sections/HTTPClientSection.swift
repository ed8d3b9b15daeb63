import ApusBytes
import ApusModel

/// The HTTP client options that scrape jobs, discoveries, Alertmanagers and remote endpoints share.
enum HTTPClientSection {
    static let tls = ObjectSchema(
        "config.plain",
        [
            Field("ca", .string), Field("cert", .string), Field("key", .secret),
            Field("ca_file", .path), Field("cert_file", .path), Field("key_file", .path),
            Field("ca_ref", .string), Field("cert_ref", .string), Field("key_ref", .string),
            Field("server_name", .string), Field("insecure_skip_verify", .bool, shown: true),
            Field("min_version", .string), Field("max_version", .string),
        ]
    ) { (o: inout ConfigObject) throws(ConfigProblem) in
        for name in ["ca", "cert", "key"] {
            try o.atMostOne([name, "\(name)_file"], "at most one of \(name) and \(name)_file must be configured")
        }
        func isUsed(_ name: String) -> Bool { !o.bytes(name).isEmpty || !o.bytes(name + "_file").isEmpty || !o.bytes(name + "_ref").isEmpty }
        if isUsed("cert") && !isUsed("key") {
            throw o.problem("exactly one of key or key_file must be configured when a client certificate is configured")
        }
        if isUsed("key") && !isUsed("cert") {
            throw o.problem("exactly one of cert or cert_file must be configured when a client key is configured")
        }
        for name in ["min_version", "max_version"] where !o.bytes(name).isEmpty && TLSConfig.Version(rawValue: o.string(name)) == nil {
            throw o.problem("unknown TLS version: \(o.string(name))", field: name)
        }
    }

    static let proxyFields = [
        Field("proxy_url", .url), Field("no_proxy", .string), Field("proxy_from_environment", .bool),
        Field("proxy_connect_header", .map(.list(.secret))),
    ]

    static let basicAuth = ObjectSchema(
        "config.plain",
        [
            Field("username", .string), Field("username_file", .path), Field("username_ref", .string),
            Field("password", .secret), Field("password_file", .path), Field("password_ref", .string),
        ]
    ) { (o: inout ConfigObject) throws(ConfigProblem) in
        try o.atMostOne(["username", "username_file"], "at most one of basic_auth username & username_file must be configured")
        try o.atMostOne(["password", "password_file"], "at most one of basic_auth password & password_file must be configured")
    }

    static let authorization = ObjectSchema(
        "config.plain",
        [Field("type", .string), Field("credentials", .secret), Field("credentials_file", .path), Field("credentials_ref", .string)]
    ) { (o: inout ConfigObject) throws(ConfigProblem) in
        try o.atMostOne(
            ["credentials", "credentials_file"], "at most one of authorization credentials & credentials_file must be configured")
        let type = trimmed(o.string("type"))
        if type.lowercased() == "basic" {
            throw o.problem("authorization type cannot be set to \"basic\", use \"basic_auth\" instead", field: "type")
        }
        o.set("type", .text(type.isEmpty ? "Bearer" : type))
    }

    static let oauth2 = ObjectSchema(
        "config.plain",
        [
            Field("client_id", .string, shown: true), Field("client_secret", .secret, shown: true), Field("client_secret_file", .path, shown: true),
            Field("client_secret_ref", .string), Field("client_certificate_key_id", .string), Field("client_certificate_key", .secret),
            Field("client_certificate_key_file", .path), Field("client_certificate_key_ref", .string), Field("grant_type", .string),
            Field("signature_algorithm", .string), Field("iss", .string), Field("audience", .string), Field("claims", .map(.string)),
            Field("scopes", .list(.string)), Field("token_url", .string, shown: true), Field("endpoint_params", .map(.string)),
            Field("tls_config", .object(tls)),
        ] + proxyFields
    ) { (o: inout ConfigObject) throws(ConfigProblem) in
        if o.bytes("client_id").isEmpty { throw o.problem("oauth2 client_id must be configured") }
        if o.bytes("token_url").isEmpty { throw o.problem("oauth2 token_url must be configured") }
        try o.atMostOne(
            ["client_secret", "client_secret_file", "client_secret_ref"],
            "at most one of oauth2 client_secret, client_secret_file & client_secret_ref must be configured")
        try checkProxy(o)
    }

    static let headerValues = ObjectSchema(
        "config.plain", [Field("values", .list(.string)), Field("secrets", .list(.secret)), Field("files", .list(.path))])

    static let fields = fields(http2: true)

    static func fields(http2: Bool) -> [Field] {
        [
            Field("basic_auth", .object(basicAuth)), Field("authorization", .object(authorization)), Field("oauth2", .object(oauth2)),
            Field("bearer_token", .secret), Field("bearer_token_file", .path), Field("tls_config", .object(tls)),
            Field("follow_redirects", .bool, .bool(true), shown: true), Field("enable_http2", .bool, .bool(http2), shown: true),
        ] + proxyFields + [Field("http_headers", .map(.object(headerValues)))]
    }

    /// Headers that the client sets itself.
    static let reservedHeaders: Set<String> = [
        "authorization", "host", "content-encoding", "content-length", "content-type", "user-agent", "connection", "keep-alive",
        "proxy-authenticate", "proxy-authorization", "www-authenticate", "accept-encoding", "x-prometheus-remote-write-version",
        "x-prometheus-remote-read-version", "x-prometheus-scrape-timeout-seconds", "x-amz-date", "x-amz-security-token",
        "x-amz-content-sha256", "accept",
    ]

    /// The rules of the fields above; a bearer token becomes an `authorization`, as upstream shows it.
    static func check(_ o: inout ConfigObject) throws(ConfigProblem) {
        func has(_ name: String) -> Bool { o.object(name) != nil }
        let bearer = !o.bytes("bearer_token").isEmpty || !o.bytes("bearer_token_file").isEmpty
        try o.atMostOne(["bearer_token", "bearer_token_file"], "at most one of bearer_token & bearer_token_file must be configured")
        if (has("basic_auth") || has("oauth2")) && bearer {
            throw o.problem("at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured")
        }
        if has("authorization") {
            if bearer { throw o.problem("authorization is not compatible with bearer_token & bearer_token_file") }
            if has("basic_auth") || has("oauth2") {
                throw o.problem("at most one of basic_auth, oauth2 & authorization must be configured")
            }
        } else if bearer {
            var authorization = ConfigObject(authorization, at: o.position(of: "bearer_token"))
            authorization.set("type", "Bearer")
            authorization.set("credentials", o.value("bearer_token"))
            authorization.set("credentials_file", o.value("bearer_token_file"))
            o.set("authorization", .object(authorization))
            o.set("bearer_token", nil)
            o.set("bearer_token_file", nil)
        }
        if has("basic_auth") && has("oauth2") { throw o.problem("at most one of basic_auth, oauth2 & authorization must be configured") }
        try checkProxy(o)
        for header in o.map("http_headers") where reservedHeaders.contains(header.key.description.lowercased()) {
            throw o.problem("setting header \(goQuoted(header.key.description)) is not allowed", field: "http_headers")
        }
    }

    private static func checkProxy(_ o: ConfigObject) throws(ConfigProblem) {
        let url = !o.bytes("proxy_url").isEmpty
        if !o.map("proxy_connect_header").isEmpty && !url && !o.bool("proxy_from_environment") {
            throw o.problem("if proxy_connect_header is configured, proxy_url or proxy_from_environment must also be configured")
        }
        if o.bool("proxy_from_environment") && url {
            throw o.problem("if proxy_from_environment is configured, proxy_url must not be configured")
        }
        if o.bool("proxy_from_environment") && !o.bytes("no_proxy").isEmpty {
            throw o.problem("if proxy_from_environment is configured, no_proxy must not be configured")
        }
        if !url && !o.bytes("no_proxy").isEmpty {
            throw o.problem("if no_proxy is configured, proxy_url must also be configured")
        }
    }
}

extension ConfigValue: ExpressibleByStringLiteral {
    init(stringLiteral value: String) { self = .text(value) }
}

extension ConfigObject {
    func atMostOne(_ names: [String], _ message: String) throws(ConfigProblem) {
        let present = names.filter { !bytes($0).isEmpty }
        if present.count > 1 { throw problem(message, field: present[1]) }
    }
    func require(_ name: String, _ message: String) throws(ConfigProblem) {
        if value(name)?.isZero ?? true { throw problem(message, field: name) }
    }
}

/// Without white space at either end.
func trimmed(_ text: String) -> String {
    var text = text[...]
    while text.first?.isWhitespace == true { text.removeFirst() }
    while text.last?.isWhitespace == true { text.removeLast() }
    return String(text)
}

extension HTTPClientConfig {
    init(_ o: ConfigObject) {
        if let section = o.object("basic_auth") {
            var auth = BasicAuth()
            auth.username = section.string("username")
            auth.usernameFile = section.string("username_file")
            auth.password = section.secret("password")
            auth.passwordFile = section.string("password_file")
            basicAuth = auth
        }
        if let section = o.object("authorization") {
            var auth = Authorization()
            auth.type = section.string("type")
            auth.credentials = section.secret("credentials")
            auth.credentialsFile = section.string("credentials_file")
            authorization = auth
        }
        oauth2 = o.object("oauth2").map(OAuth2.init)
        if let section = o.object("tls_config") { tls = TLSConfig(section) }
        followRedirects = o.bool("follow_redirects")
        enableHTTP2 = o.bool("enable_http2")
        proxy = ProxyConfig(o)
        for header in o.map("http_headers") {
            guard case .object(let section) = header.value else { continue }
            var values = HTTPHeaderValues()
            values.values = section.strings("values")
            values.secrets = section.strings("secrets").map { Secret($0) }
            values.files = section.strings("files")
            headers[header.key.description] = values
        }
    }
}

extension HTTPClientConfig.OAuth2 {
    init(_ o: ConfigObject) {
        clientID = o.string("client_id")
        clientSecret = o.secret("client_secret")
        clientSecretFile = o.string("client_secret_file")
        clientCertificateKeyID = o.string("client_certificate_key_id")
        clientCertificateKey = o.secret("client_certificate_key")
        clientCertificateKeyFile = o.string("client_certificate_key_file")
        grantType = o.string("grant_type")
        signatureAlgorithm = o.string("signature_algorithm")
        issuer = o.string("iss")
        audience = o.string("audience")
        for claim in o.map("claims") { claims[claim.key.description] = claim.value.text?.description }
        scopes = o.strings("scopes")
        tokenURL = o.string("token_url")
        for parameter in o.map("endpoint_params") { endpointParams[parameter.key.description] = parameter.value.text?.description }
        if let section = o.object("tls_config") { tls = TLSConfig(section) }
        proxy = ProxyConfig(o)
    }
}

extension TLSConfig {
    init(_ o: ConfigObject) {
        ca = o.string("ca")
        caFile = o.string("ca_file")
        certificate = o.string("cert")
        certificateFile = o.string("cert_file")
        key = o.secret("key")
        keyFile = o.string("key_file")
        serverName = o.string("server_name")
        insecureSkipVerify = o.bool("insecure_skip_verify")
        minVersion = Version(rawValue: o.string("min_version"))
        maxVersion = Version(rawValue: o.string("max_version"))
    }
}

extension ProxyConfig {
    init(_ o: ConfigObject) {
        url = o.string("proxy_url")
        noProxy = o.string("no_proxy")
        fromEnvironment = o.bool("proxy_from_environment")
        for header in o.map("proxy_connect_header") {
            guard case .list(let values) = header.value else { continue }
            connectHeaders[header.key.description] = values.compactMap { $0.text.map { Secret($0.description) } }
        }
    }
}
