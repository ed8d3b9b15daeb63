import ApusBytes

/// All series by slot, in blocks of 1,024: a slot is a `SeriesRef` less a constant, so there may be gaps between slots.
/// New slots only grow and none is used again; a block whose series are all gone gives its memory back.
///
///     directory: │ block │ 0 │ block │ …       block: 1,024 series of 64 bytes; 0 where no slot is in use
@safe final class SeriesTable: @unchecked Sendable {
    // `@unchecked`: used only under the head's lock.
    static let blockSlots = BlockPool.blockSizeBytes / 64
    static let blockShift = 10
    /// No slot is so large.
    static let maximumSlots = (1 << 32) - blockSlots

    private let directory = ReservedArray<UInt>(maximum: 1 << 22)
    private let occupied = ReservedArray<UInt16>(maximum: 1 << 22)
    private let pool: BlockPool
    /// Above every slot that is or was in use.
    private(set) var nextSlot = 0
    /// At or below every slot in use.
    private(set) var firstSlot = 0
    private(set) var blocks = 0

    init(pool: BlockPool) {
        self.pool = pool
        precondition(MemoryLayout<MemSeries>.stride == 64 && Self.blockSlots == 1 << Self.blockShift, "a series is a cache line")
    }

    var sizeBytes: Int { blocks * BlockPool.blockSizeBytes + directory.sizeBytes + occupied.sizeBytes }

    /// Where the block addresses lie, for the append loop.
    @inline(__always) var blockAddresses: UnsafePointer<UInt> { unsafe UnsafePointer(directory.base) }

    /// The series in a slot, also one that was collected and is not yet freed; nil when there is no such slot. In a block
    /// that is in use, slots without a series are given too: ask `isLive`.
    @inline(__always)
    func pointer(_ slot: Int) -> UnsafeMutablePointer<MemSeries>? {
        guard slot >= 0 && slot < nextSlot else { return nil }
        // SAFETY: every slot below `nextSlot` has a directory entry: a block's address, or 0 when it is not in use.
        let block = unsafe directory.base[slot &>> Self.blockShift]
        return unsafe UnsafeMutablePointer<MemSeries>(bitPattern: block).map { unsafe $0 + (slot & (Self.blockSlots &- 1)) }
    }

    /// Puts a series into a slot that is free; nil when the slot is in use or too large.
    func place(_ slot: Int) -> UnsafeMutablePointer<MemSeries>? {
        guard slot >= 0 && slot < Self.maximumSlots else { return nil }
        let index = slot >> Self.blockShift
        if index >= directory.count {
            let missing = index + 1 - directory.count
            guard directory.extend(by: missing) != nil, occupied.extend(by: missing) != nil else { return nil }
        }
        if directory[index] == 0 {
            let block = unsafe pool.take().bindMemory(to: MemSeries.self, capacity: Self.blockSlots)
            unsafe block.initialize(repeating: MemSeries(), count: Self.blockSlots)
            directory[index] = UInt(bitPattern: block)
            if blocks == 0 { firstSlot = slot }
            blocks += 1
        }
        if slot >= nextSlot { nextSlot = slot + 1 }
        if slot < firstSlot { firstSlot = slot }
        guard let series = unsafe pointer(slot), unsafe !series.pointee.isLive else { return nil }
        occupied[index] += 1
        unsafe series.initialize(to: MemSeries())
        return unsafe series
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
            if firstSlot >> Self.blockShift == index { firstSlot = nextOccupied(from: (index + 1) << Self.blockShift) }
        }
    }

    /// The first slot of the next block in use, `nextSlot` when there is none.
    private func nextOccupied(from slot: Int) -> Int {
        var index = slot >> Self.blockShift
        while index < directory.count && directory[index] == 0 { index += 1 }
        return min(index << Self.blockShift, nextSlot)
    }

    /// Calls `body` for every slot with a live series, in growing order.
    @inline(__always)
    func forEachLive(_ body: (UInt32, UnsafeMutablePointer<MemSeries>) -> Void) {
        var slot = firstSlot
        while slot < nextSlot { unsafe slot = forEachLive(from: slot, blocks: 1, body) }
    }

    /// The same for the next `count` blocks in use from `slot` on; returns where to go on, `nextSlot` or above at the end.
    @inline(__always)
    func forEachLive(from slot: Int, blocks count: Int, _ body: (UInt32, UnsafeMutablePointer<MemSeries>) -> Void) -> Int {
        var slot = max(slot, firstSlot)
        var left = count
        while slot < nextSlot && left > 0 {
            let end = min((slot | (Self.blockSlots &- 1)) &+ 1, nextSlot)
            guard let series = unsafe pointer(slot) else {
                slot = nextOccupied(from: end)
                continue
            }
            left &-= 1
            // SAFETY: the slots up to `end` lie in the block of `slot`, one after the other.
            for index in 0..<(end &- slot) where unsafe series[index].isLive {
                unsafe body(UInt32(truncatingIfNeeded: slot &+ index), series + index)
            }
            slot = end
        }
        return slot
    }
}
