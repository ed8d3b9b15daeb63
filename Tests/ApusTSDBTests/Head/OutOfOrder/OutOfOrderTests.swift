import ApusBytes
import ApusModel
import ApusStorage
import Testing

@testable import ApusTSDB

/// A head with a window, and a directory for its files.
struct LateHead {
    static let window: Int64 = 100_000
    let directory = TemporaryChunks()
    let head: Head
    let log: WriteAheadLog?
    let files: HeadChunkFiles?

    init(window: Int64 = Self.window, onDisk: Bool = true, chunkRangeMs: Int64 = 20_000) throws {
        log = onDisk ? try .open(joinPath(directory.path, "wbl"), files: PosixFileSystem(), time: ManualTime()) : nil
        files = onDisk ? try .open(joinPath(directory.path, "chunks_head"), files: PosixFileSystem()) : nil
        head = Head(options: HeadOptions(retentionMs: 0, chunkRangeMs: chunkRangeMs, chunkFiles: files))
        head.setOutOfOrder(windowMs: window, log: log)
    }

    @discardableResult
    func append(_ ref: SeriesRef, _ samples: [(Int64, Double)]) throws -> AppendOutcome {
        var batch = SampleBatch()
        for (time, value) in samples { batch.append(ref, timestampMs: time, value: value) }
        return try head.append(batch)
    }

    func read(_ low: Int64 = .min, _ high: Int64 = .max) throws -> [LabelSet: [Int64: Double]] { try LateHead.read(head, low, high) }

    static func read(_ source: some Queryable, _ low: Int64 = .min, _ high: Int64 = .max) throws -> [LabelSet: [Int64: Double]] {
        let querier = try source.querier(minTimeMs: low, maxTimeMs: high)
        defer { querier.close() }
        var result: [LabelSet: [Int64: Double]] = [:]
        for series in try readAll(querier, [], low...high) where !series.samples.isEmpty {
            #expect(series.samples.map(\.time) == series.samples.map(\.time).sorted(), "not in order of time")
            result[series.labels] = Dictionary(uniqueKeysWithValues: series.samples.map { ($0.time, Double(bitPattern: $0.bits)) })
        }
        return result
    }

    /// What a start finds after a kill: a new head over the same files.
    /// - Parameter series: what the log names, in its order: that decides the refs they have now.
    func restarted(series: KeyValuePairs<SeriesRef, LabelSet>, window: Int64 = Self.window) throws -> (head: Head, report: OutOfOrderReplay) {
        let files = try HeadChunkFiles.open(joinPath(directory.path, "chunks_head"), files: PosixFileSystem())
        let head = Head(options: HeadOptions(retentionMs: 0, chunkRangeMs: 20_000, chunkFiles: files))
        head.setOutOfOrder(windowMs: window, log: nil)
        #expect(files.iterate { if $0.isOutOfOrder { head.loadOutOfOrder($0) } } == nil)
        var refs: [SeriesRef: SeriesRef] = [:]
        for (ref, labels) in series { refs[ref] = try head.seriesRef(for: labels) }
        let reader = try WALReader(directory: joinPath(directory.path, "wbl"), files: PosixFileSystem())
        return (head, try head.replayOutOfOrder(reader) { refs[$0] })
    }
}

private func records(_ directory: TemporaryChunks) throws -> [DecodedRecord] { try records(in: joinPath(directory.path, "wbl")) }

private func records(in path: String) throws -> [DecodedRecord] {
    let reader = try WALReader(directory: path, files: PosixFileSystem())
    var result: [DecodedRecord] = []
    var record = DecodedRecord()
    while try reader.next(&record) { result.append(record) }
    return result
}

private func chunkSamples(_ set: any ChunkSeriesSet) throws -> [LabelSet: [Int64: Double]] {
    var result: [LabelSet: [Int64: Double]] = [:]
    var previous: LabelSet?
    while try set.next() {
        if let previous { #expect(previous < set.labels) }
        previous = set.labels
        var columns = SampleColumns(histograms: true)
        for chunk in set.chunks {
            let before = columns.count
            try chunk.decode(into: &columns)
            #expect(columns.timestampMs(at: before) == chunk.minTimeMs && columns.timestampMs(at: columns.count - 1) == chunk.maxTimeMs)
        }
        for index in 0..<columns.count { result[set.labels, default: [:]][columns.timestampMs(at: index)] = columns.value(at: index) }
    }
    return result
}

@Suite("Out of order") struct OutOfOrderTests {
    let a: LabelSet = ["__name__": "a"]
    let b: LabelSet = ["__name__": "b"]

    @Test("late samples within the window are stored, older ones are too old")
    func window() throws {
        let late = try LateHead()
        let ref = try late.head.seriesRef(for: a)
        try late.append(ref, [(200_000, 1)])
        let outcome = try late.append(ref, [(199_000, 2), (100_000, 3), (99_999, 4), (200_000, 5), (201_000, 6)])
        #expect(outcome.appended == 3)
        #expect(outcome.rejections == [.init(index: 2, reason: .tooOld), .init(index: 3, reason: .duplicateTimestamp)])
        #expect(try late.read() == [a: [100_000: 3, 199_000: 2, 200_000: 1, 201_000: 6]])
        #expect(try late.read(150_000, 199_500) == [a: [199_000: 2]])
        let statistics = late.head.outOfOrderStatistics()
        #expect(statistics.samplesAppended == 2)
        #expect(statistics.tooOld == 1)
        #expect(statistics.minTimeMs == 100_000 && statistics.maxTimeMs == 199_000)
        #expect(statistics.delayCounts == [3, 3, 3, 3, 3, 3, 3, 3])
        #expect(late.head.statistics().outOfOrder == 0)
        late.head.checkInvariants()
    }

    @Test("without a window everything is as it was")
    func noWindow() throws {
        let late = try LateHead(window: 0)
        let ref = try late.head.seriesRef(for: a)
        try late.append(ref, [(200_000, 1)])
        let outcome = try late.append(ref, [(199_000, 2), (1, 3)])
        #expect(outcome.rejections == [.init(index: 0, reason: .outOfOrder), .init(index: 1, reason: .outOfBounds)])
        #expect(late.head.statistics().outOfOrder == 1 && late.head.statistics().outOfBounds == 1)
        // At run time.
        late.head.setOutOfOrder(windowMs: 5000, log: late.log)
        #expect(try late.append(ref, [(199_000, 2)]).appended == 1)
        late.head.setOutOfOrder(windowMs: 0, log: late.log)
        #expect(try late.append(ref, [(198_000, 2)]).appended == 0)
        #expect(try late.read() == [a: [199_000: 2, 200_000: 1]])
    }

    @Test("the head's own log is told too, of what is within the window")
    func mainLog() throws {
        let log = MemoryLog()
        let head = Head(options: HeadOptions(chunkRangeMs: 20_000, log: log))
        head.setOutOfOrder(windowMs: 50_000, log: nil)
        let ref = try head.seriesRef(for: a)
        for times in [[200_000], [199_000, 210_000, 100_000]] as [[Int64]] {
            var batch = SampleBatch()
            for time in times { batch.append(ref, timestampMs: time, value: 1) }
            _ = try head.append(batch)
        }
        let logged = log.read(from: LogPosition(segment: 0, offset: 0), limit: 10).entries.compactMap { entry in
            if case .samples(let batch) = entry { batch.timestampsMs } else { nil }
        }
        #expect(logged == [[200_000], [210_000], [199_000]])
    }

    @Test("a batch may refuse the window for itself; a ref that is not known stays unknown")
    func refusals() throws {
        let late = try LateHead()
        let ref = try late.head.seriesRef(for: a)
        try late.append(ref, [(200_000, 1)])
        var batch = SampleBatch()
        batch.refusesOutOfOrder = true
        batch.append(ref, timestampMs: 199_000, value: 1)
        #expect(try late.head.append(batch).rejections == [.init(index: 0, reason: .outOfOrder)])
        let unknown = try late.append(SeriesRef(rawValue: 77), [(150_000, 1)])
        #expect(unknown.rejections == [.init(index: 0, reason: .unknownSeries)])
    }

    @Test("the late value of a time wins over the one in order; among late ones of a chunk the first stays")
    func sameTime() throws {
        let late = try LateHead()
        let ref = try late.head.seriesRef(for: a)
        try late.append(ref, [(190_000, 1), (195_000, 1), (200_000, 1)])
        #expect(try late.append(ref, [(195_000, 2)]).appended == 1)
        #expect(try late.append(ref, [(195_000, 3)]).appended == 0)
        #expect(late.head.outOfOrderStatistics().repeated == 1)
        #expect(try late.read() == [a: [190_000: 1, 195_000: 2, 200_000: 1]])
        // Once that chunk is finished, a later one of the time is taken too.
        for index in 0..<40 { try late.append(ref, [(150_000 + Int64(index), 0)]) }
        #expect(try late.append(ref, [(195_000, 4)]).appended == 1)
        #expect(try [2, 4].contains(late.read(195_000, 195_000)[a]?[195_000]))
    }

    @Test("a series may have late samples only, older than any in order")
    func onlyLate() throws {
        let late = try LateHead(window: 1_000_000, chunkRangeMs: 1000)
        let (first, second) = (try late.head.seriesRef(for: a), try late.head.seriesRef(for: b))
        try late.append(first, [(2_000_000, 1)])
        #expect(try late.append(second, [(1_500_000, 2)]).appended == 1)
        // The head drops what is in order and old; the late sample holds its series.
        try late.append(first, [(2_010_000, 1)])
        late.head.truncate(before: 2_005_000)
        #expect(late.head.labels(of: second) == b)
        #expect(try late.read() == [a: [2_010_000: 1], b: [1_500_000: 2]])
        #expect(try late.read(1_400_000, 1_600_000).keys.sorted() == [b])
        #expect(try late.read(1_600_000, 1_700_000).isEmpty)
        let querier = try late.head.querier(minTimeMs: 1_400_000, maxTimeMs: 1_600_000)
        defer { querier.close() }
        #expect(try querier.labelValues("__name__", [], limit: 0) == ["b"])
        late.head.checkInvariants()
        let written = try #require(try late.head.outOfOrderHead())
        try late.head.truncateOutOfOrder(written)
        querier.close()
        try late.append(first, [(2_020_000, 1)])
        late.head.truncate(before: 2_015_000)
        #expect(late.head.labels(of: second) == nil)
        late.head.checkInvariants()
    }

    @Test("a series whose samples in order were dropped goes on")
    func droppedInOrder() throws {
        let late = try LateHead(window: 1_000_000, onDisk: false, chunkRangeMs: 1000)
        let (first, second) = (try late.head.seriesRef(for: a), try late.head.seriesRef(for: b))
        try late.append(first, [(2_000_000, 1)])
        try late.append(second, [(2_000_000, 1), (1_500_000, 2)])
        try late.append(first, [(2_010_000, 1)])
        late.head.truncate(before: 2_005_000)
        late.head.checkInvariants()
        try late.append(second, [(2_011_000, 3)])
        late.head.checkInvariants()
        #expect(try late.read() == [a: [2_010_000: 1], b: [1_500_000: 2, 2_011_000: 3]])
        try late.append(second, [(2_012_000, 4)])
        late.head.truncate(before: 2_012_000)
        late.head.checkInvariants()
        #expect(try late.read() == [b: [1_500_000: 2, 2_012_000: 4]])
        // In memory mode the retention takes late samples too.
        let kept = Head(options: HeadOptions(retentionMs: 10_000, chunkRangeMs: 1000))
        kept.setOutOfOrder(windowMs: 50_000, log: nil)
        let ref = try kept.seriesRef(for: a)
        for time in [100_000, 99_000, 60_000] as [Int64] {
            var batch = SampleBatch()
            batch.append(ref, timestampMs: time, value: 1)
            #expect(try kept.append(batch).appended == 1)
        }
        #expect(try LateHead.read(kept)[a]?.count == 3)
        kept.maintain(nowMs: 0)
        #expect(kept.outOfOrderStatistics().samplesAppended == 2)
        #expect(try LateHead.read(kept)[a]?.keys.contains(99_000) == true)
        var batch = SampleBatch()
        batch.append(ref, timestampMs: 200_000, value: 1)
        _ = try kept.append(batch)
        kept.maintain(nowMs: 0)
        #expect(try LateHead.read(kept) == [a: [200_000: 1]])
        #expect(kept.outOfOrderStatistics().series == 0)
    }

    @Test("full chunks go to files with their bit set, and the log is told between the samples")
    func chunksAndMarkers() throws {
        let late = try LateHead()
        let ref = try late.head.seriesRef(for: a)
        try late.append(ref, [(200_000, 1)])
        try late.append(ref, (0..<30).map { (150_000 + $0, Double($0)) })
        try late.append(ref, (30..<70).map { (150_000 + $0, Double($0)) })
        #expect(late.files?.statistics().chunksWritten == 2)
        #expect(late.head.oldestOutOfOrderFile == 1)
        let log = try records(late.directory)
        #expect(log.map(\.type) == [.samples, .samples, .mmapMarkers, .samples, .mmapMarkers, .samples])
        #expect(log.map { $0.samples.count } == [30, 2, 0, 32, 0, 6])
        #expect(log[2].mmapMarkers == [MmapMarkerRecord(ref: ref, chunkRef: 1 << 32 | 8)])
        var chunks: [HeadChunk] = []
        let files = try HeadChunkFiles.open(joinPath(late.directory.path, "chunks_head"), files: PosixFileSystem(), readOnly: true)
        _ = files.iterate { chunks.append($0) }
        #expect(chunks.map(\.isOutOfOrder) == [true, true])
        #expect(chunks.map(\.minTimeMs) == [150_000, 150_032])
        #expect(try late.read()[a]?.count == 71)
    }

    @Test("markers of other series share a record, as long as that says what is true")
    func journal() throws {
        let late = try LateHead()
        let refs = try [a, b].map { try late.head.seriesRef(for: $0) }
        for ref in refs { try late.append(ref, [(200_000, 1)]) }
        for ref in refs { try late.append(ref, (0..<32).map { (150_000 + $0, 1) }) }
        var batch = SampleBatch()
        for ref in refs { batch.append(ref, timestampMs: 160_000, value: 2) }
        _ = try late.head.append(batch)
        let log = try records(late.directory).suffix(2)
        #expect(log.map(\.type) == [.mmapMarkers, .samples])
        #expect(log.first?.mmapMarkers.map(\.ref) == refs)
    }

    @Test("a start finds everything again: chunks by their markers, the rest in the log")
    func restart() throws {
        let late = try LateHead()
        let refs = try [a, b].map { try late.head.seriesRef(for: $0) }
        for ref in refs { try late.append(ref, [(200_000, 1)]) }
        for index in 0..<100 as Range<Int64> { try late.append(refs[Int(index % 2)], [(199_000 - index * 7, Double(index))]) }
        var expected = try late.read()
        expected[a]?[200_000] = nil
        expected[b]?[200_000] = nil
        // Also with the window closed, and the series under other refs.
        for window in [LateHead.window, 0] {
            for (labels, foreign) in [([refs[0]: a, refs[1]: b], 0), ([refs[1]: b, refs[0]: a], 2)] as [(KeyValuePairs<SeriesRef, LabelSet>, Int)] {
                let (head, report) = try late.restarted(series: labels, window: window)
                #expect(try LateHead.read(head) == expected)
                #expect(report == OutOfOrderReplay(samples: 100, markers: 2, foreignChunks: foreign))
                #expect(head.outOfOrderStatistics().chunks == 4)
            }
        }
        // A series that nobody knows any more.
        let (head, report) = try late.restarted(series: [refs[1]: b])
        #expect(report == OutOfOrderReplay(samples: 50, unknownSamples: 50, unknownChunks: 1, markers: 1, lostMarkers: 1, foreignChunks: 1))
        #expect(try LateHead.read(head) == [b: expected[b] ?? [:]])
    }

    /// Prometheus gives a series the chunks of that ref only whose record comes last in the log.
    @Test("chunks of a series that the log names twice go to files under the ref that comes last, and others are logged again")
    func secondRefs() throws {
        let directory = TestDirectory()
        let options = DatabaseOptions(
            settings: DatabaseSettings(retentionMs: 0, outOfOrderWindowMs: LateHead.window), isSnapshotEnabled: false, hasThreads: false)
        let (first, second) = (SeriesRef(rawValue: 3), SeriesRef(rawValue: 9))
        let log = try WriteAheadLog.open(directory.file("wal"), files: PosixFileSystem(), time: SystemTime())
        for ref in [first, second] {
            _ = try log.append(series: [SeriesRecord(ref: ref, labels: a)])
            var batch = SampleBatch()
            batch.append(ref, timestampMs: 100_000 + Int64(ref.rawValue), value: 1)
            _ = try log.append(samples: batch)
        }
        #expect(log.close())

        func append(_ times: Range<Int64>, to database: Database) throws {
            var batch = SampleBatch()
            let ref = try database.seriesRef(for: a)
            #expect(ref == first)
            for time in times { batch.append(ref, timestampMs: time, value: Double(time)) }
            let outcome = try database.append(batch)
            #expect(outcome.rejections.isEmpty)
        }
        func refs() throws -> [UInt64] {
            var found: [UInt64] = []
            let files = try HeadChunkFiles.open(directory.file("chunks_head"), files: PosixFileSystem(), readOnly: true)
            _ = files.iterate { if $0.isOutOfOrder { found.append($0.ref.rawValue) } }
            return found
        }
        var database = try Database.open(directory.path, options: options)
        try append(90_000..<90_040, to: database)
        try database.close()
        #expect(try refs() == [9])

        // As a Prometheus that runs now would write what the log holds and what comes: under the ref it has in memory, the first.
        let chunks = try HeadChunkFiles.open(directory.file("chunks_head"), files: PosixFileSystem())
        _ = chunks.iterate { _ in }
        var columns = SampleColumns()
        let times = Array(90_032..<90_040) + Array(91_000..<91_010 as Range<Int64>)
        for time in times { columns.append(timestampMs: time, value: Double(time)) }
        let chunk = try #require(encodeChunks(columns).first)
        let stored = unsafe chunk.bytes.withUnsafeBytes {
            unsafe chunks.append(ref: first, encoding: .xor, outOfOrder: true, minTimeMs: 90_032, maxTimeMs: 91_009, bytes: $0)
        }
        try chunks.close()
        let wbl = try WriteAheadLog.open(directory.file("wbl"), files: PosixFileSystem(), time: SystemTime())
        _ = try wbl.append(mmapMarkers: [MmapMarkerRecord(ref: first, chunkRef: try #require(stored?.chunkRef).rawValue)])
        #expect(wbl.close())

        database = try Database.open(directory.path, options: options)
        let expected = Set<Int64>([100_003, 100_009] + Array(90_000..<90_040) + Array(91_000..<91_010))
        let found = try readPlain(try database.querier(minTimeMs: .min, maxTimeMs: .max))
        #expect(Set(found[a]?.map(\.time) ?? []) == expected)
        try database.close()
        // The log has what Prometheus would look for in vain.
        let logged = try records(in: directory.file("wbl")).flatMap(\.samples.timestampsMs)
        let marker = try records(in: directory.file("wbl")).lastIndex { !$0.mmapMarkers.isEmpty } ?? 0
        let behind = try records(in: directory.file("wbl"))[marker...].flatMap(\.samples.timestampsMs)
        #expect(Set(times).isSubset(of: logged) && (behind.isEmpty || Set(times).isSubset(of: behind)))
    }

    @Test("a marker whose chunk was lost is not believed, also when its number was given again")
    func lostChunks() throws {
        let late = try LateHead()
        let ref = try late.head.seriesRef(for: a)
        try late.append(ref, [(200_000, 1)])
        for index in 0..<50 as Range<Int64> { try late.append(ref, [(199_000 - index * 7, Double(index))]) }
        var expected = try late.read()
        expected[a]?[200_000] = nil
        let chunks = joinPath(late.directory.path, "chunks_head")
        try PosixFileSystem().removeTree(chunks)
        // The first start writes the chunk anew, at the place of the old one. The second reads it and the log.
        for expectedMarkers in [(0, 1), (1, 0)] {
            let (head, report) = try late.restarted(series: [ref: a])
            #expect(try LateHead.read(head) == expected)
            #expect((report.markers, report.lostMarkers) == expectedMarkers)
        }
        let other = try HeadChunkFiles.open(chunks, files: PosixFileSystem())
        try other.removeAll()
        #expect(ExampleChunk(ref: 99, outOfOrder: true).append(to: other) != nil)
        let (head, report) = try late.restarted(series: [ref: a])
        #expect(report.lostMarkers == 1 && report.unknownChunks == 1)
        #expect(try LateHead.read(head) == expected)
    }

    @Test("what is written to blocks is dropped when the readers of before are gone; what came meanwhile stays")
    func compaction() throws {
        let late = try LateHead()
        let refs = try [b, a].map { try late.head.seriesRef(for: $0) }
        for ref in refs { try late.append(ref, [(200_000, 1)]) }
        for index in 0..<80 as Range<Int64> { try late.append(refs[Int(index % 2)], [(199_000 - index * 700, Double(index))]) }
        try late.append(refs[0], [(199_000, -1)])
        let before = try late.read()
        let frozen = try #require(try late.head.outOfOrderHead())
        #expect(frozen.seriesCount == 2)
        #expect(frozen.minTimeMs == 199_000 - 79 * 700 && frozen.maxTimeMs == 199_000)
        try late.append(refs[0], [(150_001, 7)])
        let (low, high): (Int64, Int64) = (160_000, 179_999)
        let written = try chunkSamples(frozen.chunkSeries(minTimeMs: low, maxTimeMs: high))
        #expect(written == before.mapValues { $0.filter { (low...high).contains($0.key) } })
        var all = before
        for labels in [a, b] { all[labels]?[200_000] = nil }
        #expect(try chunkSamples(frozen.chunkSeries(minTimeMs: .min, maxTimeMs: .max)) == all)
        #expect(try chunkSamples(frozen.chunkSeries(minTimeMs: 0, maxTimeMs: 10)).isEmpty)

        let reader = try late.head.querier(minTimeMs: .min, maxTimeMs: .max)
        try late.head.truncateOutOfOrder(frozen)
        let seen = try readAll(reader, [], .min ... .max)
        #expect(seen.reduce(0) { $0 + $1.samples.count } == before.values.reduce(1) { $0 + $1.count })
        reader.close()
        #expect(try late.read() == [a: [200_000: 1], b: [150_001: 7, 200_000: 1]])
        #expect(late.head.oldestOutOfOrderFile == nil)
        // The log holds nothing but the one that came later.
        #expect(try records(late.directory).map { $0.samples.count } == [1])
        #expect(try late.head.outOfOrderHead()?.seriesCount == 1)
        late.head.checkInvariants()
    }

    @Test("when the disk refuses chunks, they stay in memory and the log is told nothing")
    func refusingDisk() throws {
        let late = try LateHead()
        let ref = try late.head.seriesRef(for: a)
        try late.files?.close()
        try late.append(ref, [(200_000, 1)])
        for index in 0..<100 as Range<Int64> { try late.append(ref, [(199_000 - index * 7, Double(index))]) }
        #expect(late.head.outOfOrderStatistics().chunksInMemory == 3)
        #expect(late.head.oldestOutOfOrderFile == nil)
        #expect(try late.read()[a]?.count == 101)
        #expect(try records(late.directory).allSatisfy { $0.type == .samples })
        try late.head.logOutOfOrderAgain()
        #expect(try records(late.directory).last?.samples.count == 100)
    }

    @Test("histograms come out of order too, and mix with floats")
    func histograms() throws {
        let late = try LateHead()
        let ref = try late.head.seriesRef(for: a)
        try late.append(ref, [(200_000, 1)])
        let layout = HistogramLayout(positiveSpans: [HistogramSpan(offset: 0, length: 2)])
        func histogram(_ count: UInt64) throws -> NativeHistogram {
            try NativeHistogram(layout: layout, count: count, sum: Double(count), positive: [count - 1, 1])
        }
        var journal: OutOfOrderJournal? = OutOfOrderJournal()
        for index in 0..<40 as Range<Int64> {
            let one = index % 8 == 0 ? nil : try histogram(UInt64(10 + index))
            let time = 190_000 - index * 10
            let sample = one.map { LateSample(ref: ref, timeMs: time, histogram: $0) } ?? LateSample(ref: ref, timeMs: time, value: 0)
            #expect(late.head.state.outOfOrder.insert(sample, journal: &journal))
        }
        try journal?.write(to: try #require(late.log))
        let querier = try late.head.querier(minTimeMs: .min, maxTimeMs: .max)
        defer { querier.close() }
        let set = try querier.select([], hints: SelectHints(startMs: .min, endMs: .max), sorted: true)
        var columns = SampleColumns(histograms: true)
        try set.decode(0, minTimeMs: .min, maxTimeMs: .max, into: &columns)
        #expect(columns.count == 41)
        let kinds = (0..<columns.count).map { columns.kind(at: $0) }
        #expect(kinds.count { $0 == .histogram } == 35)
        #expect(columns.histogram(at: 0)?.count == 49)
        // Without histograms only the floats.
        var floats = SampleColumns()
        try set.decode(0, minTimeMs: .min, maxTimeMs: .max, into: &floats)
        #expect(floats.count == 6)
        let (head, report) = try late.restarted(series: [ref: a])
        #expect(report.samples == 40 && report.lostMarkers == 0 && report.markers > 1)
        let again = try head.querier(minTimeMs: .min, maxTimeMs: .max)
        defer { again.close() }
        var found = SampleColumns(histograms: true)
        try again.select([], hints: SelectHints(startMs: .min, endMs: .max), sorted: true)
            .decode(0, minTimeMs: .min, maxTimeMs: .max, into: &found)
        #expect(found.count == 40)
        for index in 0..<40 {
            #expect(found.timestampMs(at: index) == columns.timestampMs(at: index))
            let (left, right) = (found.histogram(at: index), columns.histogram(at: index))
            #expect(left.map { one in right.map { one.hasSameData(as: $0) } ?? false } ?? (right == nil))
        }
    }

    /// Goal: no order of late and early appends, truncations, compactions, restarts and reads shows anything but what was
    /// stored. Method: the same random steps go to the head and to a sorted map.
    @Test("answers as a sorted map", arguments: 0..<16)
    func agrees(_ seed: Int) throws {
        var random = Generator(seed: UInt64(seed))
        let late = try LateHead(window: 60_000, onDisk: seed % 3 != 0, chunkRangeMs: 20_000)
        let labels: [LabelSet] = (0..<5).map { ["__name__": "m", "i": ByteString("\($0)")] }
        let refs = try labels.map { try late.head.seriesRef(for: $0) }
        // By series: what was stored in order, and late. Those in blocks are in `blocks`.
        var inOrder: [Int: [Int64: Double]] = [:]
        var lates: [Int: [Int64: Double]] = [:]
        var blocks: [LabelSet: [Int64: Double]] = [:]
        var newest: [Int: Int64] = [:]
        var now: Int64 = 1_000_000
        var headMax = Int64.min
        for step in 0..<300 {
            now += Int64(random.below(1500))
            var batch = SampleBatch()
            var (certain, possible) = (0, 0)
            let bound = headMax == .min ? nil : headMax - 60_000
            for _ in 0..<random.below(12) {
                let series = random.below(5)
                let time = random.below(3) == 0 ? now : now - Int64(random.below(80_000))
                // What is in a block is late no more: values follow from series and time, so that it does not matter.
                let value = Double(time % 1000) + Double(series)
                batch.append(refs[series], timestampMs: time, value: value)
                let oldest = headMax == .min ? batch.timestampsMs[0] : headMax
                if time >= oldest - 10_000, newest[series].map({ time > $0 }) ?? true {
                    inOrder[series, default: [:]][time] = value
                    newest[series] = time
                    certain += 1
                } else if time == newest[series], time >= oldest - 10_000 {
                    continue
                } else if time >= (bound ?? batch.timestampsMs[0] - 60_000) {
                    // A repeated one may or may not be in the open chunk.
                    if lates[series]?[time] == nil { certain += 1 } else { possible += 1 }
                    lates[series, default: [:]][time] = value
                }
            }
            if batch.count > 0 {
                let outcome = try late.head.append(batch)
                #expect(certain <= outcome.appended && outcome.appended <= certain + possible, "seed \(seed) step \(step)")
                headMax = max(headMax, newest.values.max() ?? .min)
            }
            if random.below(40) == 0, let frozen = try late.head.outOfOrderHead() {
                for (labels, samples) in try chunkSamples(frozen.chunkSeries(minTimeMs: .min, maxTimeMs: .max)) {
                    blocks[labels, default: [:]].merge(samples) { _, new in new }
                }
                try late.head.truncateOutOfOrder(frozen)
                #expect(late.head.outOfOrderStatistics().series == 0)
            }
            late.head.checkInvariants()
            let low = random.below(2) == 0 ? Int64.min : now - Int64(random.below(100_000))
            var found = try late.read(low, .max)
            for (labels, samples) in blocks {
                let inRange = samples.filter { $0.key >= low }
                if !inRange.isEmpty { found[labels, default: [:]].merge(inRange) { head, _ in head } }
            }
            for series in 0..<5 {
                var expected = inOrder[series] ?? [:]
                expected.merge(lates[series] ?? [:]) { _, late in late }
                expected = expected.filter { $0.key >= low }
                #expect(found[labels[series]] ?? [:] == expected, "seed \(seed) step \(step) series \(series)")
            }
        }
        #expect(late.head.outOfOrderStatistics().samplesAppended > 100)
    }
}
