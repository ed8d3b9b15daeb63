/// One observation singled out, with labels that lead elsewhere, such as to a trace.
public struct Exemplar: Hashable, Sendable {
    /// The most characters (not bytes) that names and values may have together.
    public static let maxLabelCharacters = 128

    public var labels: LabelSet
    public var value: Double
    /// Milliseconds since the epoch. Of the scrape, when the target gave none.
    public var timestampMs: Int64
    /// Whether the target gave the timestamp.
    public var hasTimestamp: Bool

    public init(labels: LabelSet, value: Double, timestampMs: Int64, hasTimestamp: Bool = true) {
        self.labels = labels
        self.value = value
        self.timestampMs = timestampMs
        self.hasTimestamp = hasTimestamp
    }

    /// Values by their bits, so that NaN equals itself.
    public static func == (left: Exemplar, right: Exemplar) -> Bool {
        left.timestampMs == right.timestampMs && left.value.bitPattern == right.value.bitPattern && left.hasTimestamp == right.hasTimestamp
            && left.labels == right.labels
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(labels)
        hasher.combine(value.bitPattern)
        hasher.combine(timestampMs)
        hasher.combine(hasTimestamp)
    }
}
