import ApusModel

// The layout that all samples of a histogram chunk share, behind the chunk's header of three bytes:
//
//     ┌────────────────┬────────────┬──────────────────────────────────────┬────────────────┬───────────────────────┐
//     │ zero threshold │ schema     │ positive spans                       │ negative spans │ custom bounds, only   │
//     │ 1 or 9 bytes   │ varbit int │ count, then (length, offset) of each │ the same       │ with schema −53       │
//     └────────────────┴────────────┴──────────────────────────────────────┴────────────────┴───────────────────────┘
//
// Thresholds that are powers of two, which most are, take a byte: their exponent plus 244; 0 is the byte 0, and 255 says
// that eight bytes follow. A bound of at most three decimals and 33,554.43 at most is a thousand times itself plus one as
// a varbit; before any other stands a 0 bit.

/// Zero thresholds that fit a byte are 2 to this power.
private let thresholdExponents = -243...10
private let thresholdOffset = 244
/// Above this a bound times 1,000 takes more than 4 bytes.
private let largestShortBound: Double = 33_554_430

extension BitWriter {
    mutating func write(_ layout: HistogramLayout) {
        writeThreshold(layout.zeroThreshold)
        writeVarbit(Int64(layout.schema))
        for spans in [layout.positiveSpans, layout.negativeSpans] {
            writeVarbit(UInt64(spans.count))
            for span in spans {
                writeVarbit(UInt64(span.length))
                writeVarbit(Int64(span.offset))
            }
        }
        if layout.hasCustomBounds {
            writeVarbit(UInt64(layout.customBounds.count))
            for bound in layout.customBounds { writeBound(bound) }
        }
    }

    private mutating func writeThreshold(_ threshold: Double) {
        if threshold == 0 { return write(0, 8) }
        if threshold.isNormal && threshold > 0 && threshold.significandBitPattern == 0 {
            let exponent = Int(threshold.exponent)
            if thresholdExponents.contains(exponent) { return write(UInt64(exponent + thresholdOffset), 8) }
        }
        write(255, 8)
        write(threshold.bitPattern, 64)
    }

    private mutating func writeBound(_ bound: Double) {
        let scaled = bound * 1000
        // NaN fails the first comparison.
        if scaled >= 0 && scaled <= largestShortBound {
            let whole = UInt64(scaled.rounded(.toNearestOrAwayFromZero))
            if Double(whole) / 1000 == bound { return writeVarbit(whole + 1) }
        }
        write(false)
        write(bound.bitPattern, 64)
    }
}

extension ChunkBitReader {
    mutating func histogramLayout() throws(ChunkError) -> HistogramLayout {
        let threshold = try threshold()
        let rawSchema = try varbitInt()
        guard let schema = Int32(exactly: rawSchema), schema == HistogramLayout.customSchema || HistogramLayout.reservedSchemas.contains(schema)
        else {
            let schemas = HistogramLayout.reservedSchemas
            throw ChunkError(
                "histogram has an unknown schema, which must be between \(schemas.lowerBound) and \(schemas.upperBound) for exponential "
                    + "buckets, or \(HistogramLayout.customSchema) for custom buckets, got schema \(rawSchema)")
        }
        let positive = try spans()
        let negative = try spans()
        return HistogramLayout(
            schema: schema, zeroThreshold: threshold, positiveSpans: positive, negativeSpans: negative,
            customBounds: schema == HistogramLayout.customSchema ? try bounds() : [])
    }

    private mutating func threshold() throws(ChunkError) -> Double {
        switch try bits(8) {
        case 0: return 0
        case 255: return Double(bitPattern: try bits(64))
        case let byte: return Double(sign: .plus, exponent: Int(byte) - thresholdOffset, significand: 1)
        }
    }

    private mutating func spans() throws(ChunkError) -> [HistogramSpan] {
        let count = try varbitUint()
        // A span takes two bits at least: a count beyond that must not ask for memory.
        if count > UInt64(remainingBits / 2) { throw ChunkError("histogram chunk cannot hold \(count) spans") }
        var spans: [HistogramSpan] = []
        spans.reserveCapacity(Int(count))
        for _ in 0..<count {
            let (length, offset) = (try varbitUint(), try varbitInt())
            guard let length = UInt32(exactly: length), let offset = Int32(exactly: offset) else {
                throw ChunkError("histogram chunk has a span of offset \(offset) and length \(length)")
            }
            spans.append(HistogramSpan(offset: offset, length: length))
        }
        return spans
    }

    private mutating func bounds() throws(ChunkError) -> [Double] {
        let count = try varbitUint()
        if count > UInt64(remainingBits / 5) { throw ChunkError("histogram chunk cannot hold \(count) custom bounds") }
        var bounds: [Double] = []
        bounds.reserveCapacity(Int(count))
        for _ in 0..<count {
            let short = try varbitUint()
            bounds.append(short == 0 ? Double(bitPattern: try bits(64)) : Double(short - 1) / 1000)
        }
        return bounds
    }
}
