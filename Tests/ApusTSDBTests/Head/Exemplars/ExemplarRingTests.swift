import ApusBytes
import ApusModel
import ApusStorage
import Testing

@testable import ApusTSDB

private func exemplar(_ time: Int64, _ value: Double = 1, id: String = "a", hasTimestamp: Bool = true) -> Exemplar {
    Exemplar(labels: ["trace_id": ByteString(id)], value: value, timestampMs: time, hasTimestamp: hasTimestamp)
}

private func labels(_ series: Int) -> LabelSet { ["__name__": "m", "series": ByteString("\(series)")] }

extension ExemplarRing {
    @discardableResult
    fileprivate func add(_ series: Int, _ exemplar: Exemplar) -> Verdict {
        add(SeriesRef(rawValue: UInt64(series)), exemplar) { labels(series) }
    }
    fileprivate func times(_ series: Int, _ range: ClosedRange<Int64> = .min ... .max) throws -> [Int64] {
        let matcher = try Matcher("series", .equal, ByteString("\(series)"))
        return select([[matcher]], minTimeMs: range.lowerBound, maxTimeMs: range.upperBound).flatMap { $0.exemplars.map(\.timestampMs) }
    }
}

@Suite("Exemplar ring") struct ExemplarRingTests {
    @Test("the oldest to come makes room, and its series goes with its last")
    func overwrites() throws {
        let ring = ExemplarRing(capacity: 3)
        #expect(ring.add(1, exemplar(10)) == .stored)
        #expect(ring.add(2, exemplar(20)) == .stored)
        #expect(ring.add(2, exemplar(30)) == .stored)
        #expect(ring.statistics() == .init(capacity: 3, count: 3, series: 2, oldestTimestampMs: 10, appended: 3))
        #expect(ring.add(2, exemplar(40)) == .stored)
        #expect(try ring.times(1) == [])
        #expect(try ring.times(2) == [20, 30, 40])
        #expect(ring.statistics().series == 1)
        #expect(ring.statistics().oldestTimestampMs == 20)
        // The only one of its series is replaced by another of it.
        let one = ExemplarRing(capacity: 1)
        one.add(1, exemplar(10))
        #expect(one.add(1, exemplar(20)) == .stored)
        #expect(try one.times(1) == [20])
        one.checkInvariants()
    }

    @Test("repeated, older and too long ones are refused, each with its reason")
    func rules() throws {
        let ring = ExemplarRing(capacity: 10)
        ring.add(1, exemplar(100, 5, id: "m"))
        #expect(ring.add(1, exemplar(100, 5, id: "m")) == .rejected(.duplicateExemplar))
        #expect(ring.add(1, exemplar(99, 6)) == .rejected(.outOfOrderExemplar))
        // Of one time: a larger value is that of a later bucket.
        #expect(ring.add(1, exemplar(100, 4)) == .rejected(.outOfOrderExemplar))
        #expect(ring.add(1, exemplar(100, 5, id: "l")) == .rejected(.outOfOrderExemplar))
        #expect(ring.add(1, exemplar(100, 5, id: "n")) == .stored)
        #expect(ring.add(1, exemplar(100, 6)) == .stored)
        #expect(ring.statistics().outOfOrder == 3)
        #expect(ring.check(SeriesRef(rawValue: 1), exemplar(1)) == .outOfOrderExemplar)
        #expect(ring.statistics().outOfOrder == 3)
        // 8 characters of the name and 120 of the value, however many bytes.
        #expect(ring.add(2, exemplar(1, id: String(repeating: "é", count: 120))) == .stored)
        #expect(ring.add(2, exemplar(2, id: String(repeating: "e", count: 121))) == .rejected(.exemplarLabelsTooLong))
        #expect(ring.add(SeriesRef(rawValue: 7), exemplar(1)) { nil } == .rejected(.unknownSeries))
        ring.checkInvariants()
    }

    @Test("without timestamps of its own the same exemplar is the same at any time")
    func withoutTimestamp() {
        let ring = ExemplarRing(capacity: 10)
        ring.add(1, exemplar(100, hasTimestamp: false))
        #expect(ring.add(1, exemplar(200, hasTimestamp: false)) == .rejected(.duplicateExemplar))
        #expect(ring.add(1, exemplar(200, hasTimestamp: true)) == .stored)
    }

    @Test("within the window an older one is put in its place; one of a time that is there is taken for the same")
    func outOfOrder() throws {
        let ring = ExemplarRing(capacity: 10)
        ring.setOutOfOrderWindow(ms: 50)
        for time in [100, 120, 140] as [Int64] { ring.add(1, exemplar(time)) }
        #expect(ring.add(1, exemplar(130)) == .stored)
        #expect(ring.add(1, exemplar(95)) == .stored)
        #expect(ring.add(1, exemplar(90)) == .rejected(.outOfOrderExemplar))
        #expect(ring.add(1, exemplar(120, 7)) == .ignored)
        #expect(try ring.times(1) == [95, 100, 120, 130, 140])
        #expect(try ring.times(1, 96...130) == [100, 120, 130])
        ring.checkInvariants()
    }

    @Test("a ring without room ignores everything")
    func disabled() throws {
        let ring = ExemplarRing(capacity: 0)
        #expect(ring.add(1, exemplar(1)) == .ignored)
        #expect(ring.check(SeriesRef(rawValue: 1), exemplar(1, id: String(repeating: "x", count: 500))) == nil)
        #expect(ring.statistics() == .init())
        ring.resize(to: 2)
        #expect(ring.add(1, exemplar(1)) == .stored)
        #expect(ring.resize(to: -5) == 0)
        #expect(try ring.times(1) == [])
    }

    @Test("series come in order of labels; one that came again under another ref is one series")
    func selection() throws {
        let ring = ExemplarRing(capacity: 10)
        ring.add(3, exemplar(10))
        ring.add(1, exemplar(20))
        #expect(ring.add(SeriesRef(rawValue: 9), exemplar(5)) { labels(3) } == .stored)
        let all = ring.select([[try Matcher("__name__", .equal, "m")]], minTimeMs: .min, maxTimeMs: .max)
        #expect(all.map(\.labels) == [labels(1), labels(3)])
        #expect(all.map { $0.exemplars.map(\.timestampMs) } == [[20], [5, 10]])
        let some = ring.select(
            [[try Matcher("series", .equal, "3")], [try Matcher("missing", .notEqual, "x"), try Matcher("series", .regex, "[24]")]],
            minTimeMs: 6, maxTimeMs: .max)
        #expect(some.map(\.labels) == [labels(3)])
        #expect(ring.select([], minTimeMs: .min, maxTimeMs: .max).isEmpty)
        #expect(ring.all().map(\.exemplar.timestampMs) == [10, 20, 5])
    }

    /// Goal: no order of additions and resizes shows anything but the last arrivals. Method: the same random steps go to the
    /// ring and to a plain array.
    @Test("answers as a plain array", arguments: 0..<20)
    func agrees(_ seed: Int) throws {
        var random = Generator(seed: UInt64(seed))
        var capacity = 1 + random.below(30)
        let window = Int64(seed % 2 == 0 ? 0 : 40)
        let ring = ExemplarRing(capacity: capacity)
        ring.setOutOfOrderWindow(ms: window)
        var naive: [(series: Int, exemplar: Exemplar)] = []
        var now: Int64 = 1000
        for step in 0..<600 {
            if random.below(60) == 0 {
                capacity = random.below(40)
                ring.resize(to: capacity)
                naive.removeFirst(max(0, naive.count - capacity))
            }
            now += Int64(random.below(5))
            let (series, time) = (1 + random.below(4), now - Int64(random.below(80)))
            let one = exemplar(time, Double(random.below(3)), id: "\(random.below(3))")
            let mine = naive.filter { $0.series == series }.map(\.exemplar)
            let newest = mine.map(\.timestampMs).max().map { time in mine.last { $0.timestampMs == time } } ?? nil
            var expected = ExemplarRing.Verdict.stored
            if capacity == 0 {
                expected = .ignored
            } else if let newest {
                if one == newest {
                    expected = .rejected(.duplicateExemplar)
                } else if time == newest.timestampMs ? (one.value, one.labels) < (newest.value, newest.labels)
                    : time < newest.timestampMs && time <= newest.timestampMs - window
                {
                    expected = .rejected(.outOfOrderExemplar)
                } else if time < newest.timestampMs && mine.contains(where: { $0.timestampMs == time }) {
                    expected = .ignored
                }
            }
            #expect(ring.add(series, one) == expected, "seed \(seed) step \(step)")
            if expected == .stored {
                naive.append((series, one))
                naive.removeFirst(max(0, naive.count - capacity))
            }
            ring.checkInvariants()
            #expect(ring.all().map(\.exemplar) == naive.map(\.exemplar), "seed \(seed) step \(step)")
            for series in 1...4 {
                let expected = naive.filter { $0.series == series }.map(\.exemplar.timestampMs).sorted()
                #expect(try ring.times(series) == expected, "seed \(seed) step \(step)")
            }
        }
    }

    @Test("a head logs the exemplars it takes, and says which it does not")
    func inHead() throws {
        let log = MemoryLog()
        let head = Head(options: HeadOptions(log: log))
        let ref = try head.seriesRef(for: labels(1))
        var batch = SampleBatch()
        batch.append(ref, timestampMs: 100, value: 1)
        batch.append(ref, exemplar: exemplar(100))
        batch.append(SeriesRef(rawValue: 999), exemplar: exemplar(100))
        batch.append(ref, exemplar: exemplar(101, id: String(repeating: "x", count: 200)))
        // Without room they are ignored.
        #expect(try head.append(batch).rejections.isEmpty)
        #expect(head.exemplars.statistics().count == 0)
        head.exemplars.resize(to: 10)
        batch.refs = []
        batch.append(ref, exemplar: exemplar(100))
        let outcome = try head.append(batch)
        #expect(outcome.exemplarsAppended == 1)
        #expect(
            outcome.rejections == [
                .init(index: 1, part: .exemplar, reason: .unknownSeries), .init(index: 2, part: .exemplar, reason: .exemplarLabelsTooLong),
            ])
        #expect(try head.exemplars.times(1) == [100])
        let logged = log.read(from: LogPosition(segment: 0, offset: 0), limit: 10).entries.compactMap { entry in
            if case .samples(let batch) = entry { batch.exemplars.count } else { nil }
        }
        #expect(logged == [0, 2])
    }

    @Test("characters are counted as Go counts runes")
    func characterCount() {
        func count(_ bytes: [UInt8]) -> Int { unicodeScalars(bytes.span) }
        #expect(count(Array("aé€😀".utf8)) == 4)
        #expect(count([0xFF, 0xE2, 0x82, 0x61]) == 4)
        #expect(count([0xF0, 0x9F, 0x98]) == 3)
        #expect(count([]) == 0)
    }
}
