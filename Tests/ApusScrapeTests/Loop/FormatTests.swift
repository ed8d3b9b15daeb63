import ApusBytes
import ApusConfig
import ApusExposition
import ApusModel
import Testing

@testable import ApusScrape

@Suite("Formats of a scrape") struct FormatTests {
    static let openMetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    static let page = """
        # HELP done_jobs Jobs.
        # TYPE done_jobs counter
        # UNIT done_jobs jobs
        # TYPE took histogram
        took_bucket{le="1"} 2 # {trace="x"} 0.5 2.5
        took_bucket{le="+Inf"} 3
        took_count 3
        took_sum 9
        # TYPE up2 gauge
        up2 1
        # EOF

        """
    static func labels(_ name: ByteString, _ more: [Label] = []) -> LabelSet {
        LabelSet([Label("__name__", name), Label("instance", "h:1"), Label("job", "j")] + more)
    }
    static let bucket = labels("took_bucket", [Label("le", "1.0")])

    @Test func openMetricsWithExemplars() {
        let harness = LoopHarness()
        let report = harness.scrape(Self.page, at: 10_000, type: Self.openMetrics)
        #expect(report.error == nil && report.counts.scraped == 5)
        #expect(harness.series.contains("took_bucket{instance=h:1,job=j,le=1.0} 10000:2"))
        #expect(harness.store.exemplars(Self.bucket).map(\.timestampMs) == [2500])
        // The same exemplar again is nobody's fault, an older one is.
        #expect(harness.scrape(Self.page, at: 20_000, type: Self.openMetrics).outOfOrderExemplars == 0)
        let older = Self.page.replacing("0.5 2.5", with: "0.5 1.5")
        #expect(harness.scrape(older, at: 30_000, type: Self.openMetrics).outOfOrderExemplars == 1)
    }

    @Test func openMetricsWithoutItsEnd() {
        let harness = LoopHarness()
        harness.scrape(Self.page, at: 10_000, type: Self.openMetrics)
        let report = harness.scrape("up2 1\n", at: 20_000, type: Self.openMetrics)
        #expect(report.error == "2:1: data does not end with # EOF" && report.staleMarkers == 5)
        // A page that is empty altogether is no fault.
        #expect(harness.scrape("", at: 30_000, type: Self.openMetrics).error == nil)
    }

    @Test func metadataOfUnits() {
        let harness = LoopHarness()
        harness.scrape(Self.page, at: 10_000, type: Self.openMetrics)
        let found = harness.loop.cache.metadata.withLock { $0["done_jobs"] }
        #expect(found == MetricMetadata(type: .counter, help: "Jobs.", unit: "jobs"))
    }

    @Test func metadataForTheStore() {
        var options = ScrapeOptions()
        options.storesMetadata = true
        let harness = LoopHarness(options: options)
        harness.scrape(Self.page, at: 10_000, type: Self.openMetrics)
        #expect(harness.store.metadata(Self.bucket)?.type == .histogram && harness.store.metadata(Self.labels("up2"))?.type == .gauge)
        harness.scrape(Self.page.replacing("up2 gauge", with: "up2 counter"), at: 20_000, type: Self.openMetrics)
        #expect(harness.store.metadata(Self.labels("up2"))?.type == .counter)
    }

    @Test func convertedHistograms() {
        let harness = LoopHarness { $0.convertClassicHistogramsToNHCB = true }
        harness.scrape(Self.page, at: 10_000, type: Self.openMetrics)
        let histogram = harness.store.histograms(Self.labels("took")).first
        #expect(histogram?.layout.customBounds == [1] && histogram?.positiveCounts == [2, 1])
        #expect(harness.series == ["up2{instance=h:1,job=j} 10000:1"])
        // Gone from the page, it ends as every series does.
        #expect(harness.scrape("# EOF\n", at: 20_000, type: Self.openMetrics).staleMarkers == 2)
    }

    @Test func startTimestamps() {
        var options = ScrapeOptions()
        options.storesStartTimestamps = true
        let harness = LoopHarness(options: options)
        harness.scrape("# TYPE a counter\na_total 1\na_created 5.5\n# EOF\n", at: 10_000, type: Self.openMetrics)
        #expect(harness.store.startTimestampsMs.first == 5500)
        #expect(harness.series == ["a_total{instance=h:1,job=j} 10000:1"])
    }

    @Test func zerosWhereCountingBegan() {
        var options = ScrapeOptions()
        options.injectsStartZeros = true
        let harness = LoopHarness(options: options)
        let page = "# TYPE a counter\na_total 1\na_created 5.5\n# EOF\n"
        harness.scrape(page, at: 10_000, type: Self.openMetrics)
        harness.scrape(page, at: 20_000, type: Self.openMetrics)
        #expect(harness.series == ["a_total{instance=h:1,job=j} 5500:0 10000:1 20000:1"])
        // It began anew between the two scrapes.
        harness.scrape(page.replacing("5.5", with: "25"), at: 30_000, type: Self.openMetrics)
        #expect(harness.series == ["a_total{instance=h:1,job=j} 5500:0 10000:1 20000:1 25000:0 30000:1"])
        #expect(harness.store.startTimestampsMs.isEmpty)
    }

    @Test func openMetrics2() {
        let harness = LoopHarness()
        let type = "application/openmetrics-text; version=2.0.0; charset=utf-8"
        let report = harness.scrape("# TYPE a summary\na {count:1,sum:2,quantile:[0.5:3]}\n# EOF\n", at: 10_000, type: type)
        #expect(report.error == nil)
        #expect(harness.series.contains("a{instance=h:1,job=j,quantile=0.5} 10000:3"))
        // Who says 1.0 may not send it.
        #expect(harness.scrape("a {count:1,sum:2,quantile:[]}\n# EOF\n", at: 20_000, type: Self.openMetrics).error != nil)
    }

    @Test func bucketLimits() throws {
        let histogram = try NativeHistogram(
            layout: HistogramLayout(schema: 3, positiveSpans: [HistogramSpan(offset: 1, length: 16)]), count: 16, sum: 1,
            positive: Array(repeating: 1, count: 16))
        let fits = try HistogramLimits(bucketLimit: 4, minBucketFactor: 0).apply(to: histogram)
        #expect(fits.layout.schema == 1 && fits.words == [4, 4, 4, 4])
        #expect(throws: HistogramLimits.Refusal(reason: "histogram bucket limit exceeded", isBucketLimit: true)) {
            var wide = HistogramLimits(bucketLimit: 1, minBucketFactor: 0)
            wide = HistogramLimits(bucketLimit: 1, minBucketFactor: 0)
            let spread = try NativeHistogram(
                layout: HistogramLayout(schema: -4, positiveSpans: [HistogramSpan(offset: 1, length: 2)]), count: 2, sum: 1, positive: [1, 1])
            _ = try wide.apply(to: spread)
        }
        #expect(throws: HistogramLimits.Refusal.self) {
            let custom = try NativeHistogram(
                layout: HistogramLayout(schema: -53, positiveSpans: [HistogramSpan(offset: 0, length: 2)], customBounds: [1]), count: 2,
                sum: 1, positive: [1, 1])
            _ = try HistogramLimits(bucketLimit: 1, minBucketFactor: 0).apply(to: custom)
        }
    }

    @Test(arguments: [(0, 8), (1, 8), (1.001, 8), (1.0028, 7), (1.05, 3), (1.1, 2), (2, 0), (4, -1), (65536, -4), (1e9, -4)] as [(Double, Int32)])
    func bucketFactors(factor: Double, schema: Int32) {
        #expect(HistogramLimits(bucketLimit: 0, minBucketFactor: factor).maxSchema == schema)
    }

    @Test func histogramsThatMakeNoSense() throws {
        let wrong = try NativeHistogram(layout: HistogramLayout(positiveSpans: [HistogramSpan(offset: 0, length: 1)]), count: 5, sum: 1, positive: [1])
        #expect(throws: HistogramLimits.Refusal.self) { try HistogramLimits(bucketLimit: 0, minBucketFactor: 0).apply(to: wrong) }
        // Finer than what is stored: taken, and made coarser.
        let fine = try NativeHistogram(layout: HistogramLayout(schema: 12, positiveSpans: [HistogramSpan(offset: 1, length: 1)]), count: 1, sum: 1, positive: [1])
        #expect(try HistogramLimits(bucketLimit: 0, minBucketFactor: 0).apply(to: fine).layout.schema == 8)
    }

    @Test func overridesByLabels() throws {
        var config = ScrapeConfig(jobName: "j")
        let settings = try HistogramSettings(["__scrape_native_histograms__": "true", "__convert_classic_histograms_to_nhcb__": "1"], config)
        #expect(settings.readsNative && settings.convertsClassic && !settings.keepsClassic)
        #expect(settings.protocols(config).first == .protobuf)
        config.scrapeProtocols = [.text004]
        #expect(settings.protocols(config) == [.text004])
        #expect(throws: HistogramSettings.LabelError.self) { try HistogramSettings(["__always_scrape_classic_histograms__": "yes"], config) }
    }

    /// Go's texts.
    @Test(arguments: [
        (";", "no media type"), ("a", nil), ("text/", "expected token after slash"), ("a b", "expected slash after first token"),
        ("a/b/c", "unexpected content after media subtype"), ("text/plain; foo", "invalid media parameter"),
        ("text/plain;", nil), ("Text/Plain ; version=\"0.0.4\" ; charset=utf-8", nil), ("text/plain; a=\"b", "invalid media parameter"),
    ] as [(String, String?)])
    func mediaTypes(_ text: String, _ problem: String?) {
        do throws(MediaTypeError) {
            let type = try parseMediaType(text)
            #expect(problem == nil && type == text.lowercased().prefix { $0 != ";" && $0 != " " })
        } catch { #expect(error.description == problem.map { "mime: " + $0 }) }
    }

    @Test func fallbacks() throws {
        #expect(try pageFormat(contentType: "APPLICATION/OpenMetrics-Text; version=9", fallback: nil) == .openMetrics)
        #expect(try pageFormat(contentType: "application/vnd.google.protobuf; proto=x", fallback: nil) == .protobuf)
        #expect(try pageFormat(contentType: "", fallback: .openMetrics100) == .openMetrics)
        #expect(try pageFormat(contentType: "text/html", fallback: .protobuf) == .protobuf)
    }
}
