import ApusBytes

/// The sealed chunks of the series, as lists from the newest to the oldest: one link a chunk, laid tight into blocks by
/// period. All links of a period are dropped together, and whole blocks with them.
///
///     │ previous, address u64 │ min time, i64 │ max − min, u32 │ periods back to previous, u32 │ size, u32 │ encoding, u8 │ …
///     … the chunk's bytes                                 when it lies here: in memory mode, or since the disk refused it
///     … their address u64                                 when bit 7 of the encoding is set: they lie in a mapped file
///
/// A chunk's period is that of its newest sample. An address may outlive its period. So each link says in which period
/// its predecessor lies, and who walks the list compares that with the oldest period it holds before it looks.
@safe final class ChunkArena: @unchecked Sendable {
    // `@unchecked`: changed only under the head's lock; a link once stored does not change, and may be read without.
    struct Period {
        let index: Int64
        private(set) var blocks: [UInt] = []
        /// Offsets behind the last link in all blocks but the newest, which ends at `cursor`.
        private(set) var ends: [Int] = []
        /// Offset of the first free byte in the last block.
        var cursor = BlockPool.blockSizeBytes
        var chunks = 0
        /// Of the oldest sample in it.
        var minTime = Int64.max
        /// Links with chunks that are larger than a block: histograms of thousands of buckets.
        var large: [UInt] = []

        init(index: Int64) { self.index = index }

        /// Adds an empty block.
        mutating func append(_ block: UInt) {
            if !blocks.isEmpty { ends.append(cursor) }
            blocks.append(block)
            cursor = 0
        }
    }

    /// What dropped periods leave behind.
    struct Remains {
        var blocks: [UInt] = []
        var large: [UInt] = []
        var isEmpty: Bool { blocks.isEmpty && large.isEmpty }
    }

    var periods: [Period] = []
    let pool: BlockPool

    init(pool: BlockPool) { self.pool = pool }

    deinit { for period in periods { free(period.large) } }

    var blocks: Int { periods.reduce(0) { $0 + $1.blocks.count } }
    var chunks: Int { periods.reduce(0) { $0 + $1.chunks } }
    /// Of the oldest sample in any chunk, `.max` without chunks.
    var minTime: Int64 { periods.reduce(.max) { min($0, $1.minTime) } }

    /// What a link says beside its place.
    struct Link {
        var encoding: UInt8
        var minTime: Int64
        var maxTime: Int64
        /// The series' newest sealed chunk and its period, if any.
        var previous: (address: UInt, period: Int64)?
    }

    /// Copies a chunk into its period and returns the address of its link.
    func store(_ data: UnsafeRawBufferPointer, period: Int64, _ link: Link) -> UInt {
        let record = unsafe room(SealedChunk.headerBytes + data.count, period)
        unsafe write(link, sizeBytes: data.count, period, to: record)
        if let source = data.baseAddress { unsafe (record + SealedChunk.headerBytes).copyMemory(from: source, byteCount: data.count) }
        return UInt(bitPattern: record)
    }

    /// Links a chunk that lies in a mapped file.
    /// - Parameter address: of its bytes; behind them `chunkReadSlackBytes` more may be read.
    func store(mappedAt address: UInt, sizeBytes: Int, period: Int64, _ link: Link) -> UInt {
        let record = unsafe room(SealedChunk.headerBytes + 8, period)
        unsafe write(link, sizeBytes: sizeBytes, period, to: record)
        unsafe record.storeBytes(of: link.encoding | SealedChunk.mappedBit, toByteOffset: 28, as: UInt8.self)
        unsafe record.storeBytes(of: UInt64(address), toByteOffset: SealedChunk.headerBytes, as: UInt64.self)
        return UInt(bitPattern: record)
    }

    /// Puts a chunk that is the oldest of its list behind another list: during a replay, when there are no readers.
    func setPrevious(of address: UInt, _ previous: UInt, periodsBack: Int64) {
        guard let record = unsafe UnsafeMutableRawPointer(bitPattern: address), let distance = UInt32(exactly: periodsBack) else { return }
        // SAFETY: the address of a link that was stored here.
        unsafe record.storeBytes(of: UInt64(previous), as: UInt64.self)
        unsafe record.storeBytes(of: distance, toByteOffset: 20, as: UInt32.self)
    }

    /// Room for `total` bytes and the slack in a period.
    private func room(_ total: Int, _ period: Int64) -> UnsafeMutableRawPointer {
        let index = periodIndex(period)
        if total > BlockPool.blockSizeBytes - chunkReadSlackBytes {
            let record = UnsafeMutableRawPointer.allocate(byteCount: total + chunkReadSlackBytes, alignment: 8)
            periods[index].large.append(UInt(bitPattern: record))
            periods[index].chunks += 1
            return unsafe record
        }
        if periods[index].cursor + total > BlockPool.blockSizeBytes - chunkReadSlackBytes {
            let block = unsafe pool.take()
            periods[index].append(UInt(bitPattern: block))
        }
        let address = periods[index].blocks[periods[index].blocks.count - 1] + UInt(periods[index].cursor)
        periods[index].cursor += total
        periods[index].chunks += 1
        // SAFETY: the block has room for `total` bytes at the cursor, and the slack behind.
        return unsafe UnsafeMutableRawPointer(bitPattern: address).unsafelyUnwrapped
    }

    private func write(_ link: Link, sizeBytes: Int, _ period: Int64, to record: UnsafeMutableRawPointer) {
        let index = periodIndex(period)
        periods[index].minTime = min(periods[index].minTime, link.minTime)
        var address: UInt = 0
        var distance: UInt32 = 0
        // A gap of 2³² periods cannot be written; no retention is so long that the link would be missed.
        if let previous = link.previous, let exact = UInt32(exactly: period.subtractingReportingOverflow(previous.period).partialValue) {
            address = previous.address
            distance = exact
        }
        // SAFETY: the caller made room for the header.
        unsafe record.storeBytes(of: UInt64(address), as: UInt64.self)
        unsafe record.storeBytes(of: link.minTime, toByteOffset: 8, as: Int64.self)
        unsafe record.storeBytes(of: UInt32(clamping: link.maxTime &- link.minTime), toByteOffset: 16, as: UInt32.self)
        unsafe record.storeBytes(of: distance, toByteOffset: 20, as: UInt32.self)
        unsafe record.storeBytes(of: UInt32(truncatingIfNeeded: sizeBytes), toByteOffset: 24, as: UInt32.self)
        unsafe record.storeBytes(of: link.encoding, toByteOffset: 28, as: UInt8.self)
    }

    /// The place of a period in the list, made when new. Nearly always the last or the one before.
    private func periodIndex(_ period: Int64) -> Int {
        var index = periods.count
        while index > 0 && periods[index - 1].index > period { index -= 1 }
        if index > 0 && periods[index - 1].index == period { return index - 1 }
        periods.insert(Period(index: period), at: index)
        return index
    }

    /// Takes the periods before `period` out of the list. What they leave is to be given back when no reader is left.
    func removePeriods(before period: Int64) -> Remains {
        var remains = Remains()
        while let first = periods.first, first.index < period {
            remains.blocks.append(contentsOf: first.blocks)
            remains.large.append(contentsOf: first.large)
            periods.removeFirst()
        }
        return remains
    }

    func give(_ remains: Remains) {
        for block in remains.blocks {
            // SAFETY: addresses of blocks taken in `room`, given back once.
            if let pointer = unsafe UnsafeMutableRawPointer(bitPattern: block) { unsafe pool.give(pointer) }
        }
        free(remains.large)
    }

    private func free(_ large: [UInt]) {
        // SAFETY: addresses of what `room` allocated, freed once.
        for record in large { unsafe UnsafeMutableRawPointer(bitPattern: record)?.deallocate() }
    }
}

/// A sealed chunk, by the address of its link. Valid while its period is held.
@safe struct SealedChunk {
    static let headerBytes = 29
    /// Set in the encoding of a chunk whose bytes lie elsewhere.
    static let mappedBit: UInt8 = 0x80
    private let record: UnsafeRawPointer

    /// Nil for address 0.
    @inline(__always)
    init?(address: UInt) {
        guard let record = unsafe UnsafeRawPointer(bitPattern: address) else { return nil }
        unsafe self.record = record
    }

    var minTime: Int64 { unsafe record.loadUnaligned(fromByteOffset: 8, as: Int64.self) }
    var maxTime: Int64 { minTime &+ Int64(unsafe record.loadUnaligned(fromByteOffset: 16, as: UInt32.self)) }
    var sizeBytes: Int { Int(unsafe record.loadUnaligned(fromByteOffset: 24, as: UInt32.self)) }
    private var code: UInt8 { unsafe record.load(fromByteOffset: 28, as: UInt8.self) }
    /// As `ChunkEncoding`'s raw value.
    var encoding: UInt8 { code & ~Self.mappedBit }
    var isMapped: Bool { code & Self.mappedBit != 0 }
    var address: UInt { UInt(bitPattern: unsafe record) }

    /// Bytes of the link, with the chunk when it lies there.
    var storedBytes: Int { Self.headerBytes + (isMapped ? 8 : sizeBytes) }

    /// The chunk's bytes; behind them `chunkReadSlackBytes` more may be read.
    var data: UnsafeRawBufferPointer {
        let inline = unsafe record + Self.headerBytes
        if !isMapped { return unsafe UnsafeRawBufferPointer(start: inline, count: sizeBytes) }
        let address = UInt(unsafe inline.loadUnaligned(as: UInt64.self))
        return unsafe UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: address), count: sizeBytes)
    }

    var count: Int {
        guard let base = unsafe data.baseAddress, sizeBytes >= 2 else { return 0 }
        return Int(UInt16(bigEndian: unsafe base.loadUnaligned(as: UInt16.self)))
    }

    /// The address of the chunk before this one, 0 when there is none or its period is before `oldest`.
    func previous(oldestPeriod oldest: Int64, periodOf: (Int64) -> Int64) -> UInt {
        let link = UInt(unsafe record.loadUnaligned(as: UInt64.self))
        if link == 0 { return 0 }
        let distance = Int64(unsafe record.loadUnaligned(fromByteOffset: 20, as: UInt32.self))
        return periodOf(maxTime) &- distance >= oldest ? link : 0
    }
}
