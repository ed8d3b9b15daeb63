import ApusModel

/// What the head remembers of a series whose newest sample is a native histogram.
struct HistogramSeries: SlotElement {
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
typealias HistogramTable = SlotTable<HistogramSeries>

extension HistogramTable {
    var openChunks: Int { elements.reduce(0) { $0 + ($1.isOpen ? 1 : 0) } }
    /// Memory of the chunks and of the newest samples.
    var sizeBytes: Int { elements.reduce(0) { $0 + $1.encoder.memoryBytes + $1.last.words.count * 8 } }
}
