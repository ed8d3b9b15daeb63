import ApusModel

/// What a scan works in: its output columns, the page's order, a table to find lines out of order, and the labels of the line
/// at hand. A value, which a scan borrows once: to reach through a class for each line took a tenth of the time of a new page.
@safe struct ScanState: ~Copyable {
    private(set) var refs: UnsafeMutablePointer<UInt64>
    private(set) var timestamps: UnsafeMutablePointer<Int64>
    private(set) var values: UnsafeMutablePointer<Double>
    private(set) var capacity: Int
    /// How many samples the columns hold.
    var count = 0

    /// Empty, or as many as `count`: when the counting of each sample began, ms, 0 for unknown.
    private(set) var startTimestampsMs: [Int64] = []
    /// Beside the columns, and empty in most pages.
    var histograms: [ScannedHistogram] = []
    var exemplars: [ScannedExemplar] = []
    /// Floats and histograms.
    var sampleCount: Int { count + histograms.count }

    var labels = PageLabels()
    /// The entries of the page in its order, once it has left the expected one.
    var order: [UInt32] = []
    /// Open addressing over the scanner's entries: index + 1, or 0.
    private(set) var slots: [UInt32] = []
    private(set) var slotsInUse = 0
    /// About how many lines the page has, so that the table need not grow step by step.
    private(set) var expectedLines = 0
    private(set) var tableIsBuilt = false

    static let initialCapacity = 1024
    /// Kept from scrape to scrape; above it memory is given back.
    static let keptCapacity = 64 * 1024
    static let keptHistograms = 4096
    /// Most lines are longer.
    static let shortLineBytes = 64

    init() {
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

    mutating func reset(pageBytes: Int) {
        count = 0
        expectedLines = min(pageBytes / Self.shortLineBytes, Self.keptCapacity)
        startTimestampsMs.removeAll(keepingCapacity: true)
        histograms.removeAll(keepingCapacity: true)
        exemplars.removeAll(keepingCapacity: true)
        order.removeAll(keepingCapacity: true)
        tableIsBuilt = false
    }

    /// Gives back what exceeds a usual page.
    mutating func trim() {
        if histograms.capacity > Self.keptHistograms { histograms = [] }
        labels.trim()
        if exemplars.capacity > Self.keptHistograms { exemplars = [] }
        guard capacity > Self.keptCapacity || slots.count > Self.keptCapacity * 4 || order.capacity > Self.keptCapacity else { return }
        count = 0
        order = []
        slots = []
        tableIsBuilt = false
        reallocate(Self.initialCapacity)
    }

    /// Room for `additional` more samples.
    mutating func reserve(_ additional: Int) {
        if capacity - count < additional { reallocate(max(capacity * 2, count + additional)) }
    }

    private mutating func reallocate(_ newCapacity: Int) {
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

    mutating func append(ref: UInt64, timestampMs: Int64, value: Double, startTimestampMs: Int64 = 0) {
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
    mutating func buildTable(count entryCount: Int, hash: (Int) -> UInt64) {
        if tableIsBuilt { return }
        rebuild(entryCount: entryCount, hash: hash)
        tableIsBuilt = true
    }

    private mutating func rebuild(entryCount: Int, hash: (Int) -> UInt64) {
        var size = 1024
        while size < max(entryCount, expectedLines) * 3 { size *= 2 }
        if slots.count == size {
            for index in slots.indices { slots[index] = 0 }
        } else {
            slots = Array(repeating: 0, count: size)
        }
        slotsInUse = 0
        for index in 0..<entryCount { place(index, hash: hash(index)) }
    }

    private mutating func place(_ index: Int, hash: UInt64) {
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

    mutating func insert(_ index: Int, count entryCount: Int, hash: (Int) -> UInt64) {
        if (slotsInUse + 1) * 2 > slots.count {
            rebuild(entryCount: entryCount, hash: hash)
        } else {
            place(index, hash: hash(index))
        }
    }
}
