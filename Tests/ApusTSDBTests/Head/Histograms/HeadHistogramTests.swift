import ApusModel
import ApusStorage
import Testing

@testable import ApusTSDB

private struct Found: Equatable {
    var time: Int64
    var bits: UInt64
    var histogram: NativeHistogram?
}

private func read(_ head: Head, _ range: ClosedRange<Int64> = Int64.min...Int64.max, histograms: Bool = true) throws -> [Found] {
    let querier = try head.querier(minTimeMs: range.lowerBound, maxTimeMs: range.upperBound)
    let set = try querier.select([], hints: SelectHints(startMs: range.lowerBound, endMs: range.upperBound), sorted: true)
    var found: [Found] = []
    for index in 0..<set.count {
        var columns = SampleColumns(histograms: histograms)
        try set.decode(index, minTimeMs: range.lowerBound, maxTimeMs: range.upperBound, into: &columns)
        for sample in 0..<columns.count {
            found.append(
                Found(time: columns.timestampMs(at: sample), bits: columns.value(at: sample).bitPattern, histogram: columns.histogram(at: sample)))
        }
    }
    return found
}

/// The chunks that a block would be written from, of all series.
private func chunks(_ head: Head, _ range: ClosedRange<Int64> = Int64.min...Int64.max) throws -> [EncodedChunk] {
    let series = head.chunkSeries(minTimeMs: range.lowerBound, maxTimeMs: range.upperBound)
    var result: [EncodedChunk] = []
    while try series.next() { result += series.chunks }
    return result
}

/// The hint in the header of a histogram chunk.
private func hint(_ chunk: EncodedChunk) -> CounterResetHint {
    HistogramChunkHeader((chunk.bytes[0], chunk.bytes[1], chunk.bytes[2]), hasStart: false).hint
}

/// `counts` in buckets side by side from index 0 on.
private func counter(_ counts: [UInt64], hint: CounterResetHint = .unknown, schema: Int32 = 0, isFloat: Bool = false) throws -> NativeHistogram {
    let layout = HistogramLayout(schema: schema, zeroThreshold: 0.001, positiveSpans: [HistogramSpan(offset: 0, length: UInt32(counts.count))])
    let total = counts.reduce(0) { $0 + $1 }
    let whole = try NativeHistogram(layout: layout, hint: hint, count: total, sum: Double(total), positive: counts)
    return isFloat ? whole.toFloat() : whole
}

private func append(_ head: Head, _ ref: SeriesRef, _ time: Int64, _ histogram: NativeHistogram) throws -> AppendOutcome {
    var batch = SampleBatch()
    batch.append(ref, timestampMs: time, histogram: histogram)
    return try head.append(batch)
}

private func append(_ head: Head, _ ref: SeriesRef, _ time: Int64, _ value: Double) throws -> AppendOutcome {
    var batch = SampleBatch()
    batch.append(ref, timestampMs: time, value: value)
    return try head.append(batch)
}

@Suite("Histograms in the head") struct HeadHistogramTests {
    @Test("what is appended is read, and skipped by who wants floats", arguments: [false, true])
    func appendAndRead(_ isFloat: Bool) throws {
        let head = Head(options: HeadOptions())
        let ref = try head.seriesRef(for: ["__name__": "h"])
        for time in 1...300 as ClosedRange<Int64> {
            let outcome = try append(head, ref, time * 1000, counter([UInt64(time), UInt64(2 * time)], isFloat: isFloat))
            #expect(outcome.appended == 1 && outcome.rejections.isEmpty)
        }
        head.checkInvariants()
        let found = try read(head)
        #expect(found.map(\.time) == (1...300).map { $0 * 1000 })
        for (index, one) in found.enumerated() {
            let expected = try counter([UInt64(index + 1), UInt64(2 * index + 2)], isFloat: isFloat)
            #expect(one.histogram?.hasSameData(as: expected) == true)
        }
        #expect(try read(head, histograms: false).isEmpty)
        #expect(try read(head, 5000...7000).map(\.time) == [5000, 6000, 7000])
        #expect(head.statistics().samplesAppended == 300)
    }

    @Test("the same again is no error; older, other, senseless and for nobody is")
    func rejections() throws {
        let head = Head(options: HeadOptions())
        let ref = try head.seriesRef(for: ["__name__": "h"])
        let one = try counter([1, 2])
        #expect(try append(head, ref, 5000, one).appended == 1)
        let same = try append(head, ref, 5000, one)
        #expect(same.appended == 0 && same.rejections.isEmpty)
        func reason(_ time: Int64, _ histogram: NativeHistogram, _ ref: SeriesRef) throws -> AppendOutcome.Rejection? {
            try append(head, ref, time, histogram).rejections.first
        }
        #expect(try reason(5000, counter([1, 3]), ref)?.reason == .duplicateTimestamp)
        #expect(try reason(4000, one, ref)?.reason == .outOfOrder)
        #expect(try reason(4000, one, ref)?.part == .histogram)
        #expect(try reason(-1 << 40, one, ref)?.reason == .outOfBounds)
        #expect(try reason(6000, one, SeriesRef(rawValue: 999))?.reason == .unknownSeries)
        let wrong = try NativeHistogram(layout: one.layout, count: 9, sum: 1, positive: [1, 2])
        guard case .invalidHistogram(let text) = try reason(6000, wrong, ref)?.reason else {
            Issue.record("a histogram whose count is not its buckets' was taken")
            return
        }
        #expect(text.hasPrefix("3 observations found in buckets, but the Count field is 9"))
        // A float at the same time is another sample, even when it is the histogram's sum.
        #expect(try append(head, ref, 5000, one.sum).rejections.first?.reason == .duplicateTimestamp)
        #expect(try read(head).count == 1)
        head.checkInvariants()
    }

    @Test("floats and histograms take turns in one series, each in chunks of its own")
    func takingTurns() throws {
        let head = Head(options: HeadOptions())
        let ref = try head.seriesRef(for: ["__name__": "h"])
        var expected: [SampleColumns.Kind] = []
        for time in 1...90 as ClosedRange<Int64> {
            switch time / 10 % 3 {
            case 0:
                _ = try append(head, ref, time, Double(time))
                expected.append(.float)
            case 1:
                _ = try append(head, ref, time, counter([UInt64(time)]))
                expected.append(.histogram)
            default:
                _ = try append(head, ref, time, counter([UInt64(time)], isFloat: true))
                expected.append(.floatHistogram)
            }
            head.checkInvariants()
        }
        let found = try read(head)
        #expect(found.map(\.time) == Array(1...90))
        let kinds = found.map { one in
            one.histogram.map { $0.isFloat ? SampleColumns.Kind.floatHistogram : SampleColumns.Kind.histogram } ?? .float
        }
        #expect(kinds == expected)
        let encodings = try chunks(head).map(\.encoding)
        #expect(encodings == [.xor, .histogram, .floatHistogram, .xor, .histogram, .floatHistogram, .xor, .histogram, .floatHistogram, .xor])
        #expect(try read(head, histograms: false).map(\.time) == found.filter { $0.histogram == nil }.map(\.time))
    }

    @Test("a staleness marker for a series of histograms becomes one of them", arguments: [false, true])
    func staleMarker(_ isFloat: Bool) throws {
        let log = MemoryLog()
        let head = Head(options: HeadOptions(log: log))
        let ref = try head.seriesRef(for: ["__name__": "h"])
        let other = try head.seriesRef(for: ["__name__": "other"])
        _ = try append(head, ref, 1000, counter([1], isFloat: isFloat))
        var batch = SampleBatch()
        batch.append(other, timestampMs: 2000, value: 1)
        batch.append(ref, timestampMs: 2000, value: StaleNaN.value)
        batch.append(other, timestampMs: 3000, value: StaleNaN.value)
        #expect(try head.append(batch).appended == 3)
        // The same again is no error.
        #expect(try append(head, ref, 2000, StaleNaN.value).rejections.isEmpty)
        head.checkInvariants()
        let found = try read(head)
        #expect(found.filter { $0.histogram != nil }.map(\.time) == [1000, 2000])
        let marker = found.first { $0.time == 2000 && $0.histogram != nil }?.histogram
        #expect(marker?.isStale == true && marker?.isFloat == isFloat)
        #expect(found.filter { $0.histogram == nil }.map(\.time) == [2000, 3000])
        guard case .samples(let logged) = log.read(from: LogPosition(segment: 0, offset: 0), limit: 10).entries.last else {
            Issue.record("nothing was logged")
            return
        }
        #expect(logged.count == 2 && logged.histograms.count == 1)
        #expect(logged.histograms.first?.histogram == .stale(isFloat: isFloat))
        // Behind the marker counting begins anew, in a new chunk.
        _ = try append(head, ref, 4000, counter([5], isFloat: isFloat))
        #expect(try chunks(head).filter { !$0.encoding.isFloat }.map(\.count) == [2, 1])
    }

    @Test("the log is told of what is stored, and of nothing else")
    func logged() throws {
        let log = MemoryLog()
        let head = Head(options: HeadOptions(log: log))
        let ref = try head.seriesRef(for: ["__name__": "h"])
        var batch = SampleBatch()
        batch.append(ref, timestampMs: 1000, histogram: try counter([1]))
        batch.append(SeriesRef(rawValue: 77), timestampMs: 1000, histogram: try counter([1]))
        batch.append(ref, timestampMs: 2000, histogram: try NativeHistogram(layout: .empty, count: 3, sum: 0))
        let outcome = try head.append(batch)
        #expect(outcome.appended == 1 && outcome.rejections.map(\.index) == [1, 2])
        guard case .samples(let logged) = log.read(from: LogPosition(segment: 0, offset: 0), limit: 10).entries.last else {
            Issue.record("nothing was logged")
            return
        }
        #expect(logged.histograms == [batch.histograms[0]])
    }

    @Test("a chunk ends on a reset, a change of schema, of kind, and at a gauge; not when buckets appear")
    func cuts() throws {
        let head = Head(options: HeadOptions())
        let ref = try head.seriesRef(for: ["__name__": "h"])
        let samples: [NativeHistogram] = [
            try counter([1]), try counter([1, 2]), try counter([2, 2, 1]),  // appearing
            try counter([2, 1, 1]),  // a bucket with less: reset
            try counter([3, 1, 1], hint: .reset),  // says so itself
            try counter([3, 1, 1], schema: 1),  // other schema
            try counter([4, 1, 1], hint: .gauge, schema: 1), try counter([1], hint: .gauge, schema: 1),  // gauge
            try counter([4, 1, 1], schema: 1),  // counter again
            try counter([4, 1], schema: 1),  // a bucket that held something is gone: reset
            try counter([4, 1, 0, 2], schema: 1), try counter([4, 1], schema: 1),
        ]
        for (index, sample) in samples.enumerated() { #expect(try append(head, ref, Int64(index), sample).appended == 1) }
        head.checkInvariants()
        let written = try chunks(head)
        #expect(written.map(\.count) == [3, 1, 1, 1, 2, 1, 2, 1])
        #expect(written.map(hint) == [.unknown, .reset, .reset, .unknown, .gauge, .noReset, .reset, .reset])
        let found = try read(head)
        for (one, sample) in zip(found, samples) {
            #expect(one.histogram.map(buckets) == buckets(sample))
        }
        #expect(found.count == samples.count)
    }

    @Test("chunks come near their target size, hold ten samples at least, and do not cross a period", arguments: [1, 3])
    func sizes(_ isLarge: Int) throws {
        let period: Int64 = 7_200_000
        let head = Head(options: HeadOptions(chunkRangeMs: period))
        let ref = try head.seriesRef(for: ["__name__": "h"])
        var random = Generator(seed: 9)
        var counts = [UInt64](repeating: 0, count: isLarge == 3 ? 400 : 8)
        for step in 0..<1500 as Range<Int64> {
            for bucket in counts.indices { counts[bucket] += UInt64(random.below(1000)) }
            _ = try append(head, ref, step * 15_000, counter(counts))
        }
        head.checkInvariants()
        let written = try chunks(head)
        #expect(written.reduce(0) { $0 + $1.count } == 1500)
        for chunk in written {
            #expect(chunk.minTimeMs / period == chunk.maxTimeMs / period)
            let isLastOfPeriod = chunk.maxTimeMs / 15_000 % 480 == 479 || chunk.maxTimeMs == 1499 * 15_000
            #expect(chunk.count >= 10 || isLastOfPeriod)
            #expect(chunk.bytes.count < 3 * HistogramChunkLimits.targetBytes || chunk.count == 10)
        }
        #expect(written.dropFirst().allSatisfy { hint($0) == .noReset })
    }

    @Test("a query keeps to what was there when it began, also when the chunk is written again")
    func isolation() throws {
        let head = Head(options: HeadOptions())
        let ref = try head.seriesRef(for: ["__name__": "h"])
        for time in 1...5 as ClosedRange<Int64> { _ = try append(head, ref, time, counter([UInt64(time)])) }
        let querier = try head.querier(minTimeMs: 0, maxTimeMs: 100)
        let set = try querier.select([], hints: SelectHints(startMs: 0, endMs: 100), sorted: true)
        _ = try append(head, ref, 6, counter([6, 1, 1]))
        var columns = SampleColumns(histograms: true)
        try set.decode(0, minTimeMs: 0, maxTimeMs: 100, into: &columns)
        #expect(columns.count == 5)
        _ = try append(head, ref, 7, counter([1]))
        _ = try append(head, ref, 8, 1.5)
        columns.removeAll()
        try set.decode(0, minTimeMs: 0, maxTimeMs: 100, into: &columns)
        #expect(columns.count == 5)
        let last = columns.histogram(at: 4)
        #expect(last.map(buckets) == [[0: 5], [:]])
    }

    @Test("truncation drops old histograms, and series without any left")
    func truncation() throws {
        let period: Int64 = 1000
        let head = Head(options: HeadOptions(retentionMs: 0, chunkRangeMs: period))
        let old = try head.seriesRef(for: ["__name__": "old"])
        let young = try head.seriesRef(for: ["__name__": "young"])
        for time in stride(from: Int64(0), to: 3000, by: 100) {
            if time < 1000 { _ = try append(head, old, time, counter([UInt64(time)])) }
            _ = try append(head, young, time, counter([UInt64(time)]))
        }
        head.truncate(before: 2000)
        head.checkInvariants()
        #expect(head.statistics().numSeries == 1)
        #expect(try read(head).map(\.time) == Array(stride(from: Int64(2000), to: 3000, by: 100)))
        #expect(head.statistics().minTimeMs == 2000)
        head.truncate(before: 10_000)
        head.checkInvariants()
        #expect(head.statistics().numSeries == 0)
        #expect(head.state.histograms.isEmpty)
    }

    @Test("does what a list of samples does, whatever comes", arguments: 0..<40)
    func model(_ seed: Int) throws {
        var random = Generator(seed: UInt64(seed))
        let head = Head(options: HeadOptions(retentionMs: 0, chunkRangeMs: 1 << 20))
        let refs = try (0..<3).map { try head.seriesRef(for: ["__name__": "h", "n": .init("\($0)")]) }
        var model: [[(time: Int64, float: UInt64, histogram: NativeHistogram?)]] = [[], [], []]
        var layout = randomLayout(&random)
        var time: Int64 = 0
        for _ in 0..<400 {
            let series = random.below(3)
            time += Int64(random.below(20_000)) + (random.below(50) == 0 ? 1 << 19 : 0) + 1
            if random.below(10) == 0 { layout = randomLayout(&random, schema: Int32(random.below(2))) }
            switch random.below(10) {
            case 0..<2:
                let value = Double(random.below(9))
                #expect(try append(head, refs[series], time, value).appended == 1)
                model[series].append((time, value.bitPattern, nil))
            case 2:
                #expect(try append(head, refs[series], time, StaleNaN.value).appended == 1)
                let kind = model[series].last?.histogram?.isFloat
                model[series].append((time, StaleNaN.bits, kind.map { .stale(isFloat: $0) }))
            default:
                var one = try randomHistogram(&random, layout, isFloat: random.below(4) == 0 && seed % 2 == 0)
                if seed % 3 == 0 { one.hint = .gauge }
                let outcome = try append(head, refs[series], time, one)
                #expect(outcome.appended == 1, "\(outcome.rejections)")
                model[series].append((time, one.sum.bitPattern, one))
            }
        }
        head.checkInvariants()
        let found = try read(head)
        let expected = model.flatMap { $0 }
        #expect(found.map(\.time) == expected.map(\.time))
        #expect(found.map(\.bits) == expected.map(\.float))
        for (one, sample) in zip(found, expected) {
            #expect(one.histogram.map(buckets) == sample.histogram.map(buckets))
            #expect(one.histogram?.countWord == sample.histogram?.countWord && one.histogram?.isFloat == sample.histogram?.isFloat)
        }
        // The same through the chunks of a block.
        var columns = SampleColumns(histograms: true)
        for chunk in try chunks(head) { try chunk.decode(into: &columns) }
        #expect(columns.count == expected.count)
    }
}
