import ApusBytes
import ApusModel
import ApusStorage
import ApusTSDB

/// The series of an import: numbered as they come, found again by the hash of their text, ranked by label set at the end.
struct ImportedSeries {
    private(set) var labels: [LabelSet] = []
    private var byText: [UInt64: UInt32] = [:]
    private var byLabels: [LabelSet: UInt32] = [:]
    /// Of the text's hash: a file must not be able to make two texts collide.
    let seed = UInt64.random(in: .min ... .max)

    func find(text hash: UInt64) -> UInt32? { byText[hash] }

    /// The number of a series; the same label set in another order of text is the same series.
    mutating func insert(_ set: LabelSet, text hash: UInt64) -> UInt32 {
        let number: UInt32
        if let known = byLabels[set] {
            number = known
        } else {
            number = UInt32(truncatingIfNeeded: labels.count)
            labels.append(set)
            byLabels[set] = number
        }
        byText[hash] = number
        return number
    }

    /// Series numbers in order of labels.
    func sorted() -> [UInt32] { labels.indices.map { UInt32($0) }.sorted { labels[Int($0)] < labels[Int($1)] } }
}

/// Some series' rows of one range, as chunks in order of labels: what a block is written from.
///
/// The rows are brought into order by counting: how many each series has, where they begin, and each to its place. Ranges
/// with more rows than fit are read several times, each time for the next series in order.
final class RangeSeries: ChunkSeriesSet {
    private let spool: SampleSpool
    private let index: Int64
    private let startMs: Int64
    private let series: ImportedSeries
    /// Series numbers in order of labels, those with rows in this range.
    private let order: [UInt32]
    private let counts: [UInt32]
    private let maxRows: Int

    private var position = -1
    /// The rows of `order[loaded]`, and where each series' begin.
    private var loaded = 0..<0
    private var rows: [SpoolRow] = []
    private var starts: [Int] = []

    private(set) var labels = LabelSet.empty
    private(set) var chunks: [EncodedChunk] = []
    /// Times of the first and the last sample of all series so far, both included.
    private(set) var minTimeMs = Int64.max
    private(set) var maxTimeMs = Int64.min

    init(_ spool: SampleSpool, index: Int64, startMs: Int64, series: ImportedSeries, order: [UInt32], maxRows: Int)
        throws(FileError)
    {
        self.spool = spool
        self.index = index
        self.startMs = startMs
        self.series = series
        self.maxRows = maxRows
        var counts = [UInt32](repeating: 0, count: series.labels.count)
        var (first, last) = (UInt32.max, UInt32(0))
        try spool.read(index) { rows in
            for row in rows {
                counts[Int(row.series)] &+= 1
                first = min(first, row.offsetMs)
                last = max(last, row.offsetMs)
            }
        }
        self.counts = counts
        self.order = order.filter { counts[Int($0)] > 0 }
        if first <= last {
            minTimeMs = startMs &+ Int64(first)
            maxTimeMs = startMs &+ Int64(last)
        }
    }

    func next() throws(StorageError) -> Bool {
        position += 1
        guard position < order.count else { return false }
        if position >= loaded.upperBound {
            do throws(FileError) { try load() } catch { throw StorageError(error.description) }
        }
        let number = order[position]
        labels = series.labels[Int(number)]
        let first = starts[position - loaded.lowerBound]
        chunks = encode(first..<first + Int(counts[Int(number)]))
        return true
    }

    /// Loads the rows of as many series from `position` on as fit; of one at least.
    private func load() throws(FileError) {
        var total = 0
        var end = position
        while end < order.count {
            let count = Int(counts[Int(order[end])])
            if end > position && total + count > maxRows { break }
            total += count
            end += 1
        }
        loaded = position..<end
        // Where the next row of a series goes; -1 for series of other loads.
        var places = [Int](repeating: -1, count: counts.count)
        starts.removeAll(keepingCapacity: true)
        var place = 0
        for number in order[loaded] {
            places[Int(number)] = place
            starts.append(place)
            place += Int(counts[Int(number)])
        }
        var rows = [SpoolRow](repeating: SpoolRow(series: 0, offsetMs: 0, value: 0), count: total)
        try spool.read(index) { stretch in
            for row in stretch {
                let place = places[Int(row.series)]
                if place < 0 { continue }
                rows[place] = row
                places[Int(row.series)] = place + 1
            }
        }
        self.rows = rows
    }

    /// Of several rows at one time the first is taken.
    private func encode(_ range: Range<Int>) -> [EncodedChunk] {
        var isSorted = true
        for index in range.dropFirst() where rows[index - 1].offsetMs > rows[index].offsetMs {
            isSorted = false
            break
        }
        if !isSorted {
            // Stable, so that the first of equals stays the first.
            let sorted = range.sorted { (rows[$0].offsetMs, $0) < (rows[$1].offsetMs, $1) }.map { rows[$0] }
            rows.replaceSubrange(range, with: sorted)
        }
        var result: [EncodedChunk] = []
        var encoder = XORChunkEncoder()
        var first: Int64 = 0
        var last = Int64.min
        for index in range {
            let time = startMs &+ Int64(rows[index].offsetMs)
            if time == last { continue }
            if encoder.count >= defaultSamplesPerChunk {
                result.append(EncodedChunk(encoding: .xor, minTimeMs: first, maxTimeMs: last, bytes: encoder.finish().bytes))
                encoder = XORChunkEncoder()
            }
            if encoder.count == 0 { first = time }
            _ = encoder.append(timestampMs: time, value: rows[index].value)
            last = time
        }
        if encoder.count > 0 {
            result.append(EncodedChunk(encoding: .xor, minTimeMs: first, maxTimeMs: last, bytes: encoder.finish().bytes))
        }
        return result
    }
}
