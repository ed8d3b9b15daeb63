/// Where targets come from: the `*_sd_configs` and `static_configs` of a job or an Alertmanager.
public struct DiscoveryConfigs: Sendable, Hashable {
    public var staticConfigs: [StaticConfig] = []
    public var fileSDConfigs: [FileSDConfig] = []
    public var httpSDConfigs: [HTTPSDConfig] = []
    public var dnsSDConfigs: [DNSSDConfig] = []
    public init() {}
}

/// An entry of `file_sd_configs`.
public struct FileSDConfig: Sendable, Hashable {
    /// Absolute paths; the last path element may hold `*`.
    public var files: [String] = []
    /// How often the files are read again although nothing told of a change.
    public var refreshIntervalMs: Int64 = 300_000
    public init() {}
}

/// An entry of `http_sd_configs`.
public struct HTTPSDConfig: Sendable, Hashable {
    public var url = ""
    public var refreshIntervalMs: Int64 = 60_000
    public var http = HTTPClientConfig()
    public init() {}
}

/// An entry of `dns_sd_configs`.
public struct DNSSDConfig: Sendable, Hashable {
    public enum RecordType: String, Sendable, Hashable, CaseIterable {
        case srv = "SRV"
        case a = "A"
        case aaaa = "AAAA"
        case mx = "MX"
        case ns = "NS"
    }
    public var names: [String] = []
    public var type = RecordType.srv
    /// Of the targets, where the record does not say.
    public var port = 0
    public var refreshIntervalMs: Int64 = 30_000
    public init() {}
}
