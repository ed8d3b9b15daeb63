import ApusBytes
import ApusModel

/// A value of OpenMetrics 2.0 in braces: `{count:17,sum:3.5,bucket:[0.1:8,+Inf:17]}`. All of a histogram or a summary.
///
/// <https://prometheus.io/docs/specs/om/open_metrics_spec_2_0/#compositevalues>. Fields must be known and stand there once, in
/// any order: the one that the draft wants serves those who skip some.
struct CompositeValue {
    var count = 0.0
    var sum = 0.0
    /// `gcount` and `gsum`.
    var isGauge = false
    /// Cumulative, by bounds that rise; the last one's is infinite.
    var buckets: [(bound: Double, count: Double)]?
    var quantiles: [(quantile: Double, value: Double)]?
    var schema: Int32?
    var zeroThreshold = 0.0
    var zeroCount = 0.0
    var positiveSpans: [HistogramSpan] = []
    var negativeSpans: [HistogramSpan] = []
    var positive: [Double] = []
    var negative: [Double] = []

    /// Reads from the opening brace to past the closing one, and moves `offset` there.
    init(_ page: Span<UInt8>, at offset: inout Int) throws(ExpositionError) {
        var reader = Reader(offset: offset)
        var seen: Set<String> = []
        try reader.expect(page, "{")
        while true {
            let name = try reader.name(page)
            guard seen.insert(name).inserted else { throw reader.error(page, "field \(name) a second time") }
            try reader.expect(page, ":")
            switch name {
            case "count": count = try reader.number(page)
            case "sum": sum = try reader.number(page)
            case "gcount": (count, isGauge) = (try reader.number(page), true)
            case "gsum": (sum, isGauge) = (try reader.number(page), true)
            case "schema": schema = try reader.schema(page)
            case "zero_threshold": zeroThreshold = try reader.number(page)
            case "zero_count": zeroCount = try reader.number(page)
            case "positive_spans": positiveSpans = try reader.spans(page)
            case "negative_spans": negativeSpans = try reader.spans(page)
            case "positive_buckets": positive = try reader.numbers(page)
            case "negative_buckets": negative = try reader.numbers(page)
            case "bucket": buckets = try reader.pairs(page)
            case "quantile": quantiles = try reader.pairs(page).map { ($0.0, $0.1) }
            default: throw reader.error(page, "unknown field \(name) of a value")
            }
            if reader.take(page, ",") { continue }
            try reader.expect(page, "}")
            break
        }
        func has(_ name: String) -> Bool { seen.contains(name) }
        guard isGauge ? has("gcount") && has("gsum") && !has("count") && !has("sum") : has("count") && has("sum") else {
            throw reader.error(page, "a value needs count and sum, or gcount and gsum")
        }
        guard (quantiles != nil) != (buckets != nil || schema != nil) else {
            throw reader.error(page, "a value needs either quantiles or buckets")
        }
        if let buckets {
            guard buckets.last?.bound == .infinity else { throw reader.error(page, "a histogram without a bucket +Inf") }
            guard zip(buckets, buckets.dropFirst()).allSatisfy({ $0.bound < $1.bound }) else { throw reader.error(page, "buckets are out of order") }
        }
        offset = reader.offset
    }

    /// The native buckets, or nil where there are none.
    func native(hint: CounterResetHint) throws(HistogramError) -> NativeHistogram? {
        guard let schema else { return nil }
        let layout = HistogramLayout(
            schema: schema, zeroThreshold: zeroThreshold, positiveSpans: positiveSpans, negativeSpans: negativeSpans)
        let (whole, wholeZero) = (Self.whole([count]), Self.whole([zeroCount]))
        guard let whole = whole?.first, let wholeZero = wholeZero?.first, let positive = Self.whole(positive), let negative = Self.whole(negative)
        else {
            return try NativeHistogram(
                layout: layout, hint: hint, floatCount: count, zeroCount: zeroCount, sum: sum, positive: positive, negative: negative
            ).compacted()
        }
        return try NativeHistogram(
            layout: layout, hint: hint, count: whole, zeroCount: wholeZero, sum: sum, positive: positive, negative: negative
        ).compacted()
    }

    /// The classic buckets as a native histogram with custom bounds; nil when they make no sense.
    func converted(hint: CounterResetHint) -> NativeHistogram? {
        guard let buckets else { return nil }
        var builder = ClassicHistogramBuilder()
        for bucket in buckets { builder.setBucket(upperBound: bucket.bound, cumulativeCount: bucket.count) }
        builder.setCount(count)
        builder.setSum(sum)
        return try? builder.build(hint: hint)
    }

    /// All of them as whole numbers, below 2⁵³, where each is a double; nil when one is not.
    private static func whole(_ values: [Double]) -> [UInt64]? {
        var result: [UInt64] = []
        result.reserveCapacity(values.count)
        for value in values {
            guard value >= 0, value < 0x1p53, let whole = UInt64(exactly: value) else { return nil }
            result.append(whole)
        }
        return result
    }

    // MARK: Text

    private struct Reader {
        var offset: Int

        func error(_ page: Span<UInt8>, _ reason: String) -> ExpositionError { pageError(page, at: offset, reason) }

        mutating func take(_ page: Span<UInt8>, _ byte: Unicode.Scalar) -> Bool {
            guard offset < page.count, page[offset] == UInt8(ascii: byte) else { return false }
            offset += 1
            return true
        }

        mutating func expect(_ page: Span<UInt8>, _ byte: Unicode.Scalar) throws(ExpositionError) {
            if !take(page, byte) { throw error(page, "expected \"\(byte)\" in a value") }
        }

        mutating func name(_ page: Span<UInt8>) throws(ExpositionError) -> String {
            let start = offset
            while offset < page.count, page[offset] == UInt8(ascii: "_") || page[offset] &- UInt8(ascii: "a") < 26 { offset += 1 }
            guard offset > start else { throw error(page, "expected the name of a field in a value") }
            return ByteString(copying: page.extracting(start..<offset)).description
        }

        mutating func number(_ page: Span<UInt8>) throws(ExpositionError) -> Double {
            let start = offset
            while offset < page.count, !Self.endsNumber(page[offset]) { offset += 1 }
            let bytes = page.extracting(start..<offset)
            for index in 0..<bytes.count where bytes[index] | 0x20 == UInt8(ascii: "p") || bytes[index] == UInt8(ascii: "_") {
                throw error(page, "unsupported character in float")
            }
            guard let value = parseDouble(bytes) else { throw error(page, "parsing \(quotedForError(bytes)): invalid syntax") }
            return value.isNaN ? Double(bitPattern: StaleNaN.normalBits) : value
        }

        private static func endsNumber(_ byte: UInt8) -> Bool {
            byte <= 0x20 || byte == UInt8(ascii: ",") || byte == UInt8(ascii: ":") || byte == UInt8(ascii: "]") || byte == UInt8(ascii: "}")
        }

        mutating func schema(_ page: Span<UInt8>) throws(ExpositionError) -> Int32 {
            guard let value = Int32(exactly: try number(page)), (-4...8).contains(value) else { throw error(page, "a schema is a whole number from -4 to 8") }
            return value
        }

        mutating func numbers(_ page: Span<UInt8>) throws(ExpositionError) -> [Double] {
            var result: [Double] = []
            try expect(page, "[")
            if take(page, "]") { return result }
            repeat { result.append(try number(page)) } while take(page, ",")
            try expect(page, "]")
            return result
        }

        mutating func pairs(_ page: Span<UInt8>) throws(ExpositionError) -> [(bound: Double, count: Double)] {
            var result: [(bound: Double, count: Double)] = []
            try expect(page, "[")
            if take(page, "]") { return result }
            repeat {
                let bound = try number(page)
                try expect(page, ":")
                result.append((bound, try number(page)))
            } while take(page, ",")
            try expect(page, "]")
            return result
        }

        mutating func spans(_ page: Span<UInt8>) throws(ExpositionError) -> [HistogramSpan] {
            var result: [HistogramSpan] = []
            for (offset, length) in try pairs(page) {
                guard let offset = Int32(exactly: offset), let length = UInt32(exactly: length), result.isEmpty || offset >= 0 else {
                    throw error(page, "a span is a whole offset and a whole length")
                }
                result.append(HistogramSpan(offset: offset, length: length))
            }
            return result
        }
    }
}
