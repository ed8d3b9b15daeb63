import ApusBytes
import ApusExposition
public import ApusModel
import Synchronization

/// The metrics of a program, declared once and shown as a page at every scrape.
///
///     let registry = MetricRegistry()
///     let jobs = try registry.counter("jobs_total", help: "Jobs done.")
///     jobs.increment()
///     let page = registry.renderText()
///
/// Declaring throws when a name or a combination can't be; after that nothing fails: updates that make no sense are
/// dropped and counted in `faults`. Declaring the same again returns the same series. Families come out sorted by name,
/// series sorted by labels, so two pages differ only where values do.
///
/// Next: `MetricFamily` for labels, `MetricSink` for values that exist elsewhere, `registerProcessMetrics()`.
public final class MetricRegistry: Sendable {
    /// Which names may be declared.
    public enum NameScheme: Sendable {
        /// `[a-zA-Z_:][a-zA-Z0-9_:]*`: every Prometheus reads them.
        case classic
        /// Any UTF-8; what is not classic is written in quotes, which needs Prometheus 3 to read.
        case utf8
    }

    struct State {
        var families: [ByteString: any PageWriter] = [:]
        /// Names of series, and which family writes them.
        var seriesNames: [ByteString: ByteString] = [:]
        var sorted: [any PageWriter]?
        var collectors: [@Sendable (inout MetricSink) -> Void] = []
    }
    private let state = Locked(State())
    /// What was dropped because it made no sense.
    public let faults = UpdateFaults()
    let time: any TimeSource
    let names: NameScheme
    let seriesLimit: Int
    let constantLabels: KeyValuePairs<String, String>
    /// `constantLabels` as they stand in a page.
    let constantLabelText: [UInt8]

    /// - Parameters:
    ///   - constantLabels: labels of every series; prefer the labels that the server gives a target.
    ///   - seriesLimit: how many series a family may have beside its overflow series, unless declared otherwise.
    public init(
        constantLabels: KeyValuePairs<String, String> = [:], names: NameScheme = .classic, seriesLimit: Int = 10_000,
        time: any TimeSource = SystemTime()
    ) {
        self.constantLabels = constantLabels
        var text: [UInt8] = []
        for (key, value) in constantLabels {
            if !text.isEmpty { text.append(UInt8(ascii: ",")) }
            text.appendLabelPair(name: ByteString(key), value: ByteString(value))
        }
        constantLabelText = text
        self.names = names
        self.seriesLimit = seriesLimit
        self.time = time
    }

    /// Calls `collect` at every scrape, for values that live elsewhere: see `MetricSink`. Collectors run one after
    /// the other on the thread that renders.
    public func collect(_ collect: @escaping @Sendable (inout MetricSink) -> Void) {
        state.withLock { $0.collectors.append(collect) }
    }

    /// The page, in the text format 0.0.4, whose content type is `contentType`.
    public func renderText() -> [UInt8] {
        var page: [UInt8] = []
        render(into: &page)
        return page
    }

    /// Appends the page to `page`.
    public func render(into page: inout [UInt8]) {
        let (families, collectors) = state.withLock { state -> ([any PageWriter], [@Sendable (inout MetricSink) -> Void]) in
            if let sorted = state.sorted { return (sorted, state.collectors) }
            let sorted = state.families.values.sorted { $0.descriptor.name < $1.descriptor.name }
            state.sorted = sorted
            return (sorted, state.collectors)
        }
        var collected: [CollectedFamily] = []
        if !collectors.isEmpty {
            var sink = MetricSink(registry: self)
            for collect in collectors { collect(&sink) }
            collected = sink.finish()
        }
        var next = 0
        for family in families {
            while next < collected.count, collected[next].name < family.descriptor.name {
                collected[next].write(to: &page)
                next += 1
            }
            family.write(to: &page)
        }
        for family in collected[next...] { family.write(to: &page) }
    }

    /// The content type to send a page with.
    public var contentType: String { names == .classic ? TextFormat.contentType : TextFormat.utf8ContentType }

    /// Whether a declared family writes series of this name.
    func isTaken(_ name: ByteString) -> Bool { state.withLock { $0.seriesNames[name] != nil } }

    /// Adds a family, or returns the one that was declared the same way before.
    func declare<Family: PageWriter>(
        _ descriptor: FamilyDescriptor, as type: Family.Type = Family.self, make: (FamilyDescriptor) -> Family
    ) throws(MetricError) -> Family {
        let name = descriptor.name.description
        let outcome = state.withLock { state -> Swift.Result<Family, MetricError> in
            if let existing = state.families[descriptor.name] {
                if let difference = descriptor.difference(from: existing.descriptor) {
                    return .failure(.declaredDifferently(name, difference: difference))
                }
                guard let same = existing as? Family else {
                    return .failure(.declaredDifferently(name, difference: "source of values"))
                }
                return .success(same)
            }
            for seriesName in descriptor.seriesNames {
                if let owner = state.seriesNames[seriesName] { return .failure(.nameTaken(name, by: owner.description)) }
            }
            let family = make(descriptor)
            state.families[descriptor.name] = family
            for seriesName in descriptor.seriesNames { state.seriesNames[seriesName] = descriptor.name }
            state.sorted = nil
            return .success(family)
        }
        return try outcome.get()
    }

    /// Checks names and labels and puts them together.
    func describe(
        _ name: String, help: String, type: MetricType, labelNames: [String] = [], labelTypes: [ObjectIdentifier] = [],
        constantLabels own: KeyValuePairs<String, String> = [:], shape: FamilyDescriptor.Shape = .single
    ) throws(MetricError) -> FamilyDescriptor {
        let metricName = ByteString(name)
        guard isMetricName(metricName) else { throw .invalidMetricName(name) }
        var seen: Set<String> = []
        for label in constantLabels.map(\.key) + own.map(\.key) + labelNames {
            guard isLabelName(ByteString(label)) else { throw .invalidLabelName(label, metric: name) }
            if label.hasPrefix("__") || label == "le" || label == "quantile" { throw .reservedLabelName(label, metric: name) }
            guard seen.insert(label).inserted else { throw .duplicateLabelName(label, metric: name) }
        }
        switch shape {
        case .single: break
        case .histogram(let buckets): guard buckets.isValid else { throw .invalidBuckets(metric: name) }
        case .summary(let quantiles, let windowMs):
            guard quantiles.allSatisfy(\.isValid), windowMs > 0 else { throw .invalidQuantiles(metric: name) }
        }
        var constant = constantLabelText
        for (key, value) in own {
            if !constant.isEmpty { constant.append(UInt8(ascii: ",")) }
            constant.appendLabelPair(name: ByteString(key), value: ByteString(value))
        }
        return FamilyDescriptor(
            name: metricName, help: ByteString(help), type: type, labelNames: labelNames.map { ByteString($0) },
            labelTypes: labelTypes,
            constantLabels: constant, shape: shape)
    }

    func isMetricName(_ name: ByteString) -> Bool {
        names == .utf8 ? !name.isEmpty : TextFormat.isClassicMetricName(name.bytes.span)
    }
    func isLabelName(_ name: ByteString) -> Bool {
        names == .utf8 ? !name.isEmpty : TextFormat.isClassicLabelName(name.bytes.span)
    }
}
