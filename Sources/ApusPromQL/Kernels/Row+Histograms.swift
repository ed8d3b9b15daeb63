/// The mark of a step whose sample is a histogram. As `Absent`, no operation on numbers can produce it.
enum HistogramMark {
    static let bits: UInt64 = Absent.bits + 1

    @inline(__always) static var value: Double { Double(bitPattern: bits) }
}

extension Double {
    @inline(__always) var isHistogramMark: Bool { bitPattern == HistogramMark.bits }
}

/// The histograms of the rows of one arena: a column beside the floats of each row that has any.
///
///     floats      │ 1.5 │ absent │ mark │ mark │ 2 │
///     histograms  │     │        │  h₁  │  h₂  │   │      made with the first histogram, else not there
///
/// The floats decide: what lies in the column beside anything but a mark is left over and means nothing, so that code
/// that writes floats need not know of histograms.
final class RowHistograms {
    /// By the address of the row's floats.
    private var columns: [UInt: Column] = [:]
    /// The column asked for last: most code goes through one row from end to end.
    private var last: (key: UInt, column: Column)?

    fileprivate final class Column {
        var values: [FloatHistogram?]
        init(count: Int) { values = Array(repeating: nil, count: count) }
    }

    fileprivate func column(_ key: UInt) -> Column? {
        if let last, last.key == key { return last.column }
        guard let column = columns[key] else { return nil }
        last = (key, column)
        return column
    }

    fileprivate func makeColumn(_ key: UInt, count: Int) -> Column {
        let column = Column(count: count)
        columns[key] = column
        last = (key, column)
        return column
    }

    fileprivate func removeColumn(_ key: UInt) {
        columns[key] = nil
        if last?.key == key { last = nil }
    }
}

extension Row {
    private var key: UInt { unsafe UInt(bitPattern: base) }
    private var column: RowHistograms.Column? { owner.histograms?.column(key) }

    /// Whether a step of the row may hold a histogram: false for every row of most queries, and then of no cost.
    @inline(__always) var mayHoldHistograms: Bool { owner.histograms != nil && hasColumn }
    @inline(never) private var hasColumn: Bool { column != nil }

    /// The histogram at a step; `nil` where there is a float or nothing.
    func histogram(_ step: Int) -> FloatHistogram? {
        guard self[step].isHistogramMark, let column, step < column.values.count else { return nil }
        return column.values[step]
    }

    func setHistogram(_ histogram: FloatHistogram, at step: Int) {
        let histograms = owner.histograms ?? RowHistograms()
        owner.histograms = histograms
        let column = histograms.column(key) ?? histograms.makeColumn(key, count: count)
        column.values[step] = histogram
        self[step] = HistogramMark.value
    }

    /// For a row that is filled anew with floats.
    func forgetHistograms() {
        owner.histograms?.removeColumn(key)
    }

    /// Makes each histogram an absent sample.
    /// - Returns: whether there was one.
    @discardableResult
    func dropHistograms() -> Bool {
        var found = false
        for step in 0..<count where self[step].isHistogramMark {
            self[step] = Absent.value
            found = true
        }
        forgetHistograms()
        return found
    }

    /// Takes the whole column of a row whose floats were copied. What changes later changes in one of the two.
    func copyHistograms(from other: Row) {
        guard let theirs = other.column else { return }
        let histograms = owner.histograms ?? RowHistograms()
        owner.histograms = histograms
        let column = histograms.column(key) ?? histograms.makeColumn(key, count: count)
        column.values = theirs.values
    }

    /// Takes the histograms at the steps at which `other` has one.
    func absorbHistograms(of other: Row) {
        guard let theirs = other.column else { return }
        for step in 0..<count where other[step].isHistogramMark {
            if let histogram = theirs.values[step] { setHistogram(histogram, at: step) }
        }
    }

    /// Gives all steps the sample that `other` has at its first.
    func fill(fromFirstOf other: Row) {
        fill(other[0])
        guard let histogram = other.histogram(0) else { return }
        for step in 0..<count { setHistogram(histogram, at: step) }
    }

    /// Whether some step has a float.
    var hasFloat: Bool {
        for step in 0..<count where !self[step].isMark { return true }
        return false
    }

    /// How many samples the row counts for under a limit of samples: a histogram for several.
    var weight: Int {
        var result = presentCount
        if mayHoldHistograms {
            for step in 0..<count {
                if let histogram = histogram(step) { result &+= histogram.sampleWeight - 1 }
            }
        }
        return result
    }
}

extension FloatHistogram {
    /// For how many samples it counts under a limit of samples, as Prometheus counts: by its size, 16 bytes a sample.
    var sampleWeight: Int {
        Self.sampleWeight(
            elements: layout.positiveSpans.count + layout.negativeSpans.count + buckets.count + layout.customBounds.count)
    }

    /// - Parameter elements: spans, buckets and bounds, of 8 bytes each; the rest is Prometheus's structure and a timestamp.
    static func sampleWeight(elements: Int) -> Int { (168 + 8 * elements + 8) / 16 }
}
