import ApusModel
import ApusStorage

/// Columns with an owner, filled again and again.
final class ColumnScratch {
    var columns = SampleColumns()
}

/// The samples of one series as a kernel reads them: times ascend, staleness markers are gone.
///
/// A view of a `ColumnScratch`; whoever made it keeps that alive and unchanged while the view is in use.
@safe struct Samples {
    let count: Int
    private let timestamps: UnsafePointer<Int64>
    private let values: UnsafePointer<Double>

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

    /// Whether a value is a staleness marker, or looks like the mark of an absent sample.
    var hasMarkers: Bool {
        for index in 0..<count {
            let bits = value(index).bitPattern
            if bits == StaleNaN.bits || bits == Absent.bits { return true }
        }
        return false
    }

    /// Copies the samples without staleness markers, and with an ordinary NaN for the mark of an absent sample.
    func copyWithoutMarkers(into columns: inout SampleColumns) {
        columns.removeAll()
        for index in 0..<count {
            let value = value(index)
            if StaleNaN.isStale(value) { continue }
            columns.append(timestampMs: timestampMs(index), value: value.isAbsent ? .nan : value)
        }
    }
}
