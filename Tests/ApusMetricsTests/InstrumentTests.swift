import Testing

@testable import ApusMetrics

@Suite("Instruments") struct InstrumentTests {
    @Test("bucket helpers")
    func buckets() {
        #expect(Buckets.linear(start: 1, width: 2, count: 3).upperBounds == [1, 3, 5])
        #expect(Buckets.exponential(start: 1, factor: 2, count: 4).upperBounds == [1, 2, 4, 8])
        #expect(Buckets([1, 2, .infinity]).upperBounds == [1, 2])
        #expect(Buckets.exponential(start: 1, factor: 10, count: -3).upperBounds == [])
    }

    @Test("a value on a bound belongs to the bucket below it")
    func bounds() throws {
        let histogram = try MetricRegistry().histogram("h", help: "", buckets: [1, 2])
        for value in [1, 1.0.nextUp, 2, 2.0.nextUp, -7] { histogram.observe(value) }
        #expect(histogram.snapshot().counts == [2, 2, 1])
    }

    @Test("gauges go up, down and to the time of day")
    func gauge() throws {
        let gauge = try MetricRegistry().gauge("g", help: "")
        gauge.increment()
        gauge.increment(by: 2.5)
        gauge.decrement()
        #expect(gauge.value == 2.5)
        gauge.set(-4)
        #expect(gauge.value == -4)
        gauge.setToCurrentTime(TestTime())
        #expect(gauge.value == 1_700_000_001)
        struct Failure: Error {}
        #expect(throws: Failure.self) { try gauge.track { throw Failure() } }
        #expect(gauge.value == 1_700_000_001)
    }

    @Test("errors are counted and go on to who called")
    func errors() async throws {
        struct Failure: Error, Equatable { let number: Int }
        let counter = try MetricRegistry().counter("errors_total", help: "")
        #expect(counter.countErrors { 3 } == 3)
        #expect(throws: Failure(number: 1)) { try counter.countErrors { () throws(Failure) -> Int in throw Failure(number: 1) } }
        #expect(await counter.countErrors { await Task.yield() } == ())
        await #expect(throws: Failure(number: 2)) {
            try await counter.countErrors { () async throws(Failure) -> Int in throw Failure(number: 2) }
        }
        #expect(counter.value == 2)
    }

    @Test("timing observes once, also when the work throws")
    func timing() async throws {
        struct Failure: Error {}
        let histogram = try MetricRegistry().histogram("h", help: "")
        #expect(histogram.time { 5 } == 5)
        #expect(throws: Failure.self) { try histogram.time { throw Failure() } }
        let answer = await histogram.time { () async -> Int in
            await Task.yield()
            return 6
        }
        #expect(answer == 6)
        #expect(histogram.snapshot().count == 3)
    }

    @Test("quantiles keep their error", arguments: 1...4)
    func quantileErrors(seed: Int) {
        var random = Xorshift(state: UInt64(seed))
        let targets = [Quantile(0.5, error: 0.05), Quantile(0.9, error: 0.01), Quantile(0.99, error: 0.001)]
        var stream = QuantileStream(targets)
        var all: [Double] = []
        for _ in 0..<40 {
            var batch: [Double] = []
            for _ in 0..<500 {
                let uniform = Double(random.next() % 1_000_000) / 1_000_000
                batch.append(seed % 2 == 0 ? uniform : uniform * uniform * uniform * 1000)
            }
            all += batch
            stream.insert(sorted: batch.sorted())
        }
        all.sort()
        for target in targets {
            let answer = stream.query(target.rank)
            let rank = Double(all.count { $0 <= answer }) / Double(all.count)
            // One rank beside the stated error: the answer is one of the samples.
            #expect(abs(rank - target.rank) <= target.error + 1 / Double(all.count), "\(target)")
        }
        stream.removeAll()
        #expect(stream.query(0.5).isNaN)
    }

    @Test("a summary forgets what is older than its window, and keeps sum and count")
    func window() throws {
        let time = TestTime()
        let registry = MetricRegistry(time: time)
        let summary = try registry.summary("s", help: "", quantiles: [Quantile(0.5, error: 0)], windowMs: 10_000)
        summary.observe(100)
        #expect(summary.snapshot().quantiles == [100])
        time.advance(ms: 6000)
        for _ in 0..<3 { summary.observe(1) }
        #expect(summary.snapshot().quantiles == [1])
        time.advance(ms: 4001)
        summary.observe(1)
        time.advance(ms: 10_001)
        #expect(summary.snapshot().quantiles[0].isNaN)
        #expect(registry.samples == ["s{quantile=\"0.5\"} NaN", "s_sum 104", "s_count 5"])
        time.advance(ms: 1_000_000_000)
        summary.observe(9)
        #expect(summary.snapshot().quantiles == [9])
    }
}
