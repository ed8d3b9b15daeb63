import ApusBytes
import ApusPromQL

extension Array where Element == UInt8 {
    /// A native histogram at a moment:
    ///
    ///     [time,{"count":"…","sum":"…","buckets":[[ends,"lower","upper","count"],…]}]
    ///
    /// `ends` tells which bounds belong to the bucket: 0 the upper, 1 the lower, 2 none, 3 both. Buckets without
    /// observations are left out, and `buckets` is when there are none.
    mutating func appendHistogramSample(timestampMs: Int64, _ histogram: FloatHistogram) {
        append(UInt8(ascii: "["))
        appendTimestampSeconds(timestampMs)
        append(contentsOf: #",{"count":"#.utf8)
        appendQuotedNumber(histogram.count)
        append(contentsOf: #","sum":"#.utf8)
        appendQuotedNumber(histogram.sum)
        var isFirst = true
        histogram.forEachBucket { bucket in
            if bucket.count == 0 { return }
            append(contentsOf: (isFirst ? #","buckets":["# : ",").utf8)
            isFirst = false
            append(UInt8(ascii: "["))
            appendDecimal(Int64(bucket.ends.rawValue))
            append(UInt8(ascii: ","))
            appendQuotedNumber(bucket.lower)
            append(UInt8(ascii: ","))
            appendQuotedNumber(bucket.upper)
            append(UInt8(ascii: ","))
            appendQuotedNumber(bucket.count)
            append(UInt8(ascii: "]"))
        }
        if !isFirst { append(UInt8(ascii: "]")) }
        append(contentsOf: "}]".utf8)
    }

    private mutating func appendQuotedNumber(_ value: Double) {
        append(UInt8(ascii: "\""))
        appendDouble(value, style: .json)
        append(UInt8(ascii: "\""))
    }
}
