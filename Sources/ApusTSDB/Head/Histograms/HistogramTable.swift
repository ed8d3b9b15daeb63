import ApusModel

/// What the head remembers of a series whose newest sample is a native histogram.
struct HistogramSeries {
    var slot: UInt32
    /// The open chunk; when `isOpen` is false a sealed one, which the next chunk's hint is found by.
    var encoder: HistogramEncoder
    var isOpen: Bool
    /// The newest sample as it came: one like it at the same time is no error.
    var last: NativeHistogram
    /// When the open chunk is to end, ms: at the end of its period, or before so that its size comes near the target.
    var endMs: Int64
    /// Whether `endMs` has been moved by the chunk's size.
    var hasPredictedEnd = false
}

/// The series whose newest sample is a native histogram, by slot. They are few and large: a series of floats pays nothing
/// for them but a value in its `capacity`.
struct HistogramTable {
    private(set) var series: [HistogramSeries] = []
    private var places: [UInt32: Int] = [:]

    var isEmpty: Bool { series.isEmpty }
    var openChunks: Int { series.reduce(0) { $0 + ($1.isOpen ? 1 : 0) } }
    /// Memory of the chunks and of the newest samples.
    var sizeBytes: Int { series.reduce(0) { $0 + $1.encoder.memoryBytes + $1.last.words.count * 8 } }

    subscript(slot: UInt32) -> HistogramSeries? { places[slot].map { series[$0] } }

    mutating func insert(_ one: HistogramSeries) {
        places[one.slot] = series.count
        series.append(one)
    }

    mutating func remove(_ slot: UInt32) {
        guard let place = places.removeValue(forKey: slot), let moved = series.popLast() else { return }
        if place < series.count {
            series[place] = moved
            places[moved.slot] = place
        }
    }

    /// Changes a series in place, without a copy of its chunk. Nil, and `body` is not called, when there is none.
    mutating func modify<R>(_ slot: UInt32, _ body: (inout HistogramSeries) -> R) -> R? {
        guard let place = places[slot] else { return nil }
        return body(&series[place])
    }
}
