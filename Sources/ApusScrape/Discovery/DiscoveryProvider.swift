import ApusConfig
import ApusModel

/// What one look brought.
struct DiscoveryUpdate: Sendable {
    /// Each replaces the group of its source.
    var groups: [TargetGroup] = []
    /// Whether sources that are not among `groups` are gone; otherwise they stay as they were.
    var isComplete = true
    /// What went wrong, for the log; the rest counts.
    var problems: [String] = []
    var lookups = 0
    var failedLookups = 0
}

/// One entry of a `…_sd_configs` list that asks someone for targets. A new kind is one type with this face, and a case in
/// `makeProviders`.
protocol DiscoveryProvider: Sendable {
    /// As in `prometheus_sd_…{mechanism=…}`: `http`, `dns`.
    static var mechanism: String { get }
    var refreshIntervalMs: Int64 { get }
    /// Asks, and waits for the answer: called on a thread for such things.
    /// - Throws: when nothing came; what was known before stays.
    func refresh() throws(DiscoveryFailure) -> DiscoveryUpdate
}

struct DiscoveryFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// What makes a provider: two entries that say the same share one.
enum ProviderConfig: Hashable, Sendable {
    case http(HTTPSDConfig)
    case dns(DNSSDConfig)
}

extension DiscoveryConfigs {
    var providers: [ProviderConfig] { httpSDConfigs.map(ProviderConfig.http) + dnsSDConfigs.map(ProviderConfig.dns) }
}

extension ProviderConfig {
    func makeProvider(options: ScrapeOptions, time: any TimeSource) -> any DiscoveryProvider {
        switch self {
        case .http(let config): HTTPDiscovery(config: config, userAgent: options.userAgent, time: time)
        case .dns(let config): DNSDiscovery(config: config, resolver: DNSResolver(path: DNSResolver.systemPath))
        }
    }
}
