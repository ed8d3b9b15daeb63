/// What a query cost.
public struct QueryStatistics: Sendable {
    /// Samples read by all selectors, counted once for each step that looks at them.
    public var totalQueryableSamples: Int64 = 0
    /// `totalQueryableSamples` by step of the query; nil unless asked for.
    public var queryableSamplesPerStep: [Int64]?
    /// `samplesRead` by step of the query: each sample at the first step that needs it; nil unless asked for.
    public var samplesReadPerStep: [Int64]?
    /// Samples taken from the storage: a sample in several windows of one range selector counts once.
    public var samplesRead: Int64 = 0
    /// The most samples held in memory at once.
    public var peakSamples: Int64 = 0
    /// Series that the storage gave.
    public var seriesSelected: Int64 = 0

    /// About the memory of the samples that were held at once, at its most.
    public var peakBytes: Int64 = 0

    // Times in seconds.
    public var queueSeconds = 0.0
    /// Parsing, checking and planning.
    public var prepareSeconds = 0.0
    public var innerEvalSeconds = 0.0
    public var resultSortSeconds = 0.0
    /// Preparation, evaluation and sorting.
    public var evalTotalSeconds: Double { prepareSeconds + innerEvalSeconds + resultSortSeconds }
    /// The whole, queueing included.
    public var execTotalSeconds: Double { queueSeconds + evalTotalSeconds }

    public init() {}
}

/// What an engine is doing and has done.
public struct EngineStatistics: Sendable {
    public var runningQueries = 0
    public var queuedQueries = 0
    public var maxConcurrency = 0
    /// Samples that all queries looked at so far, counted once for each step.
    public var queryableSamples: Int64 = 0
    /// Samples that all queries took from the storage so far.
    public var samplesRead: Int64 = 0
    /// Queries finished so far, whatever their outcome.
    public var queriesFinished: Int64 = 0
    public var queriesFailed: Int64 = 0
}
