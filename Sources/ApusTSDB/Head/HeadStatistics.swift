public import ApusBytes
import ApusModel

/// What a head holds and what it has done.
public struct HeadStatistics: Sendable {
    /// Bytes of memory by line of the budget: what the process uses, slack and free cells included.
    public struct Memory: Sendable {
        /// Symbols, with their table.
        public var symbols = 0
        /// Name–value pairs, with their table and the lists by name.
        public var labelPairs = 0
        /// Label sets, 4 bytes a pair.
        public var labelSets = 0
        /// Series, 64 bytes each.
        public var series = 0
        /// The table from label sets to series.
        public var seriesTable = 0
        /// Cells of postings.
        public var postings = 0
        /// Cells of open chunks.
        public var openChunks = 0
        /// Blocks of sealed chunks.
        public var sealedChunks = 0
        /// Free cells in blocks that serve open chunks and postings.
        public var slack = 0
        /// Unlinked, and held for a reader.
        public var limbo = 0

        public var total: Int {
            symbols + labelPairs + labelSets + series + seriesTable + postings + openChunks + sealedChunks + slack + limbo
        }
    }

    public var numSeries = 0
    public var numChunks = 0
    /// Pairs with at least one series.
    public var numLabelPairs = 0
    /// Symbols, those of collected series included.
    public var numSymbols = 0
    /// Of the oldest sample (or the start of its period), `Int64.max` when empty.
    public var minTimeMs = Int64.max
    /// Of the newest sample ever, `Int64.min` when there was none.
    public var maxTimeMs = Int64.min
    public var samplesAppended: UInt64 = 0
    public var seriesCreated: UInt64 = 0
    /// How often a new series was refused because of a limit.
    public var seriesRefused: UInt64 = 0
    public var seriesRemoved: UInt64 = 0
    public var chunksCreated: UInt64 = 0
    public var chunksRemoved: UInt64 = 0
    public var truncations: UInt64 = 0
    /// Series whose newest sample is the staleness marker.
    public var staleSeries = 0
    /// Truncations that dropped something, and how many seconds they took together.
    public var collections: UInt64 = 0
    public var collectionSeconds = 0.0
    /// Batches that are being appended or wait to be.
    public var activeAppenders = 0
    /// Rejected samples, by reason.
    public var outOfOrder: UInt64 = 0
    public var outOfBounds: UInt64 = 0
    public var duplicateTimestamps: UInt64 = 0
    public var unknownSeries: UInt64 = 0
    public var activeReaders = 0
    public var memory = Memory()
}

/// What the head's series are made of: for `/api/v1/status/tsdb`. Each list by count, largest first.
public struct CardinalityStatistics: Sendable {
    public struct Entry: Sendable, Equatable {
        public var name: ByteString
        public var count: Int
        public init(name: ByteString, count: Int) {
            self.name = name
            self.count = count
        }
    }
    public var numSeries = 0
    public var numLabelPairs = 0
    public var seriesCountByMetricName: [Entry] = []
    public var labelValueCountByLabelName: [Entry] = []
    /// Bytes of the values of a label, counted once for each series, as upstream does.
    public var memoryInBytesByLabelName: [Entry] = []
    /// Named `name=value`.
    public var seriesCountByLabelValuePair: [Entry] = []
}

extension Head {
    public func statistics() -> HeadStatistics {
        var result = locked { state.statistics() }
        result.activeAppenders = activeAppenders
        return result
    }

    /// The `limit` largest of each kind. O(label pairs).
    public func cardinality(limit: Int) -> CardinalityStatistics { locked { state.cardinality(limit: limit) } }

    /// Checks all that must hold between the parts; for tests. Stops the process when something does not.
    public func checkInvariants() { maintenance.withLock { _ in locked { state.checkInvariants() } } }
}

extension HeadState {
    func statistics() -> HeadStatistics {
        var result = HeadStatistics()
        result.numSeries = seriesCount
        result.numChunks = chunks.chunks + openChunks + histograms.openChunks + xor2Chunks.elements.count
        result.numLabelPairs = labels.index.usedPairs
        result.numSymbols = labels.symbols.count
        result.minTimeMs = minTime
        result.maxTimeMs = maxTime
        result.samplesAppended = counters.samplesAppended
        result.seriesCreated = counters.seriesCreated
        result.seriesRefused = counters.seriesRefused
        result.seriesRemoved = counters.seriesRemoved
        result.chunksCreated = counters.chunksCreated
        result.chunksRemoved = counters.chunksRemoved
        result.truncations = counters.truncations
        result.staleSeries = staleSeries
        result.collections = counters.collections
        result.collectionSeconds = Double(counters.collectionNs) / 1e9
        result.outOfOrder = counters.outOfOrder
        result.outOfBounds = counters.outOfBounds
        result.duplicateTimestamps = counters.duplicates
        result.unknownSeries = counters.unknownSeries
        result.activeReaders = readers.values.reduce(0, +)

        result.memory = memory
        return result
    }

    var memory: HeadStatistics.Memory {
        var memory = HeadStatistics.Memory()
        memory.symbols = labels.symbols.sizeBytes
        memory.labelPairs = labels.index.sizeBytes
        memory.labelSets = labels.runs.sizeBytes
        memory.series = series.sizeBytes
        memory.seriesTable = bySet.sizeBytes
        memory.postings = labels.index.postingsBytes
        memory.openChunks = openCellBytes + histograms.sizeBytes + xor2Chunks.sizeBytes
        memory.sealedChunks = chunks.blocks * BlockPool.blockSizeBytes
        memory.limbo = limbo.reduce(0) { $0 + $1.chunks.blocks.count } * BlockPool.blockSizeBytes
        memory.slack = slab.sizeBytes - openCellBytes - labels.index.postingsBytes
        return memory
    }

    func cardinality(limit: Int) -> CardinalityStatistics {
        typealias Count = (symbol: UInt32, pair: UInt32, count: Int)
        var byMetric: [Count] = []
        var byName: [Count] = []
        var bytes: [Count] = []
        var byPair: [Count] = []
        let name = LabelSet.metricName.bytes
        let metricName = labels.symbols.find(name.span)
        for name in labels.index.names {
            var values = 0
            var size = 0
            for number in name.pairs {
                let pair = labels.index.pairs[Int(number)]
                if pair.count == 0 { continue }
                values += 1
                size += labels.symbols.length(pair.value) * Int(pair.count)
                byPair.append((name.symbol, number, Int(pair.count)))
                if name.symbol == metricName { byMetric.append((pair.value, number, Int(pair.count))) }
            }
            if values == 0 { continue }
            byName.append((name.symbol, 0, values))
            bytes.append((name.symbol, 0, size))
        }
        // Equal counts in byte order, so that the answer is the same each time.
        func largest(_ counts: [Count], _ label: (Count) -> ByteString) -> [CardinalityStatistics.Entry] {
            let sorted = counts.sorted { left, right in
                if left.count != right.count { return left.count > right.count }
                if left.symbol != right.symbol { return labels.symbols.compare(left.symbol, right.symbol) < 0 }
                return left.pair != right.pair && labels.symbols.compare(labels.value(of: left.pair), labels.value(of: right.pair)) < 0
            }
            return sorted.prefix(max(0, limit)).map { .init(name: label($0), count: $0.count) }
        }
        var result = CardinalityStatistics()
        result.numSeries = seriesCount
        result.numLabelPairs = byPair.count
        result.seriesCountByMetricName = largest(byMetric) { labels.symbols.byteString($0.symbol) }
        result.labelValueCountByLabelName = largest(byName) { labels.symbols.byteString($0.symbol) }
        result.memoryInBytesByLabelName = largest(bytes) { labels.symbols.byteString($0.symbol) }
        result.seriesCountByLabelValuePair = largest(byPair) {
            labels.symbols.byteString($0.symbol) + "=" + labels.symbols.byteString(labels.value(of: $0.pair))
        }
        return result
    }

    func checkInvariants() {
        var live = 0
        var stale = 0
        var open = 0
        var cells = 0
        unsafe series.forEachLive { slot, entry in
            // SAFETY: `forEachLive` lends the series in use.
            let state = unsafe entry.pointee
            live += 1
            if state.xor.value == StaleNaN.bits { stale += 1 }
            var previous: UInt32?
            for unsafe pair in unsafe labels.run(at: state.labelOffset) {
                let listed = unsafe labels.index.withPostings(of: labels.index.pairs[Int(pair)]) { unsafe $0.contains(slot) }
                precondition(listed, "a series is missing from the postings of one of its pairs")
                if let previous {
                    precondition(labels.symbols.compare(labels.name(of: previous), labels.name(of: pair)) < 0, "label names of a run out of order")
                }
                previous = pair
            }
            let hash = hashOfSeries(slot)
            precondition(bySet.find(hash: hash) { $0 == slot } != nil, "a series is missing from the table of label sets")
            if state.open != 0 {
                open += 1
                cells += Int(state.capacity)
                precondition(state.xor.count > 0, "an open chunk without a sample")
                precondition(state.xor.sizeBytes <= Int(state.capacity), "an open chunk larger than its cell")
            }
            if state.isHistogram {
                let one = histograms[slot]
                precondition(one != nil, "a series of histograms is missing from their table")
                precondition(Int(state.xor.count) == (one?.isOpen == true ? one?.encoder.count : 0), "count of an open histogram chunk")
                precondition(one?.isOpen != true || one?.encoder.maxTimeMs == state.xor.time, "an open histogram chunk of other samples")
            }
            if state.isXOR2 {
                let one = xor2Chunks[slot]?.encoder
                precondition(one.map { $0.count > 0 && $0.count == Int(state.xor.count) && $0.maxTimeMs == state.xor.time } == true, "an open XOR2 chunk of other samples")
            }
            if let newest = SealedChunk(address: state.sealed) {
                let isHeld = period(of: newest.maxTime) >= oldestPeriod || chunks.periods.contains { $0.index == period(of: newest.maxTime) }
                precondition(isHeld, "a link into a period that was dropped")
                precondition(newest.isMapped || period(of: newest.minTime) == period(of: newest.maxTime), "a chunk across the ends of its period")
                precondition(newest.maxTime <= state.xor.time, "a sealed chunk newer than its series' newest sample")
            }
        }
        precondition(stale == staleSeries, "count of stale series does not agree with the series")
        precondition(live == seriesCount && bySet.count == seriesCount, "series count does not agree with the series")
        let waiting = limbo.flatMap(\.slots).filter { slot in
            guard let entry = unsafe series.pointer(Int(slot.slot)) else { return false }
            return unsafe entry.pointee.open != 0
        }
        var used = 0
        for number in 0..<labels.index.pairCount where labels.index.pairs[number].count > 0 { used += 1 }
        precondition(used == labels.index.usedPairs, "count of pairs with series does not agree with the pairs")
        precondition(open + waiting.count == openChunks, "open chunk count does not agree with the series")
        precondition(!waiting.isEmpty || cells == openCellBytes, "bytes of open chunks do not agree with the series")
        for number in 0..<labels.index.pairCount {
            unsafe labels.index.withPostings(of: labels.index.pairs[number]) { slots in
                var previous: UInt32?
                for unsafe slot in unsafe slots {
                    if let previous { precondition(previous < slot, "postings out of order") }
                    guard let entry = unsafe series.pointer(Int(slot)), unsafe entry.pointee.isLive else {
                        preconditionFailure("postings hold a series that is gone")
                    }
                    previous = slot
                }
            }
        }
    }
}
