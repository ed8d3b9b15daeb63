import ApusBytes
import ApusModel

/// A metric whose series each have label names of their own: for what is only known at run time, such as the labels that
/// another instrumentation library hands over.
///
///     let requests = try registry.openCounter("http_requests_total", help: "Requests answered.")
///     try requests([("method", "get")]).increment()
///     try requests([("method", "get"), ("error", "timeout")]).increment()
///
/// Where the label names are known when the program is written, declare them: `MetricFamily` checks them at compile time
/// and is faster to look up. A label with an empty value is an absent one.
public struct OpenFamily<Metric: Instrument>: Sendable {
    let core: FamilyCore
    let registry: MetricRegistry

    /// The series with these labels, in whatever order they are given. At the family's limit a new combination gets the
    /// overflow series, whose only label is `overflow`, with the value `__overflow__`.
    /// - Throws: what is wrong with a label's name.
    public func callAsFunction(_ labels: [(String, String)]) throws(MetricError) -> Metric {
        let key = try key(labels)
        let hash = LabelHash.hash(key, seed: core.seed)
        let child = unsafe key.withUnsafeBufferPointer { key -> Instrument in
            // SAFETY: the key is not empty, so that it has an address, and `find` does not keep it.
            unsafe core.find(SeriesKey(start: key.baseAddress.unsafelyUnwrapped, count: key.count, hash: hash))
        }
        // SAFETY: the registry makes only `Metric`s in the family of which this is a handle.
        return unsafe unsafeDowncast(child, to: Metric.self)
    }

    /// Stops showing a series that this family gave out; false if it was not shown.
    @discardableResult
    public func remove(_ metric: Metric) -> Bool { core.remove(metric.key) }

    /// Stops showing the series whose labels have all these values; returns how many.
    @discardableResult
    public func removeAll(where labels: [(String, String)]) -> Int { core.removeAll(where: labels) }

    /// Stops showing all series.
    public func removeAll() { core.removeAll() }

    /// How many series there are.
    public var count: Int { core.count }

    /// Names and values by turns, sorted by name, as `LabelWriter` would write them.
    private func key(_ labels: [(String, String)]) throws(MetricError) -> [UInt8] {
        var key: [UInt8] = []
        var previous: String?
        for (name, value) in labels.sorted(by: { $0.0 < $1.0 }) {
            let metric = core.descriptor.name.description
            guard registry.isLabelName(ByteString(name)) else { throw .invalidLabelName(name, metric: metric) }
            if MetricRegistry.isReserved(name) { throw .reservedLabelName(name, metric: metric) }
            if name == previous || core.descriptor.constantLabels.contains(where: { $0.name == ByteString(name) }) {
                throw .duplicateLabelName(name, metric: metric)
            }
            previous = name
            if value.isEmpty { continue }
            Self.append(name, to: &key)
            Self.append(value, to: &key)
        }
        // A key of no labels still needs an address: the label without name and value says nothing more.
        if key.isEmpty { Self.append("", to: &key) }
        return key
    }

    private static func append(_ text: String, to key: inout [UInt8]) {
        let start = key.count
        key.append(contentsOf: text.utf8)
        let length = UInt32(truncatingIfNeeded: key.count - start)
        for shift in [0, 8, 16, 24] { key.append(UInt8(truncatingIfNeeded: length >> UInt32(shift))) }
    }
}
