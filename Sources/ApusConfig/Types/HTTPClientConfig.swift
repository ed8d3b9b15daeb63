/// A value that is never printed: `description` and the effective configuration say `<secret>`.
public struct Secret: Sendable, Hashable, CustomStringConvertible, ExpressibleByStringLiteral {
    public var value: String
    public init(_ value: String) { self.value = value }
    public init(stringLiteral value: String) { self.value = value }
    public var isEmpty: Bool { value.isEmpty }
    public var description: String { isEmpty ? "" : "<secret>" }
}

/// How to make HTTP requests: authentication, TLS, proxies and headers. Files are absolute paths, read at each use.
public struct HTTPClientConfig: Sendable, Hashable {
    public var basicAuth: BasicAuth?
    public var authorization: Authorization?
    public var oauth2: OAuth2?
    public var tls = TLSConfig()
    public var followRedirects = true
    public var enableHTTP2 = true
    public var proxy = ProxyConfig()
    /// Extra headers by name.
    public var headers: [String: HTTPHeaderValues] = [:]
    public init() {}

    public struct BasicAuth: Sendable, Hashable {
        public var username = ""
        public var usernameFile = ""
        public var password: Secret = ""
        public var passwordFile = ""
        public init() {}
    }

    public struct Authorization: Sendable, Hashable {
        public var type = "Bearer"
        public var credentials: Secret = ""
        public var credentialsFile = ""
        public init() {}
    }

    public struct OAuth2: Sendable, Hashable {
        public var clientID = ""
        public var clientSecret: Secret = ""
        public var clientSecretFile = ""
        public var clientCertificateKeyID = ""
        public var clientCertificateKey: Secret = ""
        public var clientCertificateKeyFile = ""
        public var grantType = ""
        public var signatureAlgorithm = ""
        public var issuer = ""
        public var audience = ""
        public var claims: [String: String] = [:]
        public var scopes: [String] = []
        public var tokenURL = ""
        public var endpointParams: [String: String] = [:]
        public var tls = TLSConfig()
        public var proxy = ProxyConfig()
        public init() {}
    }
}

/// A TLS client. A text field holds PEM; the file field beside it names a file of the same.
public struct TLSConfig: Sendable, Hashable {
    public enum Version: String, Sendable, Hashable, CaseIterable {
        case tls10 = "TLS10"
        case tls11 = "TLS11"
        case tls12 = "TLS12"
        case tls13 = "TLS13"
    }
    public var ca = ""
    public var caFile = ""
    public var certificate = ""
    public var certificateFile = ""
    public var key: Secret = ""
    public var keyFile = ""
    public var serverName = ""
    public var insecureSkipVerify = false
    public var minVersion: Version?
    public var maxVersion: Version?
    public init() {}
}

public struct ProxyConfig: Sendable, Hashable {
    /// Empty for none.
    public var url = ""
    /// Comma-separated hosts that are reached directly.
    public var noProxy = ""
    public var fromEnvironment = false
    /// Headers of the CONNECT request.
    public var connectHeaders: [String: [Secret]] = [:]
    public init() {}
}

/// The values of one extra header: plain, secret, and from files.
public struct HTTPHeaderValues: Sendable, Hashable {
    public var values: [String] = []
    public var secrets: [Secret] = []
    public var files: [String] = []
    public init() {}
}
