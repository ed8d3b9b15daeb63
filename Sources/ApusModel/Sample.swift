/// One timestamp, in milliseconds since the Unix epoch, and one value.
public struct Sample: Sendable {
    public var timestampMs: Int64
    public var value: Double
    @inlinable public init(timestampMs: Int64, value: Double) {
        self.timestampMs = timestampMs
        self.value = value
    }
}

/// The exact NaNs that mean something. Compare bit patterns: no NaN equals itself.
public enum StaleNaN {
    /// "This series ended here": what a scrape appends for a series that is gone.
    public static let bits: UInt64 = 0x7FF0_0000_0000_0002
    /// The NaN that arithmetic and `NaN` in a page stand for.
    public static let normalBits: UInt64 = 0x7FF8_0000_0000_0001
    @inlinable public static var value: Double { Double(bitPattern: bits) }
    @inlinable public static func isStale(_ value: Double) -> Bool { value.bitPattern == bits }
}

/// The type a target declared for a metric family.
public enum MetricType: String, Sendable, CaseIterable {
    case counter, gauge, histogram, gaugehistogram, summary, info, stateset, unknown
}

/// What a target said about a metric family, beside its samples.
public struct MetricMetadata: Hashable, Sendable {
    public var type: MetricType
    public var help: String
    public var unit: String
    public init(type: MetricType = .unknown, help: String = "", unit: String = "") {
        self.type = type
        self.help = help
        self.unit = unit
    }
}
