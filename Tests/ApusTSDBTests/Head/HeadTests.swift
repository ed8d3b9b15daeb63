import ApusBytes
import ApusModel
import ApusStorage
import Testing

@testable import ApusTSDB

private let everything = Int64.min...Int64.max

private func batch(_ samples: (SeriesRef, Int64, Double)...) -> SampleBatch {
    var batch = SampleBatch()
    for (ref, time, value) in samples { batch.append(ref, timestampMs: time, value: value) }
    return batch
}

@Suite("Head") struct HeadTests {
    @Test("one label set is one series, whatever the order of its labels")
    func sameLabels() throws {
        let head = Head()
        let first = try head.seriesRef(for: ["__name__": "up", "job": "a"])
        #expect(try head.seriesRef(for: ["job": "a", "__name__": "up"]) == first)
        #expect(try head.seriesRef(for: ["__name__": "up"]) != first)
        #expect(head.labels(of: first) == ["__name__": "up", "job": "a"])
        #expect(head.labels(of: SeriesRef(rawValue: 0)) == nil)
        #expect(head.labels(of: SeriesRef(rawValue: .max)) == nil)
        #expect(head.statistics().numSeries == 2)
    }

    struct Case: Sendable {
        let time: Int64, value: Double, reason: AppendOutcome.Reason?, isStored: Bool
    }

    @Test(
        "tells what it does not take, and why",
        arguments: [
            Case(time: 10_000_001, value: 1, reason: nil, isStored: true),
            Case(time: 10_000_000, value: 5, reason: nil, isStored: false),
            Case(time: 10_000_000, value: 6, reason: .duplicateTimestamp, isStored: false),
            Case(time: 9_999_999, value: 5, reason: .outOfOrder, isStored: false),
            Case(time: 10_000_000 - 3_600_000, value: 5, reason: .outOfOrder, isStored: false),
            Case(time: 10_000_000 - 3_600_001, value: 5, reason: .outOfBounds, isStored: false),
        ])
    func reasons(_ one: Case) throws {
        let head = Head()
        let ref = try head.seriesRef(for: ["__name__": "x"])
        #expect(try head.append(batch((ref, 10_000_000, 5))).appended == 1)
        let outcome = try head.append(batch((ref, one.time, one.value)))
        #expect(outcome.appended == (one.isStored ? 1 : 0))
        #expect(outcome.rejections.map(\.reason) == (one.reason.map { [$0] } ?? []))
    }

    @Test("compares bits: a staleness marker again is the same sample, another NaN is not")
    func nanBits() throws {
        let head = Head()
        let ref = try head.seriesRef(for: ["__name__": "x"])
        #expect(try head.append(batch((ref, 1000, StaleNaN.value))).appended == 1)
        #expect(try head.append(batch((ref, 1000, StaleNaN.value))).rejections.isEmpty)
        #expect(
            try head.append(batch((ref, 1000, Double(bitPattern: StaleNaN.normalBits)))).rejections.map(\.reason) == [.duplicateTimestamp])
    }

    @Test("refuses new series above the limit, and takes samples of those it has")
    func limit() throws {
        let head = Head(options: HeadOptions(maxSeries: 1, maxLabelSetBytes: 50))
        let ref = try head.seriesRef(for: ["__name__": "x"])
        do {
            _ = try head.seriesRef(for: ["__name__": "y"])
            Issue.record("a second series was taken")
        } catch {
            guard case .limit(let text) = error else { throw error }
            #expect(text.contains("--storage.head.max-series"))
        }
        #expect(head.statistics().numSymbols == 2, "a refused series must leave no symbols")
        #expect(try head.seriesRef(for: ["__name__": "x"]) == ref)
        #expect(try head.append(batch((ref, 1, 1))).appended == 1)
        let small = Head(options: HeadOptions(maxLabelSetBytes: 50))
        #expect(throws: AppendError.self) { try small.seriesRef(for: ["a": ByteString(String(repeating: "x", count: 60))]) }
    }

    @Test("drops whole periods, collects what is left empty, and never gives its ref again")
    func retention() throws {
        let hour: Int64 = 3_600_000
        let head = Head(options: HeadOptions(retentionMs: 4 * hour))
        let old = try head.seriesRef(for: ["__name__": "old", "job": "a"])
        let long = try head.seriesRef(for: ["__name__": "long", "job": "a"])
        _ = try head.append(batch((old, 100 * hour, 1), (long, 100 * hour, 1)))
        for step in 1...40 { _ = try head.append(batch((long, 100 * hour + Int64(step) * hour / 4, Double(step)))) }
        head.maintain(nowMs: 0)
        head.checkInvariants()
        #expect(head.labels(of: old) == nil)
        #expect(try head.append(batch((old, 111 * hour, 1))).rejections.map(\.reason) == [.unknownSeries])
        let again = try head.seriesRef(for: ["__name__": "old", "job": "a"])
        #expect(again > long && again != old)
        let querier = try head.querier(minTimeMs: .min, maxTimeMs: .max)
        defer { querier.close() }
        let all = try readAll(querier, [Matcher("job", equals: "a")], everything)
        #expect(all.map(\.labels) == [["__name__": "long", "job": "a"]])
        #expect(all[0].samples.first?.time == 106 * hour)
        #expect(head.statistics().minTimeMs == 106 * hour)
        #expect(head.statistics().seriesRemoved == 1)
    }

    @Test("a reader keeps what it began with until it closes")
    func epochs() throws {
        let head = Head(options: HeadOptions(retentionMs: 0, chunkRangeMs: 1000, samplesPerChunk: 10))
        let dying = try head.seriesRef(for: ["__name__": "dying"])
        let living = try head.seriesRef(for: ["__name__": "living"])
        for step in 0..<100 { _ = try head.append(batch((dying, Int64(step) * 10, 1.5 * Double(step)), (living, Int64(step) * 10, 2))) }
        for step in 100..<300 { _ = try head.append(batch((living, Int64(step) * 10, 2))) }
        let querier = try head.querier(minTimeMs: .min, maxTimeMs: .max)
        let set = try querier.select([], hints: SelectHints(startMs: .min, endMs: .max), sorted: true)
        #expect(set.count == 2)
        head.truncate(before: 2000)
        #expect(head.labels(of: dying) == nil)
        #expect(head.statistics().memory.limbo > 0)
        // New series and chunks must not take the place of what the reader holds.
        for index in 0..<3000 { _ = try head.seriesRef(for: ["__name__": ByteString("new_\(index)")]) }
        for step in 300..<900 { _ = try head.append(batch((living, Int64(step) * 10, 3))) }
        var columns = SampleColumns()
        #expect(set.labels(at: 0) == ["__name__": "dying"])
        try set.decode(0, minTimeMs: .min, maxTimeMs: .max, into: &columns)
        #expect(columns.count == 100)
        #expect(columns.value(at: 99) == 1.5 * 99)
        columns.removeAll()
        try set.decode(1, minTimeMs: .min, maxTimeMs: .max, into: &columns)
        #expect(columns.count == 300, "samples appended after the select stay out of sight")
        querier.close()
        #expect(head.statistics().memory.limbo == 0)
        head.checkInvariants()
    }

    @Test("a reader sees whole batches while a writer writes")
    func isolation() async throws {
        var options = HeadOptions(retentionMs: 0, chunkRangeMs: 100, samplesPerChunk: 20)
        // Labels are written anew again and again, under the readers' eyes too.
        options.labelRebuildPairs = 64
        let head = Head(options: options)
        var refs: [SeriesRef] = []
        for index in 0..<40 { refs.append(try head.seriesRef(for: ["__name__": "m", "i": ByteString("\(index)")])) }
        let isDone = Locked(false)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { [refs] in
                defer { isDone.withLock { $0 = true } }
                for step in 0..<2000 {
                    var batch = SampleBatch()
                    for ref in refs { batch.append(ref, timestampMs: Int64(step), value: Double(step)) }
                    let outcome = try head.append(batch)
                    #expect(outcome.appended == 40)
                    // New series beside what the readers read: symbols and label sets grow under their eyes.
                    _ = try head.seriesRef(for: ["__name__": "other", "i": ByteString("\(step)")])
                    if step % 50 == 49 { head.truncate(before: Int64(step) - 120) }
                }
            }
            for _ in 0..<2 {
                group.addTask {
                    while !isDone.withLock({ $0 }) {
                        let querier = try head.querier(minTimeMs: .min, maxTimeMs: .max)
                        defer { querier.close() }
                        let regex = try Matcher("i", .regex, "[0-9]+")
                        for matchers in [[Matcher("__name__", equals: "m")], [regex]] {
                            let set = try querier.select(matchers, hints: SelectHints(startMs: .min, endMs: .max), sorted: false)
                            var columns = SampleColumns()
                            var newest = Set<Int64>()
                            for index in 0..<set.count {
                                columns.removeAll()
                                try set.decode(index, minTimeMs: .min, maxTimeMs: .max, into: &columns)
                                #expect(set.labels(at: index)["__name__"] == "m")
                                if columns.count > 0 { newest.insert(columns.timestampMs(at: columns.count - 1)) }
                            }
                            #expect(newest.count <= 1, "half of a batch was seen: \(newest)")
                            #expect(set.count == 0 || set.count == 40)
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        head.checkInvariants()
    }

    @Test("takes the ends of time")
    func extremes() throws {
        for time in [Int64.min, Int64.min + 1, -1, 0, Int64.max - 1, Int64.max] {
            let head = Head()
            let ref = try head.seriesRef(for: ["__name__": "x"])
            #expect(try head.append(batch((ref, time, 1))).appended == 1)
            head.maintain(nowMs: time)
            let querier = try head.querier(minTimeMs: .min, maxTimeMs: .max)
            defer { querier.close() }
            #expect(try readAll(querier, [], everything).first?.samples.first?.time == time, "\(time)")
        }
    }

    @Test("names its largest metrics, labels and pairs")
    func cardinality() throws {
        let head = Head()
        for index in 0..<5 { _ = try head.seriesRef(for: ["__name__": "a", "i": ByteString("v\(index)")]) }
        _ = try head.seriesRef(for: ["__name__": "bb"])
        let all = head.cardinality(limit: 10)
        #expect(all.numSeries == 6 && all.numLabelPairs == 7)
        #expect(all.seriesCountByMetricName == [.init(name: "a", count: 5), .init(name: "bb", count: 1)])
        #expect(all.labelValueCountByLabelName == [.init(name: "i", count: 5), .init(name: "__name__", count: 2)])
        #expect(all.memoryInBytesByLabelName == [.init(name: "i", count: 10), .init(name: "__name__", count: 7)])
        #expect(all.seriesCountByLabelValuePair.first == .init(name: "__name__=a", count: 5))
        #expect(head.cardinality(limit: 1).seriesCountByLabelValuePair.count == 1)
    }

    final class RecordingLog: CommitLog {
        let series = Locked<[SeriesRecord]>([])
        let samples = Locked<[Int]>([])
        let isFailing = Locked(false)
        func append(series records: [SeriesRecord]) throws(AppendError) -> LogPosition {
            if isFailing.withLock({ $0 }) { throw .unavailable("disk full") }
            series.withLock { $0 += records }
            return LogPosition(segment: 0, offset: 0)
        }
        func append(samples batch: borrowing SampleBatch) throws(AppendError) -> LogPosition {
            if isFailing.withLock({ $0 }) { throw .unavailable("disk full") }
            let count = batch.count
            samples.withLock { $0.append(count) }
            return LogPosition(segment: 0, offset: 0)
        }
        func append(tombstones: [TombstoneRecord]) throws(AppendError) -> LogPosition { LogPosition(segment: 0, offset: 0) }
    }

    @Test("logs first, and refuses what the log refuses")
    func log() throws {
        let log = RecordingLog()
        let head = Head(options: HeadOptions(log: log))
        let ref = try head.seriesRef(for: ["__name__": "x"])
        _ = try head.append(batch((ref, 1000, 1)))
        _ = try head.append(batch((ref, 1000, 1), (ref, 500, 1), (ref, 2000, 1)))
        #expect(log.series.withLock { $0 } == [SeriesRecord(ref: ref, labels: ["__name__": "x"])])
        #expect(log.samples.withLock { $0 } == [1, 1])
        log.isFailing.withLock { $0 = true }
        #expect(throws: AppendError.unavailable("disk full")) { try head.append(batch((ref, 3000, 1))) }
        #expect(throws: AppendError.unavailable("disk full")) { try head.seriesRef(for: ["__name__": "y"]) }
        #expect(head.statistics().samplesAppended == 2 && head.statistics().numSeries == 1)
        head.checkInvariants()
    }
}

@Suite("Head counts its own work") struct HeadCountTests {
    @Test("series are stale from the marker on until the next sample or their end")
    func staleSeries() throws {
        let head = Head()
        let (a, b) = (try head.seriesRef(for: ["__name__": "a"]), try head.seriesRef(for: ["__name__": "b"]))
        #expect(try head.append(batch((a, 1000, 1), (b, 1000, StaleNaN.value))).appended == 2)
        #expect(head.statistics().staleSeries == 1)
        // A marker again, a marker that is refused, and a NaN that is none.
        _ = try head.append(batch((b, 2000, StaleNaN.value), (a, 500, StaleNaN.value)))
        _ = try head.append(batch((a, 2000, Double(bitPattern: StaleNaN.normalBits))))
        #expect(head.statistics().staleSeries == 1)
        _ = try head.append(batch((a, 3000, StaleNaN.value), (b, 3000, 1)))
        #expect(head.statistics().staleSeries == 1)
        head.checkInvariants()
        let later = try head.seriesRef(for: ["__name__": "later"])
        _ = try head.append(batch((later, 100_000_000, 1)))
        #expect(head.statistics().collections == 0)
        head.truncate(before: 50_000_000)
        #expect(head.statistics().staleSeries == 0)
        #expect(head.statistics().numSeries == 1)
        #expect(head.statistics().collections == 1)
        head.truncate(before: 50_000_000)
        #expect(head.statistics().collections == 1)
        #expect(head.statistics().activeAppenders == 0)
        head.checkInvariants()
    }
}
