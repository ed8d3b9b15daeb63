/// The mark of a step without a sample.
///
/// A signalling NaN: arithmetic turns such a NaN into a quiet one, so no operation can produce the mark, only storing
/// it does. A target could send these very bits; selectors turn them into an ordinary NaN. The bits that follow are the mark
/// of a step whose sample is a histogram (`HistogramMark`).
enum Absent {
    static let bits: UInt64 = 0x7FF4_4150_5553_0001

    @inline(__always) static var value: Double { Double(bitPattern: bits) }
}

extension Double {
    @inline(__always) var isAbsent: Bool { bitPattern == Absent.bits }

    /// Whether a row would take the value for one of its marks.
    @inline(__always) var isMark: Bool { bitPattern &- Absent.bits <= HistogramMark.bits &- Absent.bits }
}

/// One series' answer over all steps of a query: what operators hand each other, one series after the other.
///
/// `row[i]` belongs to the step `start + i × stepMs`; a step without a sample holds `Absent.value`. Labels are not here.
/// Histograms are not here either: `Row+Histograms`. The memory belongs to a `RowArena`, which the row keeps alive.
@safe struct Row {
    let count: Int
    /// For the kernels' loops, which check the count once.
    let base: UnsafeMutablePointer<Double>
    let owner: RowArena

    fileprivate init(base: UnsafeMutablePointer<Double>, count: Int, owner: RowArena) {
        unsafe self.base = base
        self.count = count
        self.owner = owner
    }

    @inline(__always) subscript(index: Int) -> Double {
        get {
            precondition(UInt(bitPattern: index) < UInt(bitPattern: count), "step out of range")
            // SAFETY: checked above.
            return unsafe base[index]
        }
        nonmutating set {
            precondition(UInt(bitPattern: index) < UInt(bitPattern: count), "step out of range")
            unsafe base[index] = newValue
        }
    }

    func fill(_ value: Double) {
        // SAFETY: the row has `count` doubles.
        unsafe base.update(repeating: value, count: count)
    }

    func copy(from other: Row) {
        precondition(other.count == count, "rows of different steps")
        // SAFETY: both have `count` doubles.
        unsafe base.update(from: other.base, count: count)
        if other.mayHoldHistograms { copyHistograms(from: other) }
    }

    /// The values of all steps.
    var copied: [Double] { unsafe Array(UnsafeBufferPointer(start: base, count: count)) }

    /// Whether no step has a sample.
    var isEmpty: Bool {
        for index in 0..<count where !self[index].isAbsent { return false }
        return true
    }

    /// How many steps have a sample.
    var presentCount: Int {
        var result = 0
        for index in 0..<count where !self[index].isAbsent { result &+= 1 }
        return result
    }

    /// Takes the samples of `other`, which has them at other steps.
    /// - Returns: false, having taken nothing, when both have a sample at one step.
    func absorb(_ other: Row) -> Bool {
        for step in 0..<count where !self[step].isAbsent && !other[step].isAbsent { return false }
        for step in 0..<count where !other[step].isAbsent { self[step] = other[step] }
        if other.mayHoldHistograms { absorbHistograms(of: other) }
        return true
    }

    /// Replaces each sample by `transform` of it; what is absent stays so.
    @inline(__always) func map<E: Error>(_ transform: (Double) throws(E) -> Double) throws(E) {
        for index in 0..<count {
            let value = self[index]
            if !value.isAbsent { self[index] = try transform(value) }
        }
    }
}

/// Makes rows of one width. Frees all of them at once, in the end.
@safe final class RowArena {
    /// Steps in a row.
    let width: Int
    private var slabs: [UnsafeMutablePointer<Double>] = unsafe []
    /// The histograms of rows that have any; `nil` for as long as no row has.
    var histograms: RowHistograms?
    private var rowsInSlab = 0
    private var usedInSlab = 0

    /// About 32 KiB in a slab at most; the first has two rows, as many arenas never make more.
    private static let slabSamples = 4_096
    private static let firstRows = 2

    init(width: Int) { self.width = width }

    deinit {
        unsafe slabs.forEach { unsafe $0.deallocate() }
    }

    /// A row with no sample at any step.
    func makeRow() -> Row {
        let row = makeUninitializedRow()
        row.fill(Absent.value)
        return row
    }

    func makeCopy(of other: Row) -> Row {
        let row = makeUninitializedRow()
        row.copy(from: other)
        return row
    }

    /// A row whose values are whatever lay there; the caller writes every step.
    func makeUninitializedRow() -> Row {
        if usedInSlab == rowsInSlab {
            rowsInSlab = max(1, min(max(Self.firstRows, rowsInSlab * 4), Self.slabSamples / max(width, 1)))
            let slab = UnsafeMutablePointer<Double>.allocate(capacity: max(1, rowsInSlab * width))
            unsafe slabs.append(slab)
            usedInSlab = 0
        }
        // SAFETY: the newest slab has room for `rowsInSlab` rows, and `usedInSlab` is below that.
        let base = unsafe slabs[slabs.count - 1] + usedInSlab * width
        usedInSlab += 1
        return unsafe Row(base: base, count: width, owner: self)
    }
}
