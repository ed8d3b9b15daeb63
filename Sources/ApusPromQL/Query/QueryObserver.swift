/// A part of a query's time, as Prometheus's `prometheus_engine_query_duration_seconds` names them.
public enum QuerySlice: String, Sendable, CaseIterable {
    case queueTime = "queue_time"
    case prepareTime = "prepare_time"
    case innerEval = "inner_eval"
    case resultSort = "result_sort"
}

/// Hears how long the parts of each query took. Called on the engine's threads.
public protocol QueryObserver: Sendable {
    func observe(slice: QuerySlice, seconds: Double)
}
