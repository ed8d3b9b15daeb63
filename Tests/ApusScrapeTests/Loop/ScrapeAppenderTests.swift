import ApusBytes
import ApusConfig
import ApusExposition
import ApusModel
import Testing

@testable import ApusScrape

/// One target and one appender over a fake store: pages in, samples out, no sockets and no clock.
struct LoopHarness {
    let store: FakeStore
    let appender: ScrapeAppender
    var loop: ScrapeLoop
    let time = FixedTime(wallMs: 1_000_000)
    let pool = BufferPool()

    init(
        storeLimit: Int = .max, cache: TargetCache? = nil, options: ScrapeOptions = ScrapeOptions(), _ configure: (inout ScrapeConfig) -> Void = { _ in }
    ) {
        store = FakeStore(limit: storeLimit)
        appender = ScrapeAppender(store: store, time: time, pool: pool)
        var config = ScrapeConfig(jobName: "j")
        configure(&config)
        guard case .active(let target) = Target.make(["__address__": "h:1"], group: .empty, config: config) else {
            fatalError("the target is valid")
        }
        loop = ScrapeLoop(key: 1, target: target, config: config, cache: cache, options: options)
    }

    @discardableResult
    func scrape(_ page: String, at ms: Int64, type: String = "text/plain") -> ScrapeReport {
        scrape(bytes: Array(page.utf8), at: ms, type: type)
    }

    @discardableResult
    func scrape(bytes: [UInt8], at ms: Int64, type: String = "text/plain", coding: BodyCoding = .identity) -> ScrapeReport {
        let body = BodyBuffer()
        for byte in bytes { _ = body.append(byte) }
        return appender.process(
            .page(body: body, contentType: type, coding: coding), loop: loop, timestampMs: ms, startedNs: 0)
    }

    @discardableResult
    func fail(_ reason: String, at ms: Int64) -> ScrapeReport {
        appender.process(.failed(FetchFailure(reason)), loop: loop, timestampMs: ms, startedNs: 0)
    }

    /// The stored series, without the report series.
    var series: [String] { store.dump(without: Self.reports) }
    /// The report series alone.
    func report(_ name: ByteString) -> [Double] {
        store.samples(LabelSet([Label("__name__", name), Label("instance", "h:1"), Label("job", "j")])).map(\.value)
    }
    static let reports: Set<ByteString> = Set(ReportSeries.allCases.map(\.rawValue))
}

struct FixedTime: TimeSource {
    let wall: Int64
    init(wallMs: Int64) { wall = wallMs }
    func wallMs() -> Int64 { wall }
    func monotonicNs() -> UInt64 { 0 }
}

@Suite struct ScrapeAppenderTests {
    @Test func storesSamplesWithTargetLabelsAndReports() {
        let harness = LoopHarness()
        harness.scrape("a 1\nb{x=\"y\"} 2.5\n", at: 1000)
        #expect(harness.series == ["a{instance=h:1,job=j} 1000:1", "b{instance=h:1,job=j,x=y} 1000:2.5"])
        #expect(harness.report("up") == [1])
        #expect(harness.report("scrape_samples_scraped") == [2])
        #expect(harness.report("scrape_samples_post_metric_relabeling") == [2])
        #expect(harness.report("scrape_series_added") == [2])
        harness.scrape("a 3\nb{x=\"y\"} 4\n", at: 2000)
        #expect(harness.report("scrape_series_added") == [2, 0])
        #expect(harness.series == ["a{instance=h:1,job=j} 1000:1 2000:3", "b{instance=h:1,job=j,x=y} 1000:2.5 2000:4"])
    }

    @Test func aSeriesThatLeavesThePageEndsAndMayComeBack() {
        let harness = LoopHarness()
        harness.scrape("a 1\nb 1\nc 1\n", at: 1000)
        harness.scrape("a 2\nc 2\n", at: 2000)
        harness.scrape("a 3\nc 3\n", at: 3000)
        harness.scrape("a 4\nb 4\nc 4\n", at: 4000)
        #expect(harness.series == [
            "a{instance=h:1,job=j} 1000:1 2000:2 3000:3 4000:4",
            "b{instance=h:1,job=j} 1000:1 2000:stale 4000:4",
            "c{instance=h:1,job=j} 1000:1 2000:2 3000:3 4000:4",
        ])
    }

    @Test func aFailedScrapeEndsAllSeriesOnceAndReportsDown() {
        let harness = LoopHarness()
        harness.scrape("a 1\nb 1\n", at: 1000)
        let report = harness.fail("server returned HTTP status 404 Not Found", at: 2000)
        #expect(report.error == "server returned HTTP status 404 Not Found")
        harness.fail("again", at: 3000)
        harness.scrape("a 4\nb 4\n", at: 4000)
        #expect(harness.series == [
            "a{instance=h:1,job=j} 1000:1 2000:stale 4000:4", "b{instance=h:1,job=j} 1000:1 2000:stale 4000:4",
        ])
        #expect(harness.report("up") == [1, 0, 0, 1])
        #expect(harness.report("scrape_series_added") == [2, 0, 0, 0])
    }

    @Test func aPageThatBreaksOffStoresNothing() {
        let harness = LoopHarness()
        harness.scrape("a 1\nb 1\n", at: 1000)
        let report = harness.scrape("a 2\nnew 2\nb nonsense\n", at: 2000)
        #expect(report.error == "3:3: parsing \"nonsense\": invalid syntax while parsing: \"b nonsense\"")
        #expect(harness.series == ["a{instance=h:1,job=j} 1000:1 2000:stale", "b{instance=h:1,job=j} 1000:1 2000:stale"])
        #expect(harness.report("up") == [1, 0])
        harness.scrape("a 3\nb 3\nnew 3\n", at: 3000)
        harness.scrape("a 4\nb 4\n", at: 4000)
        #expect(harness.series == [
            "a{instance=h:1,job=j} 1000:1 2000:stale 3000:3 4000:4", "b{instance=h:1,job=j} 1000:1 2000:stale 3000:3 4000:4",
            "new{instance=h:1,job=j} 3000:3 4000:stale",
        ])
    }

    @Test func anEmptyPageIsUpAndEndsAllSeries() {
        let harness = LoopHarness()
        harness.scrape("a 1\n", at: 1000)
        let report = harness.scrape("", at: 2000, type: "")
        #expect(report.error == nil)
        #expect(harness.report("up") == [1, 1])
        #expect(harness.series == ["a{instance=h:1,job=j} 1000:1 2000:stale"])
    }

    @Test func conflictingLabelsAreExportedOrHonoured() {
        let page = "a{job=\"x\",exported_job=\"y\",instance=\"\"} 1\n"
        let renamed = LoopHarness()
        renamed.scrape(page, at: 1000)
        #expect(renamed.series == ["a{exported_exported_job=x,exported_job=y,instance=h:1,job=j} 1000:1"])
        let honoured = LoopHarness { $0.honorLabels = true }
        honoured.scrape(page, at: 1000)
        #expect(honoured.series == ["a{exported_job=y,job=x} 1000:1"])
    }

    @Test func explicitTimestampsHaveNoStalenessUnlessTracked() {
        for (tracked, honoured, expected) in [
            (false, true, ["a{instance=h:1,job=j} 500:1"]),
            (true, true, ["a{instance=h:1,job=j} 500:1 2000:stale"]),
            (false, false, ["a{instance=h:1,job=j} 1000:1 2000:stale"]),
        ] {
            let harness = LoopHarness {
                $0.trackTimestampsStaleness = tracked
                $0.honorTimestamps = honoured
            }
            harness.scrape("a 1 500\n", at: 1000)
            harness.scrape("\n", at: 2000)
            #expect(harness.series == expected, "tracked \(tracked), honoured \(honoured)")
        }
    }

    @Test func theSecondSampleOfASeriesInAPageIsDropped() {
        let harness = LoopHarness()
        for ms in [Int64(1000), 2000] {
            let report = harness.scrape("a 1\nb 2\na 3\n", at: ms)
            #expect(report.duplicates == 1)
            #expect(report.error == nil)
        }
        #expect(harness.series == ["a{instance=h:1,job=j} 1000:1 2000:1", "b{instance=h:1,job=j} 1000:2 2000:2"])
        #expect(harness.report("scrape_samples_post_metric_relabeling") == [3, 3])
    }

    @Test func samplesFromTheFutureAreOutOfBounds() {
        let harness = LoopHarness()
        let report = harness.scrape("a 1 1600001\nb 1 1600000\n", at: 1000)
        #expect(report.outOfBounds == 1)
        #expect(harness.series == ["b{instance=h:1,job=j} 1600000:1"])
        #expect(harness.report("up") == [1])
    }

    @Test func limitsFailTheScrapeInPrometheussWords() {
        let cases: [(name: String, page: String, error: String, configure: (inout ScrapeConfig) -> Void)] = [
            ("samples", "a 1\nb 2\nc 3\n", "sample limit exceeded", { $0.limits.samples = 2 }),
            (
                "labels", "a{x=\"1\"} 1\n", "label_limit exceeded (metric: a, number of labels: 4, limit: 3)",
                { $0.limits.labels = 3 }
            ),
            (
                "names", "a{long_name=\"1\"} 1\n",
                "label_name_length_limit exceeded (metric: a, label name: long_name, length: 9, limit: 8)",
                { $0.limits.labelNameBytes = 8 }
            ),
            (
                "values", "a{x=\"12345\"} 1\n",
                "label_value_length_limit exceeded (metric: a, label name: x, value: \"12345\", length: 5, limit: 4)",
                { $0.limits.labelValueBytes = 4 }
            ),
            ("body", "a 1\n", "body size limit exceeded", { $0.limits.bodySizeBytes = 4 }),
        ]
        for one in cases {
            let harness = LoopHarness(one.configure)
            let report = harness.scrape(one.page, at: 1000)
            #expect(report.error == one.error, "\(one.name)")
            #expect(harness.series == [], "\(one.name)")
            #expect(harness.report("up") == [0], "\(one.name)")
        }
        let counting = LoopHarness { $0.limits.samples = 2 }
        counting.scrape("a 1\nb 2\nc 3\nd 4\n", at: 1000)
        #expect(counting.report("scrape_samples_scraped") == [4])
        #expect(counting.report("scrape_samples_post_metric_relabeling") == [4])
    }

    @Test func extraReportSeries() {
        let harness = LoopHarness {
            $0.extraScrapeMetrics = true
            $0.limits.samples = 7
            $0.limits.bodySizeBytes = 100
            $0.scrapeTimeoutMs = 1500
        }
        harness.scrape("a 1\n", at: 1000)
        harness.scrape(bytes: Array(repeating: 0x0A, count: 200), at: 2000)
        harness.fail("no", at: 3000)
        #expect(harness.report("scrape_timeout_seconds") == [1.5, 1.5, 1.5])
        #expect(harness.report("scrape_sample_limit") == [7, 7, 7])
        #expect(harness.report("scrape_body_size_bytes") == [4, -1, 0])
    }

    @Test func badLabelsFailTheScrape() {
        for (page, error) in [
            ("a{x=\"1\",x=\"2\"} 1\n", "label name \"x\" is not unique: invalid sample"),
            ("{\"\"} 1\n", "missing metric name (__name__ label)"),
        ] {
            let report = LoopHarness().scrape(page, at: 1000)
            #expect(report.error == error)
        }
        let legacy = LoopHarness { $0.metricNameValidation = .legacy }
        #expect(legacy.scrape("{\"a.b\"} 1\n", at: 1000).error?.hasPrefix("invalid metric name or label names: ") == true)
        let modern = LoopHarness()
        #expect(modern.scrape("{\"a.b\",\"c d\"=\"e\"} 1\n", at: 1000).error == nil)
        #expect(modern.series == ["a.b{c d=e,instance=h:1,job=j} 1000:1"])
    }

    @Test func labelsInAnotherOrderAreTheSameSeries() {
        let harness = LoopHarness()
        harness.scrape("a{x=\"1\",y=\"2\"} 1\n", at: 1000)
        harness.scrape("a{y=\"2\",x=\"1\"} 2\n", at: 2000)
        #expect(harness.series == ["a{instance=h:1,job=j,x=1,y=2} 1000:1 2000:2"])
    }

    @Test func seriesThatTheStoreForgotAreMadeAnew() {
        let harness = LoopHarness()
        harness.scrape("a 1\nb 1\n", at: 1000)
        harness.store.drop(["__name__": "a", "instance": "h:1", "job": "j"])
        harness.store.drop(["__name__": "up", "instance": "h:1", "job": "j"])
        harness.scrape("a 2\nb 2\n", at: 2000)
        harness.scrape("a 3\nb 3\n", at: 3000)
        #expect(harness.series == ["a{instance=h:1,job=j} 2000:2 3000:3", "b{instance=h:1,job=j} 1000:1 2000:2 3000:3"])
        #expect(harness.report("up") == [1, 1])
    }

    @Test func aFullStoreCostsNewSeriesOnly() {
        let harness = LoopHarness(storeLimit: 6)
        harness.scrape("a 1\n", at: 1000)
        let report = harness.scrape("a 2\nb 2\n", at: 2000)
        #expect(report.error == nil && report.refusal == "too many series" && report.counts.kept == 2)
        #expect(harness.report("up") == [1, 1])
        #expect(harness.series == ["a{instance=h:1,job=j} 1000:1 2000:2"])
    }

    @Test func contentTypesAndFallback() {
        let page = "a 1\n"
        let strict = LoopHarness()
        #expect(strict.scrape(page, at: 1000, type: "application/json").error
            == "received unsupported Content-Type \"application/json\" and no fallback_scrape_protocol specified for target")
        #expect(strict.scrape(page, at: 2000, type: "").error
            == "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target")
        #expect(strict.scrape(page, at: 3000, type: "a b/c d/e").error
            == "cannot parse Content-Type \"a b/c d/e\" and no fallback_scrape_protocol for target\nmime: expected slash after first token")
        #expect(strict.scrape(page, at: 4000, type: "Text/Plain; charset=utf-8").error == nil)
        let lenient = LoopHarness { $0.fallbackScrapeProtocol = .text004 }
        #expect(lenient.scrape(page, at: 1000, type: "application/json").error == nil)
        #expect(lenient.scrape(page, at: 2000, type: "").error == nil)
    }

    @Test func endOfRunEndsSeriesAndReports() {
        let harness = LoopHarness()
        harness.scrape("a 1\n", at: 1000)
        harness.appender.endOfRun(harness.loop, timestampMs: 16_000)
        #expect(harness.series == ["a{instance=h:1,job=j} 1000:1 16000:stale"])
        #expect(harness.store.samples(["__name__": "up", "instance": "h:1", "job": "j"]).last?.value.bitPattern == StaleNaN.bits)
    }

    @Test func metadataFollowsThePage() {
        let harness = LoopHarness()
        harness.scrape("# HELP a Some \\\\ help\\n.\n# TYPE a counter\na 1\n", at: 1000)
        #expect(harness.loop.cache.metadata.withLock { $0["a"] } == MetricMetadata(type: .counter, help: "Some \\ help\n."))
        harness.scrape("# HELP a Other\n# TYPE a gauge\na 1\n", at: 2000)
        #expect(harness.loop.cache.metadata.withLock { $0["a"] } == MetricMetadata(type: .gauge, help: "Other"))
    }

    @Test func hugePagesAreStoredInParts() {
        let harness = LoopHarness()
        let count = ScrapeAppender.sliceCount + 10
        let page = (0..<count).map { "a\($0) 1\n" }.joined()
        #expect(harness.scrape(page, at: 1000).counts.kept == count)
        #expect(harness.series.count == count)
        // What is refused is told of the sample that it is about: the last one is in the second part.
        let before = harness.store.batches
        let report = harness.scrape(page, at: 500)
        #expect(report.outOfOrder == count && harness.store.batches == before + 2)
    }

    @Test func gzipBodies() {
        let harness = LoopHarness()
        #expect(harness.scrape(bytes: InflateTests.member, at: 500, coding: .gzip).counts.kept == 1)
        #expect(harness.scrape(bytes: Array("a 1\n".utf8) + Array(repeating: 0, count: 30), at: 1000, coding: .gzip).error == "gzip: invalid header")
        #expect(harness.scrape(bytes: [], at: 2000, coding: .gzip).error == "EOF")
        #expect(harness.scrape(bytes: InflateTests.frame, at: 2500, coding: .zstd).counts.kept == 1)
        #expect(harness.scrape(bytes: Array("a 1\n".utf8), at: 2600, coding: .zstd).error == "zstd: corrupt input")
        #expect(harness.scrape(bytes: [31, 139] + Array(repeating: 7, count: 40), at: 3000, coding: .gzip).error == "flate: corrupt input")
    }
}
