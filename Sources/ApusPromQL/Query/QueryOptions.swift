/// What one query may set for itself.
public struct QueryOptions: Sendable {
    /// How old a sample may be to count for an instant selector, in ms; `nil`: the engine's.
    public var lookbackDeltaMs: Int64?
    /// At most the engine's timeout; `nil`: the engine's.
    public var timeoutMs: Int64?
    /// How many series the caller will look at; 0 for all. A hint: more may be returned.
    public var limit: Int
    /// Ends the evaluation when it is set.
    public var cancellation: CancellationFlag?
    /// For who looks at running queries and at the logs of queries.
    public var origin = QueryOrigin.unknown
    /// Whether the result comes with an explanation. Costs: every series is counted on its way through every operator.
    public var explains = false
    /// Whether the result tells how many samples each step looked at. Costs a second look at each window, on one thread.
    public var countsSteps = false

    public init(
        lookbackDeltaMs: Int64? = nil, timeoutMs: Int64? = nil, limit: Int = 0, cancellation: CancellationFlag? = nil
    ) {
        self.lookbackDeltaMs = lookbackDeltaMs
        self.timeoutMs = timeoutMs
        self.limit = limit
        self.cancellation = cancellation
    }
}

/// What holds for all queries of an engine.
public struct EngineOptions: Sendable {
    /// The most samples one query may hold in memory at once.
    public var maxSamples: Int = 50_000_000
    /// Queueing included.
    public var timeoutMs: Int64 = 120_000
    /// A sample this old, or older, no longer counts for an instant selector.
    public var lookbackDeltaMs: Int64 = 300_000
    /// How many queries may run or wait to run at once; those beyond wait for a place.
    public var maxConcurrency: Int = 20
    /// The step of a subquery that names none.
    public var defaultSubqueryStepMs: Int64 = 60_000
    /// Threads that evaluate; 0: one for each core.
    public var threads: Int = 0
    /// A query that took no longer the last time it was asked, in µs, its completion included, is evaluated by who submits it, and
    /// not handed to another thread; 0: none is.
    public var quickLimitUs = 1000
    /// `--enable-feature=promql-delayed-name-removal`: metric names go at the end of the query, so that `label_replace`
    /// can still use them.
    public var enableDelayedNameRemoval = false
    /// `--enable-feature=type-and-unit-labels`: `__type__` tells what is a counter, and the name does not matter.
    public var enableTypeAndUnitLabels = false
    /// `--enable-feature=use-start-timestamps`: `rate`, `increase`, `irate` and `resets` heed when a sample's counting began.
    public var useStartTimestamps = false
    /// `--enable-feature=promql-per-step-stats`: a query may ask how many samples each of its steps looked at.
    public var enablePerStepStatistics = false
    /// What the parser accepts.
    public var parser = ParserOptions()
    public var observer: (any QueryObserver)?
    public var tracker: (any QueryTracker)?
    /// Whom a query asks for the memory of the samples it holds; nil for no one.
    public var memory: (any QueryMemory)?

    public init() {}
}
