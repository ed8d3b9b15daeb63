import ApusBytes

/// A series in the head: 64 bytes, one cache line, which an append reads and writes and nothing else but its chunk.
struct MemSeries: BitwiseCopyable {
    /// `labelOffset` of a slot whose series was collected, or that has none yet.
    static let noLabels = UInt32.max
    /// `firstTime` of a series that has had no sample.
    static let noSamples = Int64.max

    /// State of the open chunk; its time and value, the series' newest sample, stay when a chunk is sealed.
    var xor = XORState()
    /// Bytes of the open chunk's cell.
    var capacity: UInt16 = 0
    /// A time at or before the oldest sample.
    var firstTime = noSamples
    /// Address of the open chunk's cell, 0 for none.
    var open: UInt = 0
    /// Address of the newest sealed chunk, 0 for none; see `ChunkArena`.
    var sealed: UInt = 0
    /// How many chunks were sealed so far, dropped ones included: tells a reader which open chunk it saw.
    var sealedCount: UInt32 = 0
    /// Index of the label run: its length, then as many pair numbers.
    var labelOffset = noLabels

    @inline(__always) var isLive: Bool { labelOffset != Self.noLabels }
    @inline(__always) var hasSamples: Bool { firstTime != Self.noSamples }
}

/// All series by slot, in blocks of 1,024. Slots grow and are not used again, so postings are sorted by construction;
/// a block whose series are all gone gives its memory back. A `SeriesRef` is a slot plus a constant.
@safe final class SeriesTable: @unchecked Sendable {
    // `@unchecked`: used only under the head's lock.
    static let blockSlots = BlockPool.blockSizeBytes / 64
    static let blockShift = 10

    private let directory = ReservedArray<UInt>(maximum: 1 << 22)
    private let occupied = ReservedArray<UInt16>(maximum: 1 << 22)
    private let pool: BlockPool
    private(set) var nextSlot = 0
    private(set) var blocks = 0

    init(pool: BlockPool) {
        self.pool = pool
        precondition(MemoryLayout<MemSeries>.stride == 64 && Self.blockSlots == 1 << Self.blockShift, "a series is a cache line")
    }

    var sizeBytes: Int { blocks * BlockPool.blockSizeBytes + directory.sizeBytes + occupied.sizeBytes }

    /// Where the block addresses lie, for the append loop.
    @inline(__always) var blockAddresses: UnsafePointer<UInt> { unsafe UnsafePointer(directory.base) }

    /// The series in a slot, also one that was collected and is not yet freed; nil when there is no such slot.
    @inline(__always)
    func pointer(_ slot: Int) -> UnsafeMutablePointer<MemSeries>? {
        guard slot >= 0 && slot < nextSlot else { return nil }
        // SAFETY: every slot below `nextSlot` has a directory entry: a block's address, or 0 once it is freed.
        let block = unsafe directory.base[slot &>> Self.blockShift]
        return unsafe UnsafeMutablePointer<MemSeries>(bitPattern: block).map { unsafe $0 + (slot & (Self.blockSlots &- 1)) }
    }

    /// A new slot, larger than all before; nil after 2³² series.
    func allocate() -> (slot: UInt32, series: UnsafeMutablePointer<MemSeries>)? {
        if nextSlot & (Self.blockSlots - 1) == 0 {
            guard nextSlot < Int(UInt32.max) - Self.blockSlots, let index = directory.extend(by: 1), occupied.extend(by: 1) != nil
            else { return nil }
            let block = unsafe pool.take().bindMemory(to: MemSeries.self, capacity: Self.blockSlots)
            unsafe block.initialize(repeating: MemSeries(), count: Self.blockSlots)
            directory[index] = UInt(bitPattern: block)
            blocks += 1
        }
        let slot = nextSlot
        nextSlot += 1
        occupied[slot >> Self.blockShift] += 1
        guard let series = unsafe pointer(slot) else { return nil }
        return unsafe (UInt32(slot), series)
    }

    /// Gives up the slot of a series that no reader can see.
    func free(_ slot: UInt32) {
        let index = Int(slot) >> Self.blockShift
        occupied[index] -= 1
        // The newest block still has slots to give.
        if occupied[index] == 0 && (index + 1) << Self.blockShift <= nextSlot,
            let block = unsafe UnsafeMutableRawPointer(bitPattern: directory[index])
        {
            directory[index] = 0
            blocks -= 1
            unsafe pool.give(block)
        }
    }

    /// Calls `body` for every slot with a live series, in growing order.
    @inline(__always)
    func forEachLive(_ body: (UInt32, UnsafeMutablePointer<MemSeries>) -> Void) {
        var slot = 0
        while slot < nextSlot {
            guard let series = unsafe pointer(slot) else {
                slot = (slot | (Self.blockSlots &- 1)) &+ 1
                continue
            }
            if unsafe series.pointee.isLive { unsafe body(UInt32(truncatingIfNeeded: slot), series) }
            slot &+= 1
        }
    }
}
