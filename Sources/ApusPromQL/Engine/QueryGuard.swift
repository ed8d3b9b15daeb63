import ApusModel

/// What holds a query within its bounds: time, memory, and the caller's patience. One for each query.
final class QueryGuard {
    /// When to give up: what threads that help with a query need to know.
    struct Limits: Sendable {
        let time: any TimeSource
        let deadlineNs: UInt64
        let cancellation: CancellationFlag?
    }
    let limits: Limits
    /// Of a caller who tries the query first.
    private let quick: QuickBudget?
    private let maxSamples: Int
    private let memory: (any QueryMemory)?
    /// Told of what is held, for those who watch.
    private let activity: QueryActivity?
    private var unchecked = 0
    /// How many samples may be held before more memory is asked for: the first stretch is free.
    private var grantedSamples = grantSamples

    /// Asked for at once. A sample is two words, and its row or column has as much again to grow into.
    static let grantSamples = 16_384
    static let sampleBytes = 24

    /// Samples held in memory now, and the most so far.
    private(set) var heldSamples = 0
    private(set) var peakSamples = 0
    /// Samples looked at, once for each step.
    private(set) var touchedSamples = 0
    /// Samples taken from the storage: as those, but a sample that several windows of one range selector share counts once.
    private(set) var readSamples = 0
    /// How what is counted now belongs to the query's steps.
    var scope = CountingScope()
    /// Counts by step; nil unless they are asked for.
    private(set) var steps: StepCounts?

    init(
        time: any TimeSource, deadlineNs: UInt64, cancellation: CancellationFlag?, maxSamples: Int, memory: (any QueryMemory)? = nil,
        activity: QueryActivity? = nil, quick: QuickBudget? = nil, stepCount: Int? = nil
    ) {
        limits = Limits(time: time, deadlineNs: deadlineNs, cancellation: cancellation)
        self.quick = quick
        self.maxSamples = maxSamples
        self.memory = memory
        self.activity = activity
        steps = stepCount.map { StepCounts(count: $0) }
    }

    /// For a thread that helps with a query. What it holds is counted by the query's own.
    convenience init(_ limits: Limits) {
        self.init(
            time: limits.time, deadlineNs: limits.deadlineNs, cancellation: limits.cancellation, maxSamples: .max)
    }

    var deadlineNs: UInt64 { limits.deadlineNs }

    deinit {
        let lent = grantedSamples - Self.grantSamples
        if lent > 0 { memory?.release(lent &* Self.sampleBytes) }
    }

    /// Looks at the flag and at the clock.
    func check() throws(QueryError) {
        activity?.publish(
            touchedSamples: touchedSamples, heldBytes: heldSamples &* Self.sampleBytes, peakBytes: peakSamples &* Self.sampleBytes)
        if limits.cancellation?.isCanceled == true { throw .evaluationCanceled }
        let nowNs = limits.time.monotonicNs()
        if nowNs > limits.deadlineNs { throw .timedOut }
        // Nobody gets to see this one: whoever has the budget asks it.
        if quick?.isOver(nowNs: nowNs) == true { throw .evaluationCanceled }
    }

    /// Counts work, and checks after every few thousand units of it.
    @inline(__always) func work(_ units: Int) throws(QueryError) {
        unchecked &+= units
        if unchecked >= 16_384 {
            unchecked = 0
            try check()
        }
    }

    /// What was counted so far.
    func report(to statistics: inout QueryStatistics) {
        statistics.totalQueryableSamples = Int64(touchedSamples)
        statistics.samplesRead = Int64(readSamples)
        statistics.peakSamples = Int64(peakSamples)
        statistics.peakBytes = Int64(peakSamples &* Self.sampleBytes)
        statistics.queryableSamplesPerStep = steps?.queryable
        statistics.samplesReadPerStep = steps?.read
    }

    /// Counts samples that are looked at, once for each step that does.
    func touch(_ samples: Int) { touchedSamples &+= samples &* scope.factor }

    /// What `touch` and `read` count, step by step. Only called when there is somebody to look.
    func countAtStep(_ step: Int, touched: Int, read: Int) { steps?.add(scope, step, touched: touched, read: read) }

    /// Counts samples that a selector took from the storage.
    func read(_ samples: Int) { readSamples &+= samples }

    /// Counts samples that stay in memory until `release`.
    func hold(_ samples: Int) throws(QueryError) {
        heldSamples &+= samples
        peakSamples = max(peakSamples, heldSamples)
        if heldSamples > maxSamples { throw .tooManySamples }
        if heldSamples > grantedSamples && memory != nil { try askForMore() }
    }

    private func askForMore() throws(QueryError) {
        guard let memory else { return }
        let missing = heldSamples &- grantedSamples
        let grant = max(missing, Self.grantSamples)
        if let refusal = memory.reserve(grant &* Self.sampleBytes) { throw .execution(refusal) }
        grantedSamples &+= grant
    }

    func release(_ samples: Int) { heldSamples &-= samples }
}
