import ApusModel
import ApusPromQL
import ApusStorage
import Testing

@testable import ApusPromQL

@Suite("anchored, smoothed and start timestamps") struct ExtendedRangeTests {
    @Test("ranges with neighbours, without extrapolation")
    func ranges() {
        let report = ScriptRunner().run(
            [UInt8](
                """
                load 15s
                  metric 1+1x4 9+1x4

                eval instant at 50s increase(metric[1m] anchored)
                    {} 3

                eval instant at 80s increase(metric[1m] smoothed)
                    {} 7

                eval instant at 22s metric smoothed
                    metric 2.466666666

                # After the last sample its value holds for the lookback delta.
                eval instant at 141s metric smoothed
                    metric 13

                # An interpolated fall begins at zero where a counter is asked for, and on the line where not.
                clear
                load 15s
                  metric 100 10

                eval instant at 12s rate(metric[10s] smoothed)
                    {} 0.666666666666667

                eval instant at 12s delta(metric[10s] smoothed)
                    {} -60

                # The neighbour of the start is no older than the lookback delta.
                clear
                load 1m
                  metric 2 _ 1 _ _ _ _ _ 0

                eval instant at 8m changes(metric[1m] anchored)
                    {} 0

                eval instant at 8m resets(metric[1m1ms] anchored)
                    {} 1

                # Nothing in the range: nothing to say.
                eval instant at 9m30s resets(metric[1m] anchored)

                eval instant at 8m sum_over_time(metric[1m] anchored)
                    expect fail msg: anchored modifier can only be used with: changes, delta, increase, rate, resets - not with sum_over_time

                eval instant at 8m absent_over_time(metric[1m] smoothed)
                    expect fail msg: smoothed modifier can only be used with: delta, increase, rate - not with absent_over_time
                """.utf8), name: "extended")
        #expect(report.failures == [])
        #expect(report.passed == 11)
    }

    @Test("an instant query shows the two ends of a smoothed range")
    func points() throws {
        let storage = MemoryStorage()
        for (timeMs, value) in [(0, 1.0), (20_000, 3.0), (40_000, 5.0)] {
            try storage.append(LabelSet([Label("__name__", "m")]), timestampMs: Int64(timeMs), value: value)
        }
        var options = EngineOptions()
        options.parser.enableExtendedRangeSelectors = true
        let result = try QueryEngine(options: options).instant("m[20s] smoothed", atMs: 30_000, on: storage)
        guard case .matrix(let series) = result.value, let first = series.first else {
            Issue.record("no matrix")
            return
        }
        #expect(first.timestampsMs == [10_000, 20_000, 30_000])
        #expect(first.values == [2, 3, 4])
    }

    @Test("which start timestamps tell of a reset")
    func resets() {
        func isReset(_ previousStart: Int64, _ previous: Int64, _ start: Int64, _ time: Int64) -> Bool {
            StartTimestamps.isReset(previousStartMs: previousStart, previousMs: previous, startMs: start, timestampMs: time)
        }
        #expect(!isReset(0, 60, 0, 120), "unknown")
        #expect(!isReset(30, 60, 30, 120), "the same start")
        #expect(isReset(30, 60, 90, 120), "a start after the sample before")
        #expect(isReset(0, 60, 60, 120) == false, "unknown before")
        #expect(isReset(30, 60, 60, 120), "a delta")
        #expect(!isReset(60, 60, 60, 120), "a first sample with an unknown start")
        #expect(!isReset(90, 60, 60, 120), "an impossible start before")
        #expect(!isReset(30, 60, 120, 120), "its own time")
        #expect(!isReset(30, 60, 180, 120), "the future")
    }

    @Test("rate, increase, irate and resets heed start timestamps")
    func kernels() {
        var columns = SampleColumns()
        // Began at 30 s, and anew at 100 s, unseen by the values.
        for (index, (timeMs, value, startMs)) in [(60_000, 10.0, 30_000), (120_000, 12.0, 100_000), (180_000, 20.0, 100_000)].enumerated() {
            columns.append(timestampMs: Int64(timeMs), value: value)
            columns.setStartTimestampMs(Int64(startMs), at: index)
        }
        let scratch = ColumnScratch()
        scratch.columns.append(contentsOf: columns, 0..<3)
        func compute(_ function: StartAwareKernel.Function, rangeMs: Int64) -> Double {
            var kernel = StartAwareKernel(function: function)
            kernel.starts = StartTimestamps.collect(scratch.columns)
            return withExtendedLifetime(scratch) {
                let first = rangeMs > 120_000 ? 0 : 1
                return kernel.value(
                    Window(
                        samples: Samples(scratch), range: first..<3, rangeMs: rangeMs, endMs: 180_000, stepTimeMs: 180_000,
                        step: 0))
            }
        }
        // From zero at 30 s: 10 up to the reset, 20 after it.
        #expect(compute(.increase, rangeMs: 180_000) == 30)
        #expect((compute(.rate, rangeMs: 180_000) - 30.0 / 180).magnitude < 1e-15)
        #expect(compute(.resets, rangeMs: 180_000) == 1)
        // From zero at 100 s, inside of the range.
        #expect(compute(.increase, rangeMs: 120_000) == 20)
        #expect(compute(.irate, rangeMs: 120_000) == 8.0 / 60)
    }

    @Test("the hash that limit_ratio picks by")
    func hash() {
        // Known answers of XXH64, seed 0.
        #expect(xxh64([]) == 0xEF46_DB37_51D8_E999)
        #expect(xxh64([UInt8]("a".utf8)) == 0xD24E_C4F1_A98C_6E5B)
        #expect(xxh64([UInt8]("abc".utf8)) == 0x44BC_2CF5_AD77_0999)
        #expect(xxh64([UInt8]("Call me Ishmael. Some years ago--never mind how long precisely-".utf8)) == 0x02A2_E854_70D6_FD96)
    }
}
