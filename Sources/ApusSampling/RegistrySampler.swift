import ApusBytes
import ApusExposition
public import ApusMetrics
public import ApusModel
public import ApusStorage

/// Takes samples of a registry and gives them to a store, as a scraper would, without HTTP between them: `ApusHistory`
/// keeps them in memory, and whoever sends them elsewhere, by remote write for instance, is a `SampleStore` too.
///
///     let sampler = RegistrySampler(registry, into: store, labels: [Label("job", "shop")])
///     try sampler.sample()        // as often as wanted
///     sampler.end()               // the series end here
///
/// The page is written and read again, in the format that carries everything, which sounds like a detour and is none: a
/// series that stood in the page last time is known by a hash of its bytes, needs no label set, and ends with a staleness
/// marker when it is gone. Native histograms and exemplars come along; asynchronous collectors do not, since nobody waits.
public final class RegistrySampler: Sendable {
    /// What one sampling did.
    public struct Report: Sendable, Equatable {
        /// Floats and histograms stored.
        public var appended = 0
        public var exemplars = 0
        /// Series that were gone.
        public var ended = 0
        /// Samples not stored: series beyond the store's limit, times that do not advance.
        public var refused = 0
    }

    private final class State {
        var scanner = PageScanner(seed: .random(in: .min ... .max))
        let scratch = ScanScratch()
        var batch = SampleBatch()
        var page: [UInt8] = []
    }

    private let registry: MetricRegistry
    private let store: any SampleStore
    private let labels: [Label]
    private let time: any TimeSource
    private let state: Locked<State>

    /// - Parameter labels: of every series, such as `job` and `instance`; they win over the registry's.
    public init(
        _ registry: MetricRegistry, into store: any SampleStore, labels: [Label] = [], time: any TimeSource = SystemTime()
    ) {
        self.registry = registry
        self.store = store
        self.labels = labels
        self.time = time
        state = Locked(State())
    }

    /// Stores one sample of every series, at the time it is now. Blocks for as long as rendering a page takes.
    /// - Throws: when the store takes nothing.
    @discardableResult
    public func sample() throws(AppendError) -> Report {
        let result: Result<Report, AppendError> = state.withLock { state in
            do throws(AppendError) {
                var report = try sample(&state.scanner, state)
                // The store forgot series, so that their lines have to be looked up anew: once more.
                if report.forgot { report = try sample(&state.scanner, state) }
                return .success(report.report)
            } catch { return .failure(error) }
        }
        return try result.get()
    }

    /// Ends all series with staleness markers. Sampling again begins them anew.
    public func end() {
        state.withLock { state in
            state.batch.removeAll()
            state.batch.refusesOutOfOrder = true
            let now = time.wallMs()
            for ref in state.scanner.endAll() {
                state.batch.append(SeriesRef(rawValue: ref), timestampMs: now, value: StaleNaN.value)
            }
            _ = try? store.append(state.batch)
        }
    }

    private func sample(_ scanner: inout PageScanner, _ state: State) throws(AppendError) -> (report: Report, forgot: Bool) {
        let now = time.wallMs()
        // Taken out while it is used, so that its memory is reused and not copied.
        var page: [UInt8] = []
        swap(&page, &state.page)
        defer { swap(&page, &state.page) }
        page.removeAll(keepingCapacity: true)
        registry.render(into: &page, as: .protobuf)
        var report = Report()
        var resolver = Resolver(store: store, labels: labels)
        var options = PageScanner.Options(timestampMs: now)
        options.format = .protobuf
        options.keepsClassicHistograms = true
        do throws(ScanError) {
            try scanner.scan(page.span, options: options, scratch: state.scratch, resolver: &resolver)
        } catch {
            _ = scanner.abort()
            // Our own page, which we wrote: only a store can be in the way.
            throw resolver.failure ?? .unavailable("the registry's page can't be read: \(error)")
        }
        state.batch.removeAll()
        unsafe state.scratch.withColumns { refs, times, values in
            for index in refs.indices {
                // SAFETY: the columns have equal length.
                unsafe state.batch.append(SeriesRef(rawValue: refs[index]), timestampMs: times[index], value: values[index])
            }
        }
        for one in state.scratch.histograms {
            state.batch.append(
                SeriesRef(rawValue: one.ref), timestampMs: one.timestampMs, histogram: one.histogram,
                startTimestampMs: one.startTimestampMs)
        }
        for one in state.scratch.exemplars {
            state.batch.append(
                SeriesRef(rawValue: one.ref),
                exemplar: Exemplar(
                    labels: one.labels, value: one.value, timestampMs: one.timestampMs, hasTimestamp: one.hasTimestamp))
        }
        let live = state.batch.count
        for ref in scanner.commit(state.scratch) {
            state.batch.append(SeriesRef(rawValue: ref), timestampMs: now, value: StaleNaN.value)
            report.ended += 1
        }
        let outcome = try store.append(state.batch)
        report.appended = min(outcome.appended, live + state.batch.histograms.count)
        report.exemplars = outcome.exemplarsAppended
        report.refused = resolver.refused
        var forgotten: Set<UInt64> = []
        for rejection in outcome.rejections {
            switch rejection.part {
            case .float where rejection.index < live:
                if rejection.reason == .unknownSeries { forgotten.insert(state.batch.refs[rejection.index].rawValue) }
                report.refused += 1
            case .histogram:
                if rejection.reason == .unknownSeries { forgotten.insert(state.batch.histograms[rejection.index].ref.rawValue) }
                report.refused += 1
            default: break
            }
        }
        if !forgotten.isEmpty { scanner.forget(forgotten) }
        return (report, !forgotten.isEmpty)
    }

    private struct Resolver: SeriesResolver {
        let store: any SampleStore
        let labels: [Label]
        var refused = 0
        var failure: AppendError?

        mutating func resolve(_ found: PageLabels, accepted: Int) throws(ScanError) -> SeriesResolution {
            do throws(AppendError) {
                return .series(try store.seriesRef(for: LabelSet(found.labels + labels)).rawValue)
            } catch {
                switch error {
                case .limit:
                    refused += 1
                    return .refused
                case .unavailable(let reason):
                    failure = error
                    throw .refused(reason)
                }
            }
        }
        mutating func foundHelp(_ name: ByteString, _ text: ByteString) {}
        mutating func foundType(_ name: ByteString, _ type: MetricType) {}
        mutating func foundUnit(_ name: ByteString, _ unit: ByteString) {}
    }
}
