import ApusMetrics
import ApusModel
import ApusStorage
import Testing

@testable import ApusSampling

/// A store that remembers what it was given, and can forget or refuse.
final class RecordingStore: SampleStore {
    struct State {
        var refs: [LabelSet: SeriesRef] = [:]
        var next: UInt64 = 1
        var values: [String: [Double]] = [:]
        var limit = Int.max
        var isClosed = false
    }
    let state = Locked(State())

    func seriesRef(for labels: LabelSet) throws(AppendError) -> SeriesRef {
        let result: Result<SeriesRef, AppendError> = state.withLock { state in
            if state.isClosed { return .failure(.unavailable("closed")) }
            if let known = state.refs[labels] { return .success(known) }
            if state.refs.count >= state.limit { return .failure(.limit("too many")) }
            let ref = SeriesRef(rawValue: state.next)
            state.next += 1
            state.refs[labels] = ref
            return .success(ref)
        }
        return try result.get()
    }

    func append(_ batch: borrowing SampleBatch) throws(AppendError) -> AppendOutcome {
        let (refs, values) = (batch.refs, batch.values)
        let result: Result<AppendOutcome, AppendError> = state.withLock { state in
            if state.isClosed { return .failure(.unavailable("closed")) }
            var outcome = AppendOutcome()
            for (index, ref) in refs.enumerated() {
                guard let labels = state.refs.first(where: { $0.value == ref })?.key else {
                    outcome.rejections.append(.init(index: index, reason: .unknownSeries))
                    continue
                }
                state.values[labels.description, default: []].append(StaleNaN.isStale(values[index]) ? -999 : values[index])
                outcome.appended += 1
            }
            return .success(outcome)
        }
        return try result.get()
    }

    func labels(of ref: SeriesRef) -> LabelSet? { state.withLock { $0.refs.first { $0.value == ref }?.key } }
    var values: [String: [Double]] { state.withLock { $0.values } }
}

@Suite("Sampler") struct RegistrySamplerTests {
    @Test("every series, with the labels given, and markers for what is gone")
    func samples() throws {
        let (registry, store) = (MetricRegistry(), RecordingStore())
        let gauge = try registry.gauge("g", help: "G.", labels: .label("a", as: String.self))
        gauge("x\"\n").set(1)
        gauge("y").set(2)
        let sampler = RegistrySampler(registry, into: store, labels: [Label("job", "shop")])
        #expect(try sampler.sample() == .init(appended: 2))
        gauge.remove("y")
        gauge("x\"\n").set(3)
        #expect(try sampler.sample() == .init(appended: 1, ended: 1))
        sampler.end()
        let values = store.values.sorted { $0.key < $1.key }.map(\.value)
        #expect(values == [[1, 3, -999], [2, -999]])
        #expect(store.values.keys.allSatisfy { $0.contains("shop") })
    }

    @Test("series that the store forgot are looked up again in the same pass")
    func forgotten() throws {
        let (registry, store) = (MetricRegistry(), RecordingStore())
        try registry.gauge("g", help: "G.").set(1)
        let sampler = RegistrySampler(registry, into: store)
        try sampler.sample()
        store.state.withLock { $0.refs = [:] }
        #expect(try sampler.sample().appended == 1)
        #expect(store.values.values.map(\.count) == [2])
    }

    @Test("a store that is full leaves out, one that is closed fails, and both recover")
    func refusals() throws {
        let (registry, store) = (MetricRegistry(), RecordingStore())
        for index in 0..<5 { try registry.gauge("g\(index)", help: "G.").set(1) }
        let sampler = RegistrySampler(registry, into: store)
        store.state.withLock { $0.limit = 2 }
        #expect(try sampler.sample() == .init(appended: 2, refused: 3))
        store.state.withLock { $0.isClosed = true }
        #expect(throws: AppendError.self) { try sampler.sample() }
        store.state.withLock { ($0.isClosed, $0.limit) = (false, 10) }
        #expect(try sampler.sample() == .init(appended: 5))
    }

    @Test("an empty registry gives nothing")
    func empty() throws { #expect(try RegistrySampler(MetricRegistry(), into: RecordingStore()).sample() == .init()) }
}
