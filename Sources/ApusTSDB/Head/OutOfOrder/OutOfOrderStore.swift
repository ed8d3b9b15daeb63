import ApusModel
import ApusStorage

/// The out-of-order samples of one series.
final class OutOfOrderSeries {
    var open = OutOfOrderChunk()
    /// In order of number.
    var sealed: [OutOfOrderSealedChunk] = []

    var isEmpty: Bool { open.isEmpty && sealed.isEmpty }

    /// Times of the oldest and the newest sample; nil without samples.
    var bounds: (min: Int64, max: Int64)? {
        var result: (min: Int64, max: Int64)?
        func add(_ low: Int64, _ high: Int64) {
            result = (min(low, result?.min ?? low), max(high, result?.max ?? high))
        }
        if let low = open.times.first, let high = open.times.last { add(low, high) }
        for chunk in sealed { add(chunk.minTimeMs, chunk.maxTimeMs) }
        return result
    }

    func overlaps(_ minTimeMs: Int64, _ maxTimeMs: Int64) -> Bool {
        if let low = open.times.first, let high = open.times.last, low <= maxTimeMs, high >= minTimeMs { return true }
        return sealed.contains { $0.overlaps(minTimeMs, maxTimeMs) }
    }
}

/// What a head did with samples out of order.
public struct OutOfOrderStatistics: Sendable, Equatable {
    /// Upper bounds, in seconds, of how late a sample was: 10 and 30 minutes, 1, 2, 3, 6 and 12 hours.
    public static let delayBoundsSeconds: [Double] = [600, 1800, 3600, 7200, 10800, 21600, 43200]

    /// Floats and histograms that were stored.
    public var samplesAppended: UInt64 = 0
    public var histogramsAppended: UInt64 = 0
    /// Older than the window.
    public var tooOld: UInt64 = 0
    /// A sample of their time was there, in the open chunk.
    public var repeated: UInt64 = 0
    /// How late samples behind the head's newest came that were not in order, stored or not: a count for each bound, each of
    /// those up to it, and one for all.
    public var delayCounts = [UInt64](repeating: 0, count: delayBoundsSeconds.count + 1)
    public var delaySumSeconds = 0.0
    public var series = 0
    public var chunks = 0
    /// Of them in memory and not in files.
    public var chunksInMemory = 0
    /// `Int64.max` and `.min` when there are none.
    public var minTimeMs = Int64.max
    public var maxTimeMs = Int64.min
}

/// Samples that came out of order, beside the head's series: few of them have any. Under the head's lock.
///
///     sample ─▶ series' open chunk, 32 samples ─full─▶ sealed chunks (chunks_head) ─▶ OutOfOrderHead ─▶ blocks
///        └────▶ wbl
///
/// Sealed chunks may overlap each other and the samples in order. A reader merges: see `OutOfOrderMerge`.
final class OutOfOrderStore: @unchecked Sendable {
    // `@unchecked`: used only under the head's lock.

    /// Samples may be older than the head's newest by so much, ms; 0 refuses all.
    var windowMs: Int64 = 0
    var log: (any OutOfOrderLog)?
    private let files: (any SealedChunkStore)?
    /// Under which ref a chunk of a series goes into a file.
    var fileRef: (SeriesRef) -> SeriesRef = { $0 }
    private(set) var series: [SeriesRef: OutOfOrderSeries] = [:]
    private var nextNumber: UInt64 = 1
    /// All samples lie between these.
    private(set) var minTimeMs = Int64.max
    private(set) var maxTimeMs = Int64.min
    var statistics = OutOfOrderStatistics()

    /// In a replay: chunks found in the files, and those of them that a marker names.
    private var loaded = Set<HeadChunkRef>()
    private var marked = Set<HeadChunkRef>()

    /// Chunks that are in blocks, to be dropped when the readers are gone that may not know those blocks.
    private var removals: [(epoch: UInt64, upTo: [SeriesRef: UInt64])] = []

    init(files: (any SealedChunkStore)?) { self.files = files }

    var isEmpty: Bool { series.isEmpty }

    func overlaps(_ ref: SeriesRef, _ minTimeMs: Int64, _ maxTimeMs: Int64) -> Bool {
        series[ref]?.overlaps(minTimeMs, maxTimeMs) ?? false
    }

    // MARK: Inserting

    /// - Parameter journal: told of the sample, and of chunks that are finished for it; nil in a replay.
    /// - Returns: false when the open chunk has a sample of this time.
    func insert(_ late: LateSample, journal: inout OutOfOrderJournal?) -> Bool {
        let ref = late.ref
        let one = series[ref] ?? OutOfOrderSeries()
        if one.open.count >= OutOfOrderChunk.maxSamples {
            let chunks = seal(ref, one)
            // Without a marker a chunk's samples are read from the log once more, which is no harm. What is in memory only
            // must be read from it.
            if chunks.allSatisfy({ $0.chunkRef != nil }) { journal?.mark(ref, chunks.compactMap(\.chunkRef)) }
        }
        if !one.open.insert(late) { return false }
        if one.open.count == 1 && one.sealed.isEmpty { series[ref] = one }
        minTimeMs = min(minTimeMs, late.timeMs)
        maxTimeMs = max(maxTimeMs, late.timeMs)
        journal?.add(late)
        return true
    }

    /// Finishes the open chunk.
    @discardableResult
    func seal(_ ref: SeriesRef, _ one: OutOfOrderSeries) -> [OutOfOrderSealedChunk] {
        var sealed: [OutOfOrderSealedChunk] = []
        for chunk in one.open.encoded() {
            let stored = unsafe chunk.bytes.withUnsafeBytes { bytes in
                unsafe files?.append(
                    ref: fileRef(ref), encoding: chunk.encoding, outOfOrder: true, minTimeMs: chunk.minTimeMs, maxTimeMs: chunk.maxTimeMs, bytes: bytes)
            }
            let memory = stored == nil ? unsafe chunk.bytes.withUnsafeBytes { unsafe PaddedChunk(copying: $0) } : nil
            sealed.append(
                OutOfOrderSealedChunk(
                    encoding: chunk.encoding, minTimeMs: chunk.minTimeMs, maxTimeMs: chunk.maxTimeMs, sizeBytes: chunk.bytes.count,
                    address: stored?.address ?? memory?.address ?? 0, chunkRef: stored?.chunkRef, memory: memory, number: nextNumber))
            nextNumber += 1
        }
        one.sealed.append(contentsOf: sealed)
        one.open.removeAll()
        return sealed
    }

    // MARK: Loading

    /// A chunk found in the files.
    func load(_ chunk: HeadChunk) {
        let one = series[chunk.ref] ?? OutOfOrderSeries()
        one.sealed.append(
            OutOfOrderSealedChunk(
                encoding: chunk.encoding, minTimeMs: chunk.minTimeMs, maxTimeMs: chunk.maxTimeMs, sizeBytes: chunk.sizeBytes,
                address: chunk.stored.address, chunkRef: chunk.stored.chunkRef, memory: nil, number: nextNumber, foreignRef: chunk.ref))
        nextNumber += 1
        loaded.insert(chunk.stored.chunkRef)
        series[chunk.ref] = one
        minTimeMs = min(minTimeMs, chunk.minTimeMs)
        maxTimeMs = max(maxTimeMs, chunk.maxTimeMs)
    }

    /// Renames the series that were loaded, and forgets those for which `current` knows none.
    /// - Returns: chunks that were forgotten.
    func rename(_ current: (SeriesRef) -> SeriesRef?) -> Int {
        var dropped = 0
        var renamed: [SeriesRef: OutOfOrderSeries] = [:]
        for (ref, one) in series {
            guard let now = current(ref) else {
                dropped += one.sealed.count
                continue
            }
            if let other = renamed[now] {
                other.sealed = (other.sealed + one.sealed).sorted { $0.number < $1.number }
            } else {
                renamed[now] = one
            }
        }
        series = renamed
        findBounds()
        return dropped
    }

    /// Forgets the open chunk's samples if all the chunks a marker names were found: they hold those samples.
    func applyMarkers(_ ref: SeriesRef, _ chunks: [HeadChunkRef]) -> Bool {
        guard let one = series[ref] else { return false }
        let known = Set(one.sealed.compactMap(\.chunkRef))
        guard chunks.allSatisfy({ known.contains($0) }) else { return false }
        one.open.removeAll()
        marked.formUnion(chunks)
        return true
    }

    /// Forgets the loaded chunks that no marker named, after the whole log was read: their samples came from the log, or
    /// are in blocks. The files of chunks outlive the log, and would bring back what was deleted from those blocks.
    func forgetUnmarked() {
        for (ref, one) in series {
            one.sealed.removeAll { chunk in
                guard let chunkRef = chunk.chunkRef, loaded.contains(chunkRef) else { return false }
                return !marked.contains(chunkRef)
            }
            if one.isEmpty { series[ref] = nil }
        }
        endLoading()
        findBounds()
    }

    /// Takes chunks into memory that the files have under a ref where Prometheus does not look for them: the log is to have
    /// their samples again, see `FileRefs`.
    /// - Returns: how many there are.
    func adoptForeign() -> Int {
        var adopted = 0
        for (ref, one) in series {
            for index in one.sealed.indices {
                let chunk = one.sealed[index]
                guard let foreign = chunk.foreignRef else { continue }
                one.sealed[index].foreignRef = nil
                // SAFETY: the bytes of a chunk that is held, in a mapped file.
                guard foreign != fileRef(ref), let start = unsafe UnsafeRawPointer(bitPattern: chunk.address) else { continue }
                let memory = unsafe PaddedChunk(copying: UnsafeRawBufferPointer(start: start, count: chunk.sizeBytes))
                one.sealed[index] = OutOfOrderSealedChunk(
                    encoding: chunk.encoding, minTimeMs: chunk.minTimeMs, maxTimeMs: chunk.maxTimeMs, sizeBytes: chunk.sizeBytes,
                    address: memory.address, chunkRef: nil, memory: memory, number: chunk.number)
                adopted += 1
            }
        }
        return adopted
    }

    /// Forgets what only a replay has to know.
    func endLoading() {
        loaded = []
        marked = []
    }

    /// Takes back a chunk of a former run.
    func restore(_ ref: SeriesRef, _ chunk: OutOfOrderSealedChunk) {
        let one = series[ref] ?? OutOfOrderSeries()
        one.sealed.append(chunk)
        series[ref] = one
        nextNumber = max(nextNumber, chunk.number &+ 1)
        minTimeMs = min(minTimeMs, chunk.minTimeMs)
        maxTimeMs = max(maxTimeMs, chunk.maxTimeMs)
    }

    // MARK: Removing

    /// Numbers up to which chunks of a series are in blocks, and here only for the sake of readers.
    var inBlocks: [SeriesRef: UInt64] {
        removals.reduce(into: [:]) { result, removal in result.merge(removal.upTo) { max($0, $1) } }
    }

    /// Drops the chunks up to a number of each series, once no reader of an epoch up to `epoch` is left.
    func scheduleRemoval(_ upTo: [SeriesRef: UInt64], epoch: UInt64) { removals.append((epoch, upTo)) }

    /// - Parameter oldestReader: the epoch of the oldest reader there is.
    func release(before oldestReader: UInt64) {
        while let first = removals.first, first.epoch < oldestReader {
            removals.removeFirst()
            for (ref, number) in first.upTo {
                guard let one = series[ref] else { continue }
                one.sealed.removeAll { $0.number <= number }
                if one.isEmpty { series[ref] = nil }
            }
            findBounds()
        }
    }

    /// Drops chunks whose samples are all older than a time, for a head without blocks behind it; readers lose them at once.
    func remove(before timeMs: Int64) {
        if minTimeMs >= timeMs { return }
        for (ref, one) in series {
            one.sealed.removeAll { $0.maxTimeMs < timeMs }
            if let newest = one.open.times.last, newest < timeMs { one.open.removeAll() }
            if one.isEmpty { series[ref] = nil }
        }
        findBounds()
    }

    private func findBounds() {
        minTimeMs = .max
        maxTimeMs = .min
        for one in series.values {
            guard let bounds = one.bounds else { continue }
            minTimeMs = min(minTimeMs, bounds.min)
            maxTimeMs = max(maxTimeMs, bounds.max)
        }
    }

    // MARK: Telling

    func currentStatistics() -> OutOfOrderStatistics {
        var result = statistics
        result.series = series.count
        result.minTimeMs = minTimeMs
        result.maxTimeMs = maxTimeMs
        for one in series.values {
            result.chunks += one.sealed.count + (one.open.isEmpty ? 0 : 1)
            result.chunksInMemory += one.sealed.count { $0.chunkRef == nil }
        }
        return result
    }

    /// Of a sample that was not in order: by how much it came behind the head's newest.
    func countDelay(_ delayMs: Int64) {
        let seconds = Double(delayMs) / 1000
        statistics.delaySumSeconds += seconds
        for (index, bound) in OutOfOrderStatistics.delayBoundsSeconds.enumerated() where seconds <= bound {
            statistics.delayCounts[index] &+= 1
        }
        statistics.delayCounts[OutOfOrderStatistics.delayBoundsSeconds.count] &+= 1
    }

    /// The file of the oldest chunk that is in use: that one and later ones must stay.
    var oldestFileNumber: UInt32? {
        series.values.lazy.flatMap(\.sealed).compactMap { $0.chunkRef?.fileNumber }.min()
    }
}
