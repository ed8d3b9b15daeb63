/// The moments a query, or a subquery, is evaluated at.
struct Steps: Equatable {
    var startMs: Int64
    /// Greater than 0; meaningless when there is one step.
    var stepMs: Int64
    var count: Int

    @inline(__always) func timestampMs(_ index: Int) -> Int64 { startMs &+ Int64(index) &* stepMs }

    var endMs: Int64 { timestampMs(max(0, count - 1)) }

    static func instant(_ timestampMs: Int64) -> Steps { Steps(startMs: timestampMs, stepMs: 1, count: 1) }

    /// The first step alone.
    var first: Steps { Steps(startMs: startMs, stepMs: stepMs, count: min(count, 1)) }
}

/// The moments a selector looks at, one for each step: shifted by its offset, or all the same under `@`.
struct References {
    let steps: Steps
    let atMs: Int64?
    let offsetMs: Int64

    @inline(__always) func timestampMs(_ index: Int) -> Int64 { (atMs ?? steps.timestampMs(index)) &- offsetMs }

    var firstMs: Int64 { timestampMs(0) }
    var lastMs: Int64 { timestampMs(max(0, steps.count - 1)) }
}
