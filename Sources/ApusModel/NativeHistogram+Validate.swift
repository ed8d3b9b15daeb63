import ApusBytes

/// Why a histogram is refused, in upstream's words.
public struct HistogramError: Error, Equatable, Sendable, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }

    static let spansMismatch = "histogram spans specify different number of buckets than provided"
    static let negativeOffset = "histogram has a span whose offset is negative"
    static let negativeBucket = "histogram has a bucket whose observation count is negative"
    static let countMismatch =
        "histogram's observation count should equal the number of observations found in the buckets (in absence of NaN)"
    static let countTooSmall = "histogram's observation count should be at least the number of observations found in the buckets"
}

extension NativeHistogram {
    /// Checks what a store must not take: a schema or spans that mean nothing, negative counts, bounds out of order, and,
    /// for whole numbers, a count that is not the sum of the buckets. Float counts are not summed: rounding may be off.
    public func validate() throws(HistogramError) {
        var total = Total()
        if layout.hasCustomBounds {
            do throws(HistogramError) { try layout.checkCustomBounds() } catch { throw HistogramError("custom buckets: \(error.description)") }
            if zeroCount != 0 { throw HistogramError("custom buckets: must have zero count of 0") }
            if layout.zeroThreshold != 0 { throw HistogramError("custom buckets: must have zero threshold of 0") }
            if !layout.negativeSpans.isEmpty { throw HistogramError("custom buckets: must not have negative spans") }
        } else if HistogramLayout.exponentialSchemas.contains(layout.schema) {
            try HistogramLayout.checkSpans(layout.positiveSpans, side: "positive side")
            try HistogramLayout.checkSpans(layout.negativeSpans, side: "negative side")
            try check(negativeWords, side: "negative side", into: &total)
            if !layout.customBounds.isEmpty { throw HistogramError("histogram with exponential schema must not have custom bounds") }
        } else {
            let schemas = HistogramLayout.exponentialSchemas
            throw HistogramError(
                "histogram has an invalid schema, which must be between \(schemas.lowerBound) and \(schemas.upperBound) for exponential buckets, "
                    + "or \(HistogramLayout.customSchema) for custom buckets, got schema \(layout.schema)")
        }
        try check(positiveWords, side: "positive side", into: &total)
        if isFloat { return }
        total.add(zeroCountWord)
        let found = "\(total.text) observations found in buckets, but the Count field is \(countWord): "
        if sum.isNaN {
            // Observations that are NaN are counted and are in no bucket.
            if total.overflowed || total.value > countWord { throw HistogramError(found + HistogramError.countTooSmall) }
        } else if total.overflowed || total.value != countWord {
            throw HistogramError(found + HistogramError.countMismatch)
        }
    }

    /// Observations in buckets.
    private struct Total {
        var value: UInt64 = 0
        var overflowed = false
        mutating func add(_ count: UInt64) {
            let (sum, overflow) = value.addingReportingOverflow(count)
            value = sum
            // Differs from Prometheus: its sum wraps, and a histogram with 2⁶⁴ observations too many passes.
            overflowed = overflowed || overflow
        }
        var text: String { overflowed ? "more than \(UInt64.max)" : "\(value)" }
    }

    private func check(_ side: ArraySlice<UInt64>, side name: String, into total: inout Total) throws(HistogramError) {
        for (position, word) in side.enumerated() {
            let count: String
            if isFloat {
                if !(Double(bitPattern: word) < 0) { continue }
                count = goGeneral(Double(bitPattern: word))
            } else {
                if Int64(bitPattern: word) >= 0 {
                    total.add(word)
                    continue
                }
                count = "\(Int64(bitPattern: word))"
            }
            throw HistogramError("\(name): bucket number \(position + 1) has observation count of \(count): \(HistogramError.negativeBucket)")
        }
    }
}

extension HistogramLayout {
    fileprivate static func checkSpans(_ spans: [HistogramSpan], side: String) throws(HistogramError) {
        for (position, span) in spans.enumerated() where position > 0 && span.offset < 0 {
            throw HistogramError("\(side): span number \(position + 1) with offset \(span.offset): \(HistogramError.negativeOffset)")
        }
    }

    fileprivate func checkCustomBounds() throws(HistogramError) {
        var previous = -Double.infinity
        for (position, bound) in customBounds.enumerated() {
            if bound.isNaN { throw HistogramError("histogram custom bounds must not be NaN") }
            if position > 0 && bound <= previous {
                throw HistogramError(
                    "previous bound is \(goFixed6(previous)) and current is \(goFixed6(bound)): "
                        + "histogram custom bounds must be in strictly increasing order")
            }
            previous = bound
        }
        if previous == .infinity {
            throw HistogramError("last +Inf bound must not be explicitly defined: histogram custom bounds must be finite")
        }
        var end = 0
        for (position, span) in positiveSpans.enumerated() {
            if span.offset < 0 {
                throw HistogramError("span number \(position + 1) with offset \(span.offset): \(HistogramError.negativeOffset)")
            }
            end += Int(span.length) + Int(span.offset)
        }
        if customBounds.count + 1 < end {
            throw HistogramError(
                "only \(customBounds.count) custom bounds defined which is insufficient to cover total span length of \(end): "
                    + "histogram custom bounds are too few")
        }
    }
}

/// Go's `%v` of a float.
private func goGeneral(_ value: Double) -> String {
    var text: [UInt8] = []
    text.appendDouble(value, style: .plain)
    return String(decoding: text, as: UTF8.self)
}

/// Go's `%f`: six decimals. Of a number so large that it has no decimals, those are zeros.
private func goFixed6(_ value: Double) -> String {
    let magnitude = value.magnitude
    guard magnitude < 9e9 else {
        var text: [UInt8] = []
        text.appendDouble(value, style: .fixed)
        return value.isFinite ? String(decoding: text, as: UTF8.self) + ".000000" : String(decoding: text, as: UTF8.self)
    }
    let scaled = UInt64((magnitude * 1_000_000).rounded(.toNearestOrEven))
    let decimals = String(scaled % 1_000_000)
    let padding = String(repeating: "0", count: 6 - decimals.count)
    return (value.sign == .minus ? "-" : "") + "\(scaled / 1_000_000).\(padding)\(decimals)"
}
