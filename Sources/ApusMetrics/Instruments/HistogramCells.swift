import ApusModel
import Synchronization

/// Where a classic histogram counts: in each thread's cells, twice over.
///
///     hot: 0 or 1, the half that observations go to
///     half 0 │ sum │ bucket 0 │ … │ +Inf │      in each thread's cells
///     half 1 │ sum │ bucket 0 │ … │ +Inf │
///
/// A page must not show a sum without its count. So a snapshot makes the other half the hot one, waits until no thread
/// stands in the middle of an observation (nanoseconds), and reads the half that is now still. Nothing is moved: what the
/// hot half held when it became hot is what was read the last time it was still, and has not changed in between.
///
/// To wait for all threads takes longer than to read. So a page first turns the halves of all its histograms (`turn`), then
/// waits once, and then reads each.
@safe
final class HistogramCells: @unchecked Sendable {
    // `@unchecked`: the bounds are constant and belong to the shape, which it keeps.
    private let shape: HistogramShape
    /// The first cell of each half; negative when the process has no cells left, and then nothing is counted.
    private let first: Int
    private let second: Int
    private let hot = Atomic<Int>(0)
    /// The bounds of the shape, one step nearer.
    private let padded: UnsafeMutablePointer<Double>
    private let paddedCount: Int
    /// What each half held when it was still: the sum, then the counts.
    private let read: Locked<Read>

    private struct Read {
        var sums = [0.0, 0.0]
        var counts: [[UInt64]]
        /// Whether the halves were turned and the still one has not been read yet; and the last wait that began before.
        var isTurned = false
        var turnedAfter: UInt64 = 0
    }
    private var size: Int { shape.bounds.count + 2 }

    init(_ shape: HistogramShape) {
        self.shape = shape
        unsafe padded = shape.padded
        paddedCount = shape.paddedCount
        let size = shape.bounds.count + 2
        let first = CellStore.shared.takeRun(size) ?? -1
        let second = first < 0 ? -1 : CellStore.shared.takeRun(size) ?? -1
        if second < 0, first >= 0 { CellStore.shared.giveRun(first, size) }
        self.first = second < 0 ? -1 : first
        self.second = second
        let none = [UInt64](repeating: 0, count: shape.bounds.count + 1)
        read = Locked(Read(counts: [none, none]))
    }

    deinit {
        guard second >= 0 else { return }
        CellStore.shared.giveRun(first, size)
        CellStore.shared.giveRun(second, size)
    }

    /// Counts a finite value in the cells of this thread.
    @inline(__always)
    func observe(_ value: Double, in record: ThreadRecord.Pointer) {
        guard second >= 0 else { return }
        let bucket = unsafe HistogramShape.bucket(of: value, padded, paddedCount)
        unsafe ThreadRecord.enter(record)
        unsafe add(value, bucket, in: record)
        unsafe ThreadRecord.leave(record)
    }

    /// The same inside a critical section.
    @inline(__always)
    func observeInside(_ value: Double, in record: ThreadRecord.Pointer) {
        guard second >= 0 else { return }
        unsafe add(value, HistogramShape.bucket(of: value, padded, paddedCount), in: record)
    }

    @inline(__always)
    private func add(_ value: Double, _ bucket: Int, in record: ThreadRecord.Pointer) {
        // Sequentially consistent: see `ThreadRecord.enter`.
        let start = hot.load(ordering: .sequentiallyConsistent) == 0 ? first : second
        let cells = unsafe CellStore.cell(start, in: record)
        // SAFETY: a run has a cell for the sum and one for each of `bounds.count + 1` buckets, side by side.
        unsafe cells[0].store((cells[0].loadDouble() + value).bitPattern, ordering: .relaxed)
        let count = unsafe cells[1 &+ bucket].load(ordering: .relaxed)
        unsafe cells[1 &+ bucket].store(count &+ 1, ordering: .relaxed)
    }

    /// All observations that were finished, and no other: before it was called or, for a page, before its `turn`.
    func snapshot(ofPage: Bool = false) -> Histogram.Snapshot {
        read.withLock { read in
            if !ofPage { turn(&read) }
            refresh(&read)
            return Histogram.Snapshot(
                counts: zip(read.counts[0], read.counts[1]).map { $0 &+ $1 }, sum: read.sums[0] + read.sums[1])
        }
    }

    /// Turns the halves for a page that reads them later. Whoever reads then waits, unless somebody has meanwhile.
    func turn() { read.withLock { turn(&$0) } }

    /// The values of the lines of a page, without an array for them.
    func appendWords(to words: inout [UInt64]) {
        read.withLock { read in
            refresh(&read)
            var cumulative: UInt64 = 0
            for index in read.counts[0].indices {
                cumulative &+= read.counts[0][index] &+ read.counts[1][index]
                words.append(cumulative)
            }
            words.append((read.sums[0] + read.sums[1]).bitPattern)
            words.append(cumulative)
        }
    }

    private func turn(_ read: inout Read) {
        guard second >= 0 else { return }
        // What another page has turned is read first: it is older than what is asked for now.
        if read.isTurned { refresh(&read) }
        hot.store(1 - hot.load(ordering: .relaxed), ordering: .sequentiallyConsistent)
        read.turnedAfter = CellStore.shared.lastWait
        read.isTurned = true
    }

    /// Reads the half that is still.
    private func refresh(_ read: inout Read) {
        guard second >= 0 else { return }
        // Another page has read it, or nobody has turned because the series is new.
        if !read.isTurned { turn(&read) }
        if !CellStore.shared.hasWaited(since: read.turnedAfter) { CellStore.shared.waitForInside() }
        read.isTurned = false
        let still = 1 - hot.load(ordering: .relaxed)
        let start = still == 0 ? first : second
        var sum = 0.0
        unsafe read.counts[still].withUnsafeMutableBufferPointer { counts in
            unsafe counts.update(repeating: 0)
            unsafe CellStore.shared.forEachRecord { record in
                // SAFETY: a run has a cell for the sum and one for each count.
                guard let cells = unsafe ThreadRecord.cell(start, in: record) else { return }
                sum += unsafe cells[0].loadDouble()
                for index in 0..<counts.count { unsafe counts[index] &+= cells[1 &+ index].load(ordering: .relaxed) }
            }
        }
        read.sums[still] = sum
    }
}
