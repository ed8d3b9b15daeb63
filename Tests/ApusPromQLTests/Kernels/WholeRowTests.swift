import ApusModel
import ApusStorage
import Testing

@testable import ApusPromQL

/// The kernels that fill a row at once against the same kernels window by window, to the bit.
@Suite("Whole rows") struct WholeRowTests {
    private struct Random {
        var state: UInt64
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state >> 20
        }
        mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
    }

    /// Evenly spaced, with now and then a gap or a sample that is late; counters with resets, gauges, special values.
    private static func series(_ random: inout Random) -> ColumnScratch {
        let scratch = ColumnScratch()
        let interval = Int64([1, 1_000, 15_000, 60_000][random.below(4)])
        let kind = random.below(5)
        var (time, value) = (Int64(random.below(100_000)) - 50_000, 0.0)
        let isUneven = random.below(3) == 0
        for _ in 0..<random.below(400) {
            switch kind {
            case 0: value += Double(random.below(1_000)) / 7
            case 1: value = random.below(40) == 0 ? 0 : value + Double(random.below(1_000))
            case 2: value = Double(random.below(2_000_000)) / 3 - 300_000
            case 3: value = [1e308, -1e308, .infinity, -.infinity, .nan, 1, 0, -0.0][random.below(8)]
            default: value = random.below(100) == 0 ? .nan : value + 1e15 / Double(1 + random.below(9))
            }
            scratch.columns.append(timestampMs: time, value: value)
            time += interval
            if isUneven, random.below(20) == 0 { time += Int64(random.below(Int(interval) * 3 + 1)) }
        }
        return scratch
    }

    private static func fill(
        _ kernel: some WindowKernel, _ scratch: ColumnScratch, _ references: References, _ rangeMs: Int64, whole: Bool
    ) throws -> (values: [UInt64], touched: Int) {
        var kernel = kernel
        let row = RowArena(width: references.steps.count).makeRow()
        let bounds = QueryGuard(time: SystemTime(), deadlineNs: .max, cancellation: nil, maxSamples: .max)
        let samples = Samples(scratch)
        let touched: Int
        if whole {
            touched = try kernel.fill(row, from: samples, at: references, rangeMs: rangeMs, poll: bounds)
        } else {
            kernel.prepare(samples)
            touched = try kernel.fillEach(row, 0..<row.count, from: samples, at: references, rangeMs: rangeMs, poll: bounds)
        }
        withExtendedLifetime(scratch) {}
        // One NaN is as good as another, but for the marks.
        return (row.copied.map { $0.isNaN && !$0.isMark ? Double.nan.bitPattern : $0.bitPattern }, touched)
    }

    @Test("are what window by window gives", arguments: [1, 2, 3, 4, 5, 6, 7, 8])
    func agree(seed: UInt64) throws {
        var random = Random(state: seed &* 0x9E37_79B9_7F4A_7C15)
        for round in 0..<300 {
            let scratch = Self.series(&random)
            let stepMs = Int64([1, 500, 1_000, 15_000, 30_000, 60_000, 77_000][random.below(7)])
            let steps = Steps(startMs: Int64(random.below(400_000)) - 200_000, stepMs: stepMs, count: 1 + random.below(200))
            let references = References(
                steps: steps, atMs: random.below(10) == 0 ? 1_000 : nil, offsetMs: Int64(random.below(3)) * 15_000)
            let rangeMs = Int64([1, 1_000, 60_000, 300_000, 61_234][random.below(5)])
            func check(_ kernel: some WindowKernel) throws {
                let whole = try Self.fill(kernel, scratch, references, rangeMs, whole: true)
                let each = try Self.fill(kernel, scratch, references, rangeMs, whole: false)
                #expect(whole.values == each.values && whole.touched == each.touched, "seed \(seed), round \(round)")
            }
            try check(ExtrapolatedKernel(isCounter: true, isRate: true))
            try check(ExtrapolatedKernel(isCounter: true, isRate: false))
            try check(ExtrapolatedKernel(isCounter: false, isRate: false))
            try check(SumKernel())
            try check(MeanKernel())
            try check(VarianceKernel(takesRoot: round % 2 == 0))
        }
    }
}
