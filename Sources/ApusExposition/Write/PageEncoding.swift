/// In what form a page of metrics is written: the format, and what becomes of names outside the classic alphabet.
public struct PageEncoding: Hashable, Sendable {
    public enum Format: Sendable, CaseIterable {
        /// The text format 0.0.4; names are of the classic alphabet.
        case text
        /// The text format 1.0.0: 0.0.4 with quoted UTF-8 names.
        case textUTF8
        /// OpenMetrics 0.0.1 and 1.0.0, which are written alike.
        case openMetrics
        /// OpenMetrics 2.0, a draft: histograms and summaries are one line. Only for who asks for it by its version.
        case openMetrics2
        /// `io.prometheus.client.MetricFamily` messages, each with its length before it. Carries everything.
        case protobuf
    }
    public var format: Format
    public var escaping: NameEscaping
    /// OpenMetrics 1.0 tells when counting began as a series of its own for each counter, histogram and summary. Off
    /// unless asked for, as it nearly doubles the number of counters; the other formats need no series for it.
    public var writesCreatedSeries = false
    /// The version to name in the content type: 0.0.1 for a reader that asked for that.
    var isOldOpenMetrics = false

    public init(_ format: Format = .text, escaping: NameEscaping? = nil) {
        self.format = format
        self.escaping = escaping ?? (format == .text ? .underscores : .allowUTF8)
    }

    public static let text = PageEncoding(.text)
    public static let openMetrics = PageEncoding(.openMetrics)
    public static let protobuf = PageEncoding(.protobuf)

    /// What to send as `Content-Type`.
    public var contentType: String {
        let type =
            switch format {
            case .text: "text/plain; version=0.0.4; charset=utf-8"
            case .textUTF8: "text/plain; version=1.0.0; charset=utf-8"
            case .openMetrics: "application/openmetrics-text; version=\(isOldOpenMetrics ? "0.0.1" : "1.0.0"); charset=utf-8"
            case .openMetrics2: "application/openmetrics-text; version=2.0.0; charset=utf-8"
            case .protobuf: "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        return "\(type); escaping=\(escaping.rawValue)"
    }

    /// Formats that are offered unless told otherwise.
    public static let offeredFormats: Set<Format> = [.text, .textUTF8, .openMetrics, .protobuf]
}
