/// The file of `--web.config.file`, as Prometheus and its exporters read it: TLS, headers of every answer, users and a limit
/// of requests.
///
///     tls_server_config:
///       cert_file: server.crt
///       key_file: server.key
///     basic_auth_users:
///       alice: $2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze
///
/// Reading is `WebConfig+Load`; a file that is read again when it changes is `WebConfigFile`.
public struct WebConfig: Sendable, Equatable {
    public var tls = TLSServer()
    /// In order of their names.
    public var headers: [(name: String, value: String)] = []
    /// Whether HTTP/2 may be spoken over TLS. Read and checked; whoever serves decides.
    public var allowsHTTP2 = true
    /// Hashes of bcrypt by user. Empty: everyone is let in.
    public var users: [String: String] = [:]
    /// Nil for none.
    public var rateLimit: RateLimit?

    public struct RateLimit: Sendable, Equatable {
        /// Requests that may come at once.
        public var burst: Int
        /// One more request each so many milliseconds.
        public var intervalMs: Int64
    }

    /// `tls_server_config`. Relative paths are resolved against the folder of the file.
    public struct TLSServer: Sendable, Equatable {
        public enum ClientAuth: String, Sendable, CaseIterable {
            case noClientCert = "NoClientCert"
            case requestClientCert = "RequestClientCert"
            case requireAnyClientCert = "RequireAnyClientCert"
            /// The old name of `requireAnyClientCert`.
            case requireClientCert = "RequireClientCert"
            case verifyClientCertIfGiven = "VerifyClientCertIfGiven"
            case requireAndVerifyClientCert = "RequireAndVerifyClientCert"
        }
        public enum Version: String, Sendable, CaseIterable, Comparable {
            case tls10 = "TLS10"
            case tls11 = "TLS11"
            case tls12 = "TLS12"
            case tls13 = "TLS13"
            public static func < (left: Version, right: Version) -> Bool { left.rawValue < right.rawValue }
        }

        /// PEM, in the file itself.
        public var certificate = ""
        public var key = ""
        public var clientCA = ""
        public var certificateFile = ""
        public var keyFile = ""
        public var clientCAFile = ""
        /// As written; empty for none.
        public var clientAuth = ""
        /// Code points of the IANA, in order of preference; empty for those of the library.
        public var cipherSuites: [UInt16] = []
        public var curves: [UInt16] = []
        public var minVersion = Version.tls12
        public var maxVersion = Version.tls13
        public var clientAllowedNames: [String]?

        public init() {}

        /// Whether anything of TLS is asked for.
        public var isEnabled: Bool {
            ![certificate, key, clientCA, certificateFile, keyFile, clientCAFile, clientAuth].allSatisfy(\.isEmpty)
        }
        /// The files that it names.
        public var files: [String] { [certificateFile, keyFile, clientCAFile].filter { !$0.isEmpty } }
    }

    public init() {}

    public static func == (left: WebConfig, right: WebConfig) -> Bool {
        left.tls == right.tls && left.headers.elementsEqual(right.headers, by: ==) && left.allowsHTTP2 == right.allowsHTTP2
            && left.users == right.users && left.rateLimit == right.rateLimit
    }
}

/// What is wrong with a web configuration, in the words of Prometheus's.
public struct WebConfigError: Error, Equatable, Sendable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}
