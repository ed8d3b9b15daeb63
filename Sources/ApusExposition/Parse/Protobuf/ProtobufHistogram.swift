import ApusModel

/// The fields of a `Histogram` message, which may be a classic histogram, a native one, or both.
struct ProtobufHistogram {
    struct Bucket {
        var bound = 0.0
        /// Observations up to the bound.
        var count = 0.0
        var exemplar: Range<Int>?
    }
    private struct Side {
        var spans: [HistogramSpan] = []
        var deltas: [Int64] = []
        var counts: [Double] = []
    }

    private var wholeCount: UInt64 = 0
    private var floatCount = 0.0
    private(set) var sum = 0.0
    private(set) var buckets: [Bucket] = []
    private var schema: Int32 = 0
    private var zeroThreshold = 0.0
    private var wholeZeroCount: UInt64 = 0
    private var floatZeroCount = 0.0
    private var positive = Side()
    private var negative = Side()
    private(set) var startMs: Int64 = 0
    private(set) var exemplars: [Range<Int>] = []

    init(_ page: Span<UInt8>, _ range: Range<Int>) throws(ExpositionError) {
        var fields = WireReader(range)
        while let field = try fields.next(page) {
            let value = field.value
            switch (field.number, value) {
            case (1, _): wholeCount = value.unsigned
            case (2, _): sum = value.double
            case (3, .bytes(let message)): buckets.append(try Self.bucket(page, message))
            case (4, _): floatCount = value.double
            case (5, _): schema = Int32(truncatingIfNeeded: value.zigzag)
            case (6, _): zeroThreshold = value.double
            case (7, _): wholeZeroCount = value.unsigned
            case (8, _): floatZeroCount = value.double
            case (9, .bytes(let message)): negative.spans.append(try Self.span(page, message))
            case (10, _): try Self.append(value, page, to: &negative.deltas)
            case (11, _): try Self.append(value, page, to: &negative.counts)
            case (12, .bytes(let message)): positive.spans.append(try Self.span(page, message))
            case (13, _): try Self.append(value, page, to: &positive.deltas)
            case (14, _): try Self.append(value, page, to: &positive.counts)
            case (15, .bytes(let message)): startMs = try decodeTimestampMs(page, message)
            case (16, .bytes(let message)): exemplars.append(message)
            default: break
            }
        }
    }

    private static func bucket(_ page: Span<UInt8>, _ range: Range<Int>) throws(ExpositionError) -> Bucket {
        var bucket = Bucket()
        var fields = WireReader(range)
        while let field = try fields.next(page) {
            switch (field.number, field.value) {
            // A float count wins, unless it is the default.
            case (1, _): if bucket.count == 0 { bucket.count = Double(field.value.unsigned) }
            case (2, _): bucket.bound = field.value.double
            case (3, .bytes(let message)): bucket.exemplar = message
            case (4, _): if field.value.double != 0 { bucket.count = field.value.double }
            default: break
            }
        }
        return bucket
    }

    private static func span(_ page: Span<UInt8>, _ range: Range<Int>) throws(ExpositionError) -> HistogramSpan {
        var span = HistogramSpan(offset: 0, length: 0)
        var fields = WireReader(range)
        while let field = try fields.next(page) {
            if field.number == 1 { span.offset = Int32(truncatingIfNeeded: field.value.zigzag) }
            if field.number == 2 { span.length = UInt32(truncatingIfNeeded: field.value.unsigned) }
        }
        return span
    }

    /// Repeated numbers come packed, or each as a field of its own.
    private static func append(_ value: WireReader.Value, _ page: Span<UInt8>, to list: inout [Int64]) throws(ExpositionError) {
        guard let range = value.range else {
            list.append(value.zigzag)
            return
        }
        var reader = WireReader(range)
        while reader.offset < reader.end { list.append(WireReader.Value.varint(try reader.uvarint(page, "a bucket's delta")).zigzag) }
    }

    private static func append(_ value: WireReader.Value, _ page: Span<UInt8>, to list: inout [Double]) throws(ExpositionError) {
        guard let range = value.range else {
            list.append(value.double)
            return
        }
        var reader = WireReader(range)
        while reader.offset < reader.end { list.append(Double(bitPattern: try reader.fixed(page, 8))) }
    }

    // MARK: What it is

    /// Without spans, zero threshold and zero count it is a classic histogram: libraries write a span of no length into a
    /// native one that has seen nothing.
    var isNative: Bool { !positive.spans.isEmpty || !negative.spans.isEmpty || zeroThreshold > 0 || wholeZeroCount > 0 }

    var count: Double { floatCount != 0 ? floatCount : Double(wholeCount) }

    func native(isGauge: Bool) throws(HistogramError) -> NativeHistogram {
        let layout = HistogramLayout(
            schema: schema, zeroThreshold: zeroThreshold, positiveSpans: positive.spans, negativeSpans: negative.spans)
        let hint: CounterResetHint = isGauge ? .gauge : .unknown
        let histogram: NativeHistogram
        if floatCount > 0 || floatZeroCount > 0 {
            histogram = try NativeHistogram(
                layout: layout, hint: hint, floatCount: floatCount, zeroCount: floatZeroCount, sum: sum, positive: positive.counts,
                negative: negative.counts)
        } else {
            histogram = try NativeHistogram(
                layout: layout, hint: hint, count: wholeCount, zeroCount: wholeZeroCount, sum: sum, positiveDeltas: positive.deltas,
                negativeDeltas: negative.deltas)
        }
        return histogram.compacted()
    }

    /// The classic buckets as a native histogram with custom bounds; nil when they make no sense.
    var converted: NativeHistogram? {
        var builder = ClassicHistogramBuilder()
        for bucket in buckets {
            builder.setBucket(upperBound: bucket.bound, cumulativeCount: bucket.count)
            if bucket.bound == .infinity { break }
        }
        builder.setCount(count)
        builder.setSum(sum)
        return try? builder.build()
    }
}
