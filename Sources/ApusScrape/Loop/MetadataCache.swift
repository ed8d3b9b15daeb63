import ApusBytes
import ApusModel

/// What a target said about its metric families. Families stay for ten scrapes after they left the page.
struct MetadataCache: Sendable {
    static let keptScrapes = 10
    private struct Entry {
        var metadata = MetricMetadata()
        /// Scrapes since the family left the page, counted at scrapes whose shape changed.
        var missed = 0
        var sizeBytes: Int { metadata.help.utf8.count + metadata.unit.utf8.count + metadata.type.rawValue.utf8.count }
    }
    private var entries: [ByteString: Entry] = [:]

    var count: Int { entries.count }
    /// Of texts, as Prometheus counts it.
    var sizeBytes: Int { entries.values.reduce(0) { $0 + $1.sizeBytes } }

    mutating func setHelp(_ name: ByteString, _ text: ByteString) {
        entries[name, default: Entry()].metadata.help = text.description
        entries[name]?.missed = 0
    }
    mutating func setType(_ name: ByteString, _ type: MetricType) {
        entries[name, default: Entry()].metadata.type = type
        entries[name]?.missed = 0
    }

    mutating func setUnit(_ name: ByteString, _ unit: ByteString) {
        entries[name, default: Entry()].metadata.unit = unit.description
        entries[name]?.missed = 0
    }

    /// A page of another shape was stored, with metadata for just `present`.
    mutating func retain(_ present: Set<ByteString>) {
        for name in Array(entries.keys) {
            guard var entry = entries[name] else { continue }
            entry.missed = present.contains(name) ? 0 : entry.missed + 1
            entries[name] = entry.missed > Self.keptScrapes ? nil : entry
        }
    }

    /// What is known of the family that a series of this name belongs to.
    func family(of series: ByteString) -> MetricMetadata? {
        if let found = entries[series] { return found.metadata }
        for suffix in Self.suffixes where series.hasSuffix(suffix) {
            if let found = entries[ByteString(series.bytes.dropLast(suffix.count))] { return found.metadata }
        }
        return nil
    }
    private static let suffixes: [ByteString] = ["_total", "_bucket", "_count", "_sum", "_info", "_gcount", "_gsum", "_created"]

    subscript(name: ByteString) -> MetricMetadata? { entries[name]?.metadata }
    /// Sorted by name.
    var all: [(name: ByteString, metadata: MetricMetadata)] {
        entries.map { ($0.key, $0.value.metadata) }.sorted { $0.name < $1.name }
    }
}
