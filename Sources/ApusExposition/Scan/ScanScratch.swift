public import ApusModel

/// What a scan needs only while it runs: its output columns, the page's order and a table to find lines out of order.
///
/// Each scrape worker owns one and lends it to scan after scan; `trim` gives back what an unusually large page took.
/// The pointers are for `PageScanner`; a user reads the columns through `withColumns`.
@safe public final class ScanScratch {
    // One owner at a time: not Sendable, and a worker thread keeps it to itself.
    private(set) var refs: UnsafeMutablePointer<UInt64>
    private(set) var timestamps: UnsafeMutablePointer<Int64>
    private(set) var values: UnsafeMutablePointer<Double>
    private(set) var capacity: Int
    /// How many samples the columns hold.
    public internal(set) var count = 0

    /// Empty, or as many as `count`: when the counting of each sample began, ms, 0 for unknown.
    public private(set) var startTimestampsMs: [Int64] = []
    /// Beside the columns, and empty in most pages.
    public internal(set) var histograms: [ScannedHistogram] = []
    public internal(set) var exemplars: [ScannedExemplar] = []
    /// Floats and histograms.
    public var sampleCount: Int { count + histograms.count }

    /// The entries of the page in its order, once it has left the expected one.
    var order: [UInt32] = []
    /// Open addressing over the scanner's entries: index + 1, or 0.
    private(set) var slots: [UInt32] = []
    private(set) var slotsInUse = 0
    private(set) var tableIsBuilt = false

    static let initialCapacity = 1024
    /// Kept from scrape to scrape; above it memory is given back.
    static let keptCapacity = 64 * 1024
    static let keptHistograms = 4096

    public init() {
        capacity = Self.initialCapacity
        unsafe refs = .allocate(capacity: capacity)
        unsafe timestamps = .allocate(capacity: capacity)
        unsafe values = .allocate(capacity: capacity)
    }

    deinit {
        unsafe refs.deallocate()
        unsafe timestamps.deallocate()
        unsafe values.deallocate()
    }

    /// Lends the samples of the last scan, in order of the page.
    public func withColumns<R>(
        _ body: (_ refs: UnsafeBufferPointer<UInt64>, _ timestampsMs: UnsafeBufferPointer<Int64>, _ values: UnsafeBufferPointer<Double>) throws -> R
    ) rethrows -> R {
        try unsafe body(
            UnsafeBufferPointer(start: refs, count: count), UnsafeBufferPointer(start: timestamps, count: count),
            UnsafeBufferPointer(start: values, count: count))
    }

    func reset() {
        count = 0
        startTimestampsMs.removeAll(keepingCapacity: true)
        histograms.removeAll(keepingCapacity: true)
        exemplars.removeAll(keepingCapacity: true)
        order.removeAll(keepingCapacity: true)
        tableIsBuilt = false
    }

    /// Gives back what exceeds a usual page.
    public func trim() {
        if histograms.capacity > Self.keptHistograms { histograms = [] }
        if exemplars.capacity > Self.keptHistograms { exemplars = [] }
        guard capacity > Self.keptCapacity || slots.count > Self.keptCapacity * 4 || order.capacity > Self.keptCapacity else { return }
        count = 0
        order = []
        slots = []
        tableIsBuilt = false
        reallocate(Self.initialCapacity)
    }

    /// Room for `additional` more samples.
    func reserve(_ additional: Int) {
        if capacity - count < additional { reallocate(max(capacity * 2, count + additional)) }
    }

    private func reallocate(_ newCapacity: Int) {
        let newRefs = UnsafeMutablePointer<UInt64>.allocate(capacity: newCapacity)
        let newTimestamps = UnsafeMutablePointer<Int64>.allocate(capacity: newCapacity)
        let newValues = UnsafeMutablePointer<Double>.allocate(capacity: newCapacity)
        // SAFETY: both regions hold `count` elements and do not overlap.
        unsafe newRefs.update(from: refs, count: count)
        unsafe newTimestamps.update(from: timestamps, count: count)
        unsafe newValues.update(from: values, count: count)
        unsafe refs.deallocate()
        unsafe timestamps.deallocate()
        unsafe values.deallocate()
        unsafe refs = newRefs
        unsafe timestamps = newTimestamps
        unsafe values = newValues
        capacity = newCapacity
    }

    func append(ref: UInt64, timestampMs: Int64, value: Double, startTimestampMs: Int64 = 0) {
        if startTimestampMs != 0 || !startTimestampsMs.isEmpty {
            while startTimestampsMs.count < count { startTimestampsMs.append(0) }
            startTimestampsMs.append(startTimestampMs)
        }
        reserve(1)
        // SAFETY: `reserve` made room for index `count`.
        unsafe refs[count] = ref
        unsafe timestamps[count] = timestampMs
        unsafe values[count] = value
        count += 1
    }

    // MARK: The table

    /// Makes the table hold `hashes`, entry by entry, unless it already does.
    func buildTable(count entryCount: Int, hash: (Int) -> UInt64) {
        if tableIsBuilt { return }
        rebuild(entryCount: entryCount, hash: hash)
        tableIsBuilt = true
    }

    private func rebuild(entryCount: Int, hash: (Int) -> UInt64) {
        var size = 1024
        while size < entryCount * 3 { size *= 2 }
        if slots.count == size {
            for index in slots.indices { slots[index] = 0 }
        } else {
            slots = Array(repeating: 0, count: size)
        }
        slotsInUse = 0
        for index in 0..<entryCount { place(index, hash: hash(index)) }
    }

    private func place(_ index: Int, hash: UInt64) {
        let mask = slots.count - 1
        var slot = Int(truncatingIfNeeded: hash) & mask
        while slots[slot] != 0 { slot = (slot + 1) & mask }
        slots[slot] = UInt32(truncatingIfNeeded: index + 1)
        slotsInUse += 1
    }

    /// The first entry with `wanted` hash for which `matches` holds.
    func find(_ wanted: UInt64, where matches: (Int) -> Bool) -> Int? {
        let mask = slots.count - 1
        var slot = Int(truncatingIfNeeded: wanted) & mask
        while slots[slot] != 0 {
            let index = Int(slots[slot]) - 1
            if matches(index) { return index }
            slot = (slot + 1) & mask
        }
        return nil
    }

    func insert(_ index: Int, count entryCount: Int, hash: (Int) -> UInt64) {
        if (slotsInUse + 1) * 2 > slots.count {
            rebuild(entryCount: entryCount, hash: hash)
        } else {
            place(index, hash: hash(index))
        }
    }
}

/// A native histogram of a page.
public struct ScannedHistogram: Sendable {
    public var ref: UInt64
    public var timestampMs: Int64
    /// 0 for unknown.
    public var startTimestampMs: Int64
    public var histogram: NativeHistogram
}

/// An exemplar of a page, its labels as they stand there.
public struct ScannedExemplar: Sendable {
    public var ref: UInt64
    public var labels: [Label]
    public var value: Double
    /// Of the sample, when the page gave none.
    public var timestampMs: Int64
    public var hasTimestamp: Bool
}
