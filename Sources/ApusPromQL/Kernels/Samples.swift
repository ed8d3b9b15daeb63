import ApusModel
import ApusStorage

/// Columns with an owner, filled again and again.
final class ColumnScratch {
    var columns = SampleColumns(histograms: true)
}

/// The samples of one series as a kernel reads them: times ascend, staleness markers are gone.
///
/// A view of a `ColumnScratch`; whoever made it keeps that alive and unchanged while the view is in use.
@safe struct Samples {
    let count: Int
    /// For loops that check their bounds once.
    let timestamps: UnsafePointer<Int64>
    let values: UnsafePointer<Double>

    init(_ scratch: ColumnScratch) {
        count = scratch.columns.count
        unsafe timestamps = scratch.columns.timestampsPointer
        unsafe values = scratch.columns.valuesPointer
    }

    @inline(__always) func timestampMs(_ index: Int) -> Int64 {
        precondition(UInt(bitPattern: index) < UInt(bitPattern: count), "sample out of range")
        // SAFETY: checked above.
        return unsafe timestamps[index]
    }

    @inline(__always) func value(_ index: Int) -> Double {
        precondition(UInt(bitPattern: index) < UInt(bitPattern: count), "sample out of range")
        return unsafe values[index]
    }

    /// Whether a value is a staleness marker, or looks like a mark of rows.
    var hasMarkers: Bool {
        // All of them are NaNs, of which most series have none.
        if !hasNaN { return false }
        var found = false
        for index in 0..<count {
            // SAFETY: below `count`.
            let bits = unsafe values[index].bitPattern
            found = found || (bits == StaleNaN.bits) || (bits &- Absent.bits <= HistogramMark.bits &- Absent.bits)
        }
        return found
    }

    private var hasNaN: Bool {
        var found = SIMDMask<SIMD4<Int64>>(repeating: false)
        var index = 0
        while index &+ 4 <= count {
            let four = values(from: index)
            found .|= four .!= four
            index &+= 4
        }
        while index < count {
            if value(index).isNaN { return true }
            index &+= 1
        }
        return any(found)
    }

    /// Four values. SAFETY: the caller keeps `index` + 4 within `count`.
    @inline(__always) private func values(from index: Int) -> SIMD4<Double> {
        unsafe UnsafeRawPointer(values + index).loadUnaligned(as: SIMD4<Double>.self)
    }

    /// Appends the indices of samples smaller than the one before.
    func appendFalls(to falls: inout [Int]) {
        var index = 1
        while index &+ 4 <= count {
            if any(values(from: index) .< values(from: index &- 1)) {
                for one in index..<index &+ 4 where value(one) < value(one &- 1) { falls.append(one) }
            }
            index &+= 4
        }
        while index < count {
            if value(index) < value(index &- 1) { falls.append(index) }
            index &+= 1
        }
    }

    /// Copies the samples without staleness markers, and with an ordinary NaN for the marks of rows.
    func copyWithoutMarkers(into columns: inout SampleColumns) {
        columns.removeAll()
        for index in 0..<count {
            let value = value(index)
            if StaleNaN.isStale(value) { continue }
            columns.append(timestampMs: timestampMs(index), value: value.isMark ? .nan : value)
        }
    }
}

/// An index that moves over samples in order of time.
///
/// Scrapes and steps are regular: it first tries to jump as far as the last time, which saves most comparisons.
struct SampleCursor {
    /// How many samples are not after the last bound.
    private(set) var index: Int
    private var stride = 0

    init(index: Int = 0) { self.index = index }

    @inline(__always) mutating func advance(in samples: Samples, through boundMs: Int64) {
        let before = index
        let jump = before &+ stride
        if stride > 1, jump <= samples.count, samples.timestampMs(jump &- 1) <= boundMs { index = jump }
        while index < samples.count, samples.timestampMs(index) <= boundMs { index &+= 1 }
        stride = index &- before
    }
}
