import ApusBytes
import ApusModel
import ApusStorage

/// What is read is checked wherever a wrong number could lead astray: the checksum says that the file is as it was
/// written, and not by whom.
extension HeadState {
    static func load(_ reader: inout SnapshotReader, _ options: HeadOptions) throws(SnapshotError) -> HeadState {
        let numbers = try reader.value(SnapshotNumbers.self)
        guard numbers.chunkRangeMs == options.chunkRangeMs else { throw SnapshotError("its periods have another length") }
        let state = HeadState(options: options, seed: numbers.seed)
        guard numbers.nextSlot >= 0, numbers.nextSlot <= SeriesTable.maximumSlots, numbers.seriesCount >= 0 else { throw damaged("numbers") }
        state.baseRef = numbers.baseRef
        state.nextRef = max(numbers.nextRef, options.firstRef)
        state.staleSeries = numbers.staleSeries
        state.settledMinTime = numbers.minTime
        state.maxTime = numbers.maxTime
        state.oldestPeriod = numbers.oldestPeriod
        state.minValidTime = numbers.minValidTime

        let summaries = try reader.array(ChunkFileSummary.self)
        let files = options.chunkFiles as? HeadChunkFiles
        guard files?.restore(summaries) ?? summaries.isEmpty else { throw SnapshotError("the files of chunks are others") }
        state.secondRefs = SecondRefs(
            refs: Set(try reader.array(UInt64.self)), maxTime: numbers.secondRefsMaxTime, lastSegment: numbers.secondRefsSegment)
        for _ in 0..<(try reader.count(elementBytes: 16)) {
            let segment = try reader.value(Int.self)
            state.collectedRefs.add(try reader.array(UInt64.self), segment: segment)
        }
        try state.labels.load(&reader, slots: numbers.nextSlot)
        let blocks = try state.chunks.load(&reader, files)
        try state.loadSeries(&reader, blocks, nextSlot: numbers.nextSlot)
        guard state.seriesCount == numbers.seriesCount else { throw damaged("series") }
        try state.outOfOrder.restore(try reader.array(SnapshotLateChunk.self), files?.places(), files)
        guard state.outOfOrder.series.keys.allSatisfy({ state.isLive($0) }) else { throw damaged("chunks out of order") }
        try state.loadTombstones(&reader)
        try state.loadMetadata(&reader)
        return state
    }

    static func damaged(_ part: String) -> SnapshotError { SnapshotError("its \(part) contradict themselves") }

    private func loadSeries(_ reader: inout SnapshotReader, _ blocks: MovedBlocks, nextSlot: Int) throws(SnapshotError) {
        let count = try reader.count(elementBytes: MemoryLayout<SnapshotSeries>.size)
        bySet = IndexTable(count: count)
        for _ in 0..<count {
            let saved = try reader.value(SnapshotSeries.self)
            guard Int(saved.slot) < nextSlot, labels.isRun(saved.series.labelOffset), let entry = unsafe series.place(Int(saved.slot)) else {
                throw Self.damaged("series")
            }
            var one = saved.series
            one.open = 0
            one.capacity = 0
            if one.sealed != 0 {
                guard let address = blocks.address(of: one.sealed) else { throw Self.damaged("chunks") }
                one.sealed = address
            }
            let size = Int(saved.openBytes)
            // Without an open chunk the writer's place is that in a chunk which is sealed.
            if size == 0 { (one.xor.count, one.xor.bitCount, one.xor.leading, one.xor.trailing) = (0, 16, 0xFF, 0) }
            guard one.xor.isSound else { throw Self.damaged("open chunks") }
            if size > 0 {
                let bytes = try unsafe reader.raw(size)
                guard size <= HeadState.largeScratchBytes, size == one.xor.sizeBytes, one.xor.count > 0, let source = bytes.baseAddress else {
                    throw Self.damaged("open chunks")
                }
                let capacity = SizeClassSlab.capacity(atLeast: size)
                let cell = unsafe slab.allocate(capacity: capacity)
                unsafe cell.copyMemory(from: source, byteCount: size)
                one.open = UInt(bitPattern: cell)
                one.capacity = UInt16(truncatingIfNeeded: capacity)
                openChunks += 1
                openCellBytes += capacity
            }
            // SAFETY: the slot was just placed.
            unsafe entry.pointee = one
            seriesCount += 1
            let hash = unsafe labels.hash(labels.run(at: one.labelOffset))
            bySet.insert(saved.slot, hash: hash) { self.hashOfSeries($0) }
        }
    }

    private func loadTombstones(_ reader: inout SnapshotReader) throws(SnapshotError) {
        for _ in 0..<(try reader.count(elementBytes: 12)) {
            let slot = try reader.value(UInt32.self)
            let bounds = try reader.array(Int64.self)
            var ranges = TimeRanges()
            for index in stride(from: 0, to: bounds.count - 1, by: 2) where bounds[index] <= bounds[index + 1] {
                ranges.add(bounds[index]...bounds[index + 1])
            }
            tombstones[slot] = ranges
        }
    }

    private func loadMetadata(_ reader: inout SnapshotReader) throws(SnapshotError) {
        for _ in 0..<(try reader.count(elementBytes: 21)) {
            let slot = try reader.value(UInt32.self)
            let type = MetricType(recordCode: try reader.value(UInt8.self))
            let help = String(decoding: try reader.array(UInt8.self), as: UTF8.self)
            let unit = String(decoding: try reader.array(UInt8.self), as: UTF8.self)
            _ = metadata.set(MetricMetadata(type: type, help: help, unit: unit), for: slot)
        }
    }

    /// Exemplars of series that are in the head; those of others go.
    func loadExemplars(_ reader: inout SnapshotReader) throws(SnapshotError) {
        for _ in 0..<(try reader.count(elementBytes: 33)) {
            let set = LabelSet(alreadyEncoded: try reader.array(UInt8.self))
            let labels = LabelSet(alreadyEncoded: try reader.array(UInt8.self))
            let value = try reader.value(Double.self)
            let time = try reader.value(Int64.self)
            let hasTimestamp = try reader.value(UInt8.self) != 0
            guard let ref = knownRef(of: set) else { continue }
            let exemplar = Exemplar(labels: labels, value: value, timestampMs: time, hasTimestamp: hasTimestamp)
            _ = exemplars.add(ref, exemplar) { set }
        }
    }
}

extension LabelStore {
    /// Fills an empty store.
    /// - Parameter slots: above every slot.
    func load(_ reader: inout SnapshotReader, slots: Int) throws(SnapshotError) {
        try reader.fill(symbols.bytes)
        try reader.fill(symbols.offsets)
        guard symbols.isComplete else { throw HeadState.damaged("symbols") }
        symbols.table = try IndexTable(&reader, limit: symbols.count)
        try reader.fill(index.pairs)
        try index.restore(&reader, symbols: symbols.count, slots: slots)
        index.table = try IndexTable(&reader, limit: index.pairCount)
        // Runs that are free stay as they are until the store is written anew.
        try reader.fill(runs)
    }

    /// Whether a run lies at an offset, of numbers of pairs.
    func isRun(_ offset: UInt32) -> Bool {
        let start = Int(offset)
        guard start < runs.count else { return false }
        let length = Int(runs[start])
        guard length < runs.count - start else { return false }
        let pairs = index.pairCount
        for position in 0..<length where unsafe Int(runs.base[start &+ 1 &+ position]) >= pairs { return false }
        return true
    }
}

extension SymbolTable {
    /// Whether every symbol lies in the bytes.
    var isComplete: Bool {
        for symbol in 0..<count {
            let start = Int(offsets[symbol])
            var length = 0
            var shift = 0
            var position = start
            while true {
                guard position < bytes.count, shift < 35 else { return false }
                let byte = bytes[position]
                position += 1
                length |= Int(byte & 0x7F) << shift
                if byte < 0x80 { break }
                shift += 7
            }
            if length > bytes.count - position { return false }
        }
        return true
    }
}

extension LabelIndex {
    /// Reads the postings of pairs whose addresses are a former run's, and lists the pairs by name.
    func restore(_ reader: inout SnapshotReader, symbols: Int, slots: Int) throws(SnapshotError) {
        // Until they have cells of their own.
        var saved: [(count: Int, capacity: Int)] = []
        saved.reserveCapacity(pairs.count)
        for number in 0..<pairs.count {
            let pair = pairs[number]
            guard Int(pair.name) < symbols, Int(pair.value) < symbols, pair.capacity > 0 || pair.count <= LabelPair.inlineCount else {
                for index in number..<pairs.count { unsafe pairs.base[index].capacity = 0 }
                throw HeadState.damaged("label pairs")
            }
            saved.append((Int(pair.count), Int(pair.capacity)))
            if pair.capacity > 0 { unsafe pairs.base[number].capacity = 0 }
        }
        for (number, pair) in saved.enumerated() {
            let entry = unsafe pairs.base + number
            if pair.count > 0 { usedPairs += 1 }
            if pair.capacity > 0 {
                unsafe entry.pointee.count = 0
                unsafe entry.pointee.storage = 0
                let source = try unsafe reader.raw(pair.count * 4)
                unsafe entry.pointee.count = UInt32(pair.count)
                let bytes = SizeClassSlab.capacity(atLeast: max(pair.count * 4, 4))
                let cell = unsafe slab.allocate(capacity: bytes)
                if let start = source.baseAddress { unsafe cell.copyMemory(from: start, byteCount: source.count) }
                postingsBytes += bytes
                unsafe entry.pointee.storage = UInt(bitPattern: cell)
                unsafe entry.pointee.capacity = UInt32(bytes / 4)
            }
            let areSlots = unsafe withPostings(of: entry.pointee) { list in
                for unsafe slot in unsafe list where Int(slot) >= slots { return false }
                return true
            }
            guard areSlots else { throw HeadState.damaged("postings") }
            list(UInt32(number), name: unsafe entry.pointee.name)
        }
    }
}

extension XORState {
    /// Whether a writer may go on from here within a chunk's limits.
    var isSound: Bool {
        let isWindow = leading == 0xFF || leading <= 31 && Int(leading) + Int(trailing) < 64
        return isWindow && Int(count) <= Self.maxSamples && Int(bitCount) <= 16 + Int(count) * Self.maxSampleBits
    }
}

/// Where the blocks of a former run's arena are now, and where the links in them begin.
struct MovedBlocks {
    private var numbers: [UInt: Int] = [:]
    private var blocks: [UInt] = []
    /// A bit for each byte of each block.
    private var starts: [UInt64] = []
    private static let mask = UInt(BlockPool.blockSizeBytes - 1)
    private static let words = BlockPool.blockSizeBytes / 64

    mutating func add(_ old: UInt, _ new: UInt) -> Int {
        numbers[old] = blocks.count
        blocks.append(new)
        starts.append(contentsOf: repeatElement(0, count: Self.words))
        return blocks.count - 1
    }

    mutating func noteLink(_ block: Int, _ offset: Int) { starts[block * Self.words + offset >> 6] |= 1 << UInt64(offset & 63) }

    /// The link's address now; nil when its block is gone, or no link begins there.
    func address(of old: UInt) -> UInt? {
        let offset = old & Self.mask
        guard let number = numbers[old & ~Self.mask], starts[number * Self.words + Int(offset >> 6)] >> UInt64(offset & 63) & 1 == 1 else {
            return nil
        }
        return blocks[number] | offset
    }
}

extension ChunkArena {
    func load(_ reader: inout SnapshotReader, _ files: HeadChunkFiles?) throws(SnapshotError) -> MovedBlocks {
        let places = files?.places()
        var moved = MovedBlocks()
        for _ in 0..<(try reader.count(elementBytes: 40)) {
            var period = Period(index: try reader.value(Int64.self))
            period.minTime = try reader.value(Int64.self)
            period.chunks = try Int(clamping: reader.value(UInt64.self))
            if let last = periods.last, last.index >= period.index { throw HeadState.damaged("periods") }
            periods.append(period)
            let place = periods.count - 1
            for old in try reader.array(UInt.self) {
                let count = try reader.count(elementBytes: 1)
                let bytes = try unsafe reader.raw(count)
                guard count <= BlockPool.blockSizeBytes - chunkReadSlackBytes, let source = bytes.baseAddress else { throw HeadState.damaged("chunks") }
                let block = unsafe pool.take()
                periods[place].append(UInt(bitPattern: block))
                periods[place].cursor = count
                unsafe block.copyMemory(from: source, byteCount: count)
                let number = moved.add(old, UInt(bitPattern: block))
                guard restore(UInt(bitPattern: block), count, places, files, { moved.noteLink(number, $0) }) else { throw HeadState.damaged("chunks") }
            }
        }
        for period in periods {
            for (position, block) in period.blocks.enumerated() {
                relocateLinks(block, period.ends.indices.contains(position) ? period.ends[position] : period.cursor, moved)
            }
        }
        return moved
    }

    /// Puts addresses in the place of refs; false when the links are not such.
    private func restore(
        _ block: UInt, _ end: Int, _ places: ChunkPlaces?, _ files: HeadChunkFiles?, _ noteLink: (Int) -> Void
    ) -> Bool {
        var offset = 0
        while offset < end {
            guard end - offset >= SealedChunk.headerBytes, let chunk = SealedChunk(address: block &+ UInt(offset)),
                chunk.storedBytes <= end - offset
            else { return false }
            if chunk.isMapped {
                // SAFETY: the link's 8 bytes lie in the block, as was just checked.
                guard let field = unsafe UnsafeMutableRawPointer(bitPattern: block &+ UInt(offset &+ SealedChunk.headerBytes)) else { return false }
                let ref = HeadChunkRef(rawValue: unsafe field.loadUnaligned(as: UInt64.self))
                guard let address = places?.address(of: ref, sizeBytes: chunk.sizeBytes) ?? files?.padded(ref, sizeBytes: chunk.sizeBytes) else {
                    return false
                }
                unsafe field.storeBytes(of: UInt64(address), as: UInt64.self)
            }
            noteLink(offset)
            offset += chunk.storedBytes
        }
        return true
    }

    private func relocateLinks(_ block: UInt, _ end: Int, _ moved: MovedBlocks) {
        var offset = 0
        while offset < end, let chunk = SealedChunk(address: block &+ UInt(offset)) {
            defer { offset += chunk.storedBytes }
            // SAFETY: the link lies in the block; its first 8 bytes are the address of the one before.
            if let record = unsafe UnsafeMutableRawPointer(bitPattern: chunk.address) {
                let previous = unsafe UInt(record.loadUnaligned(as: UInt64.self))
                if previous == 0 { continue }
                var address = moved.address(of: previous) ?? 0
                // What lay in a period that is gone is not looked at. And lists go back in time, or they would have no end.
                if let before = SealedChunk(address: address), before.maxTime >= chunk.minTime { address = 0 }
                unsafe record.storeBytes(of: UInt64(address), as: UInt64.self)
            }
        }
    }
}
