import ApusBytes

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Sealed chunks, laid tight into blocks by period: all chunks of a period are dropped together, and whole blocks with
/// them. A chunk's samples all lie in one period `[index × length, (index + 1) × length)`.
///
/// The chunks of a series are a list from the newest to the oldest:
///
///     │ previous, address u64 │ min time, i64 │ max − min, u32 │ periods back to previous, u32 │ size, u16 │ XOR bytes │
///
/// An address may outlive its period. So each chunk says in which period its predecessor lies, and who walks the list
/// compares that with the oldest period it holds before it looks.
@safe final class ChunkArena: @unchecked Sendable {
    // `@unchecked`: changed only under the head's lock; a chunk once stored does not change, and may be read without.
    struct Period {
        let index: Int64
        var blocks: [UInt] = []
        /// Offset of the first free byte in the last block.
        var cursor = BlockPool.blockSizeBytes
        var chunks = 0
    }

    private(set) var periods: [Period] = []
    private let pool: BlockPool

    init(pool: BlockPool) { self.pool = pool }

    var blocks: Int { periods.reduce(0) { $0 + $1.blocks.count } }
    var chunks: Int { periods.reduce(0) { $0 + $1.chunks } }

    /// Copies a chunk into its period and returns its address.
    /// - Parameter previous: the series' newest sealed chunk and its period, if any.
    func store(
        _ data: UnsafeRawPointer, sizeBytes: Int, period: Int64, minTime: Int64, maxTime: Int64, previous: (UInt, period: Int64)?
    ) -> UInt {
        let index = periodIndex(period)
        let total = SealedChunk.headerBytes + sizeBytes
        if periods[index].cursor + total > BlockPool.blockSizeBytes - chunkReadSlackBytes {
            let block = unsafe pool.take()
            periods[index].blocks.append(UInt(bitPattern: block))
            periods[index].cursor = 0
        }
        let address = periods[index].blocks[periods[index].blocks.count - 1] + UInt(periods[index].cursor)
        periods[index].cursor += total
        periods[index].chunks += 1
        // SAFETY: the block has room for `total` bytes at the cursor, and the slack behind.
        let record = unsafe UnsafeMutableRawPointer(bitPattern: address).unsafelyUnwrapped
        var link: UInt = 0
        var distance: UInt32 = 0
        // A gap of 2³² periods cannot be written; no retention is so long that the link would be missed.
        if let previous, let exact = UInt32(exactly: period.subtractingReportingOverflow(previous.period).partialValue) {
            link = previous.0
            distance = exact
        }
        unsafe record.storeBytes(of: UInt64(link), as: UInt64.self)
        unsafe record.storeBytes(of: minTime, toByteOffset: 8, as: Int64.self)
        unsafe record.storeBytes(of: UInt32(clamping: maxTime &- minTime), toByteOffset: 16, as: UInt32.self)
        unsafe record.storeBytes(of: distance, toByteOffset: 20, as: UInt32.self)
        unsafe record.storeBytes(of: UInt16(truncatingIfNeeded: sizeBytes), toByteOffset: 24, as: UInt16.self)
        unsafe (record + SealedChunk.headerBytes).copyMemory(from: data, byteCount: sizeBytes)
        return address
    }

    /// The place of a period in the list, made when new. Nearly always the last or the one before.
    private func periodIndex(_ period: Int64) -> Int {
        var index = periods.count
        while index > 0 && periods[index - 1].index > period { index -= 1 }
        if index > 0 && periods[index - 1].index == period { return index - 1 }
        periods.insert(Period(index: period), at: index)
        return index
    }

    /// Takes the periods before `period` out of the list. Their blocks are the caller's to give back when no reader is left.
    func removePeriods(before period: Int64) -> [UInt] {
        var blocks: [UInt] = []
        while let first = periods.first, first.index < period {
            blocks.append(contentsOf: first.blocks)
            periods.removeFirst()
        }
        return blocks
    }

    func give(_ blocks: [UInt]) {
        for block in blocks {
            // SAFETY: addresses of blocks taken in `store`, given back once.
            if let pointer = unsafe UnsafeMutableRawPointer(bitPattern: block) { unsafe pool.give(pointer) }
        }
    }
}

/// A chunk in a `ChunkArena`, by its address. Valid while its period is held.
@safe struct SealedChunk {
    static let headerBytes = 26
    private let record: UnsafeRawPointer

    /// Nil for address 0.
    @inline(__always)
    init?(address: UInt) {
        guard let record = unsafe UnsafeRawPointer(bitPattern: address) else { return nil }
        unsafe self.record = record
    }

    var minTime: Int64 { unsafe record.loadUnaligned(fromByteOffset: 8, as: Int64.self) }
    var maxTime: Int64 { minTime &+ Int64(unsafe record.loadUnaligned(fromByteOffset: 16, as: UInt32.self)) }
    var sizeBytes: Int { Int(unsafe record.loadUnaligned(fromByteOffset: 24, as: UInt16.self)) }
    var data: UnsafeRawPointer { unsafe record + Self.headerBytes }
    var count: Int { Int(UInt16(bigEndian: unsafe data.loadUnaligned(as: UInt16.self))) }
    var address: UInt { UInt(bitPattern: unsafe record) }

    /// The address of the chunk before this one, 0 when there is none or its period is before `oldest`.
    func previous(oldestPeriod oldest: Int64, periodOf: (Int64) -> Int64) -> UInt {
        let link = UInt(unsafe record.loadUnaligned(as: UInt64.self))
        if link == 0 { return 0 }
        let distance = Int64(unsafe record.loadUnaligned(fromByteOffset: 20, as: UInt32.self))
        return periodOf(minTime) &- distance >= oldest ? link : 0
    }
}
