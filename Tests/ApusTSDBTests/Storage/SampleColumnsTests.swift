import ApusModel
import ApusStorage
import Testing

@testable import ApusTSDB

private func histogram(_ counts: [UInt64], isFloat: Bool = false, offset: Int32 = 0) throws -> NativeHistogram {
    let layout = HistogramLayout(positiveSpans: [HistogramSpan(offset: offset, length: UInt32(counts.count))])
    let whole = try NativeHistogram(layout: layout, count: counts.reduce(0, +), sum: Double(counts.count), positive: counts)
    return isFloat ? whole.toFloat() : whole
}

@Suite("Sample columns") struct SampleColumnsTests {
    @Test("floats alone are one run")
    func floats() {
        var columns = SampleColumns()
        #expect(columns.runs.isEmpty)
        columns.append(timestampMs: 1, value: 2)
        columns.append(timestampMs: 2, value: 3)
        let runs = columns.runs
        #expect(runs == [.init(kind: .float, range: 0..<2)])
        #expect(!columns.hasHistograms && !columns.hasStartTimestamps)
    }

    @Test("runs, kinds and histograms come back, whatever the order; truncating and copying keep them", arguments: 0..<40)
    func model(_ seed: Int) throws {
        var random = Generator(seed: UInt64(seed))
        var columns = SampleColumns(capacity: 1, histograms: true)
        var model: [(time: Int64, start: Int64, value: UInt64, histogram: NativeHistogram?)] = []
        for step in 0..<200 {
            let start = random.below(4) == 0 ? Int64(random.below(50)) : 0
            switch random.below(12) {
            case 0:
                let kept = random.below(model.count + 1)
                columns.truncate(toCount: kept)
                model.removeSubrange(kept...)
                continue
            case 1..<6:
                columns.append(timestampMs: Int64(step), value: Double(step))
                model.append((Int64(step), start, Double(step).bitPattern, nil))
            default:
                let counts = (0..<random.below(4)).map { _ in UInt64(random.below(9)) }
                var one = try histogram(counts, isFloat: random.below(3) == 0, offset: Int32(random.below(2)))
                one.hint = CounterResetHint(rawValue: UInt8(random.below(4))) ?? .unknown
                columns.append(timestampMs: Int64(step), histogram: one)
                model.append((Int64(step), start, one.sum.bitPattern, one))
            }
            columns.setStartTimestampMs(start, at: columns.count - 1)
        }
        var copied = SampleColumns(histograms: true)
        copied.append(timestampMs: -1, value: 0)
        let part = model.count / 4..<model.count
        copied.append(contentsOf: columns, part)
        #expect(columns.count == model.count && copied.count == part.count + 1)
        var covered = 0
        for run in columns.runs {
            #expect(run.range.lowerBound == covered)
            covered = run.range.upperBound
            for index in run.range { #expect(columns.kind(at: index) == run.kind) }
        }
        #expect(covered == model.count)
        for (index, sample) in model.enumerated() {
            for (source, at) in [(0, index), (1, index - part.lowerBound + 1)] where at > 0 || source == 0 {
                let found = source == 0 ? columns.histogram(at: at) : copied.histogram(at: at)
                let time = source == 0 ? columns.timestampMs(at: at) : copied.timestampMs(at: at)
                let value = source == 0 ? columns.value(at: at) : copied.value(at: at)
                let start = source == 0 ? columns.startTimestampMs(at: at) : copied.startTimestampMs(at: at)
                #expect(found == sample.histogram && time == sample.time && value.bitPattern == sample.value && start == sample.start)
            }
            let hint = columns.histogramHint(at: index)
            #expect(hint == sample.histogram?.hint)
            let words = columns.withHistogramWords(at: index) { Array($0) }
            #expect(words == sample.histogram.map { [$0.countWord, $0.zeroCountWord] + $0.words })
        }
        columns.removeAll()
        #expect(columns.count == 0 && !columns.hasHistograms && !columns.hasStartTimestamps)
    }

    @Test("neighbours with equal layouts share one")
    func sharedLayouts() throws {
        var columns = SampleColumns(histograms: true)
        for count in 0..<3 { columns.append(timestampMs: Int64(count), histogram: try histogram([1, UInt64(count)])) }
        #expect(columns.histogramLayout(at: 0) === columns.histogramLayout(at: 2))
    }

    @Test("a batch grows a column of start timestamps when the first comes")
    func batchStarts() {
        let ref = SeriesRef(rawValue: 1)
        var batch = SampleBatch()
        batch.append(ref, timestampMs: 1, value: 1, startTimestampMs: 0)
        #expect(batch.startTimestampsMs.isEmpty && !batch.isEmpty)
        batch.append(ref, timestampMs: 2, value: 1, startTimestampMs: 7)
        batch.append(ref, timestampMs: 3, value: 1)
        batch.append(ref, timestampMs: 4, value: 1, startTimestampMs: 8)
        #expect(batch.startTimestampsMs == [0, 7, 0, 8] && batch.count == 4)
        batch.removeAll()
        #expect(batch.isEmpty && batch.startTimestampsMs.isEmpty)
        batch.append(ref, timestampMs: 1, value: 1, startTimestampMs: 5)
        #expect(batch.startTimestampsMs == [5])
    }
}
