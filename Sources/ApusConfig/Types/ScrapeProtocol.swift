/// An exposition format that a scrape can ask for, by the name it has in the configuration.
public enum ScrapeProtocol: String, Sendable, Hashable, CaseIterable {
    case protobuf = "PrometheusProto"
    case text004 = "PrometheusText0.0.4"
    case text100 = "PrometheusText1.0.0"
    case openMetrics001 = "OpenMetricsText0.0.1"
    case openMetrics100 = "OpenMetricsText1.0.0"
    /// As drafted; in no default, and not one of Prometheus's.
    case openMetrics200 = "OpenMetricsText2.0.0"

    /// The media type of the Accept header, without `escaping` and weight.
    public var mediaType: String {
        switch self {
        case .protobuf: "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
        case .text004: "text/plain;version=0.0.4"
        case .text100: "text/plain;version=1.0.0"
        case .openMetrics001: "application/openmetrics-text;version=0.0.1"
        case .openMetrics100: "application/openmetrics-text;version=1.0.0"
        case .openMetrics200: "application/openmetrics-text;version=2.0.0"
        }
    }

    /// Whether the format carries UTF-8 names, so that its Accept entry says `escaping=`.
    public var hasEscaping: Bool { self == .text100 || self == .openMetrics100 || self == .openMetrics200 }

    /// In the order of preference, first is best.
    public static let defaults: [ScrapeProtocol] = [.openMetrics100, .openMetrics001, .text100, .text004]
    /// The same when native histograms are scraped, which only the protobuf format carries.
    public static let defaultsWithNativeHistograms: [ScrapeProtocol] = [.protobuf] + defaults
}
