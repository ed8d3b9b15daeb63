public import ApusBytes
public import ApusModel

/// Turns the labels of a line that is met for the first time into a series.
public protocol SeriesResolver {
    /// - Parameters:
    ///   - labels: as in the page: `__name__` first, unsorted, duplicates and empty values included; for the call only.
    ///   - accepted: how many samples of the page are stored already, for a limit.
    /// - Throws: what makes the scrape fail.
    mutating func resolve(_ labels: PageLabels, accepted: Int) throws(ScanError) -> SeriesResolution
    mutating func foundHelp(_ name: ByteString, _ text: ByteString)
    mutating func foundType(_ name: ByteString, _ type: MetricType)
    mutating func foundUnit(_ name: ByteString, _ unit: ByteString)
}

/// The formats that a scanner reads.
public enum PageFormat: Sendable {
    case text, openMetrics
    /// OpenMetrics 2.0 as drafted.
    case openMetrics2
    case protobuf
}

public enum SeriesResolution: Sendable {
    /// Below 2⁵⁶.
    case series(UInt64)
    /// Relabelling dropped it; the line is remembered as such.
    case dropped
    /// Counted, but neither stored nor remembered: a limit was reached.
    case refused
}

/// Why a scan failed.
public enum ScanError: Error, Equatable, Sendable, CustomStringConvertible {
    case malformed(ExpositionError)
    /// The resolver's reason.
    case refused(String)
    public var description: String {
        switch self {
        case .malformed(let error): error.description
        case .refused(let reason): reason
        }
    }
}
