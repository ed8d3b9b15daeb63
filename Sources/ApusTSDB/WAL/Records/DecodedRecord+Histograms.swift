import ApusBytes
import ApusModel
import ApusStorage

/// Native histograms in records. A record of types 7 to 10 begins with a ref and a time, to which its samples are
/// differences, as records of floats do; 12 and 13 are laid out as 11.
///
///     integer: │ hint u8 │ schema varint │ zero threshold f64 │ zero count uvarint │ count uvarint │ sum f64 │
///     float:   │ hint u8 │ schema varint │ zero threshold f64 │ zero count f64     │ count f64     │ sum f64 │
///              │ positive spans │ negative spans │ positive buckets │ negative buckets │ bounds (schema −53 only) │
///     spans:   │ count uvarint │ { offset varint, length uvarint }… │
///     buckets: │ count uvarint │ integer: differences to the one before, varint… │ float: f64… │
///     bounds:  │ count uvarint │ f64… │
extension DecodedRecord {
    mutating func decodeHistograms(_ reader: inout ByteReader, isFloat: Bool) throws(ByteReaderError) {
        if reader.isAtEnd { return }
        let firstRef = try reader.u64()
        let firstTime = try reader.i64()
        while !reader.isAtEnd {
            let ref = firstRef &+ UInt64(bitPattern: try reader.varint())
            let time = firstTime &+ (try reader.varint())
            try decodeHistogram(&reader, ref, time, 0, isFloat)
        }
    }

    mutating func decodeHistogramsV2(_ reader: inout ByteReader, isFloat: Bool) throws(ByteReaderError) {
        if reader.isAtEnd { return }
        var ref = try reader.varint()
        let firstTime = try reader.varint()
        let firstStart = try reader.varint()
        var time = firstTime
        var start = firstStart
        while true {
            try decodeHistogram(&reader, UInt64(bitPattern: ref), time, start, isFloat)
            if reader.isAtEnd { return }
            ref &+= try reader.varint()
            time = firstTime &+ (try reader.varint())
            start = try reader.startTimestamp(previous: start, first: firstStart)
        }
    }

    private mutating func decodeHistogram(
        _ reader: inout ByteReader, _ ref: UInt64, _ time: Int64, _ start: Int64, _ isFloat: Bool
    ) throws(ByteReaderError) {
        // One that nobody can read is left out, the others are kept.
        guard let histogram = try histograms.decode(&reader, isFloat: isFloat) else {
            unreadableHistograms += 1
            return
        }
        samples.append(SeriesRef(rawValue: ref), timestampMs: time, histogram: histogram, startTimestampMs: start)
    }
}

/// Decodes histograms one by one, sharing the layout while it stays the same.
struct HistogramRecordDecoder: Sendable {
    private var layout = HistogramLayout.empty
    private var positiveSpans: [HistogramSpan] = []
    private var negativeSpans: [HistogramSpan] = []
    private var bounds: [Double] = []

    /// Nil when the bytes are in order and their meaning is not: a schema that is not known, or another number of buckets
    /// than the spans say.
    mutating func decode(_ reader: inout ByteReader, isFloat: Bool) throws(ByteReaderError) -> NativeHistogram? {
        // Upstream keeps whatever number is there; of those it does not know none means anything.
        let hint = CounterResetHint(rawValue: try reader.u8()) ?? .unknown
        let schema = try reader.varint()
        let zeroThreshold = try reader.f64()
        let zeroCount = isFloat ? try reader.u64() : try reader.uvarint()
        let count = isFloat ? try reader.u64() : try reader.uvarint()
        let sum = try reader.f64()
        try decodeSpans(&reader, into: &positiveSpans)
        try decodeSpans(&reader, into: &negativeSpans)
        var words: [UInt64] = []
        let positiveCount = try decodeBuckets(&reader, isFloat, into: &words)
        let negativeCount = try decodeBuckets(&reader, isFloat, into: &words)
        bounds.removeAll(keepingCapacity: true)
        if schema == Int64(HistogramLayout.customSchema) {
            var left = try reader.length(ofAtLeast: 8)
            while left > 0 {
                bounds.append(try reader.f64())
                left -= 1
            }
        }
        guard let schema = Int32(exactly: schema), schema == HistogramLayout.customSchema || HistogramLayout.reservedSchemas.contains(schema)
        else { return nil }
        let isSame =
            layout.schema == schema && layout.zeroThreshold.bitPattern == zeroThreshold.bitPattern && layout.positiveSpans == positiveSpans
            && layout.negativeSpans == negativeSpans && layout.customBounds.count == bounds.count
            && zip(layout.customBounds, bounds).allSatisfy { $0.bitPattern == $1.bitPattern }
        if !isSame {
            layout = HistogramLayout(
                schema: schema, zeroThreshold: zeroThreshold, positiveSpans: positiveSpans, negativeSpans: negativeSpans, customBounds: bounds)
        }
        guard positiveCount == layout.positiveCount, negativeCount == layout.negativeCount else { return nil }
        return try? NativeHistogram(
            layout: layout, hint: hint, isFloat: isFloat, countWord: count, zeroCountWord: zeroCount, sum: sum, words: words)
    }

    private func decodeSpans(_ reader: inout ByteReader, into spans: inout [HistogramSpan]) throws(ByteReaderError) {
        spans.removeAll(keepingCapacity: true)
        var left = try reader.length(ofAtLeast: 2)
        while left > 0 {
            let offset = Int32(truncatingIfNeeded: try reader.varint())
            spans.append(HistogramSpan(offset: offset, length: UInt32(truncatingIfNeeded: try reader.uvarint())))
            left -= 1
        }
    }

    private func decodeBuckets(_ reader: inout ByteReader, _ isFloat: Bool, into words: inout [UInt64]) throws(ByteReaderError) -> Int {
        let count = try reader.length(ofAtLeast: isFloat ? 8 : 1)
        words.reserveCapacity(words.count + count)
        var current: UInt64 = 0
        for _ in 0..<count {
            current = isFloat ? try reader.u64() : current &+ UInt64(bitPattern: try reader.varint())
            words.append(current)
        }
        return count
    }
}

extension ByteReader {
    /// A number of things, each of at least `size` bytes, that follow.
    mutating func length(ofAtLeast size: Int) throws(ByteReaderError) -> Int {
        let start = offset
        let count = try uvarint()
        guard count <= UInt64(remaining / size) else { throw ByteReaderError(.length(count), offset: start) }
        return Int(truncatingIfNeeded: count)
    }
}
