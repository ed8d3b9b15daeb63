import ApusBytes
import ApusModel
import Testing

@testable import ApusExposition

/// Scans pages of any format and lists what came out.
final class ScanHarness {
    var scanner = PageScanner(seed: 3)
    let scratch = ScanScratch()
    var resolver = NumberingResolver()
    var options = PageScanner.Options(timestampMs: 1000)
    init(_ format: PageFormat = .protobuf) { options.format = format }

    /// `labels value time`, `labels histogram time` and `labels # exemplar`, in order of page within each kind.
    func scan(_ page: [UInt8]) throws(ScanError) -> [String] {
        do throws(ScanError) {
            try scanner.scan(page.span, options: options, scratch: scratch, resolver: &resolver)
        } catch {
            _ = scanner.abort()
            throw error
        }
        let names = Dictionary(uniqueKeysWithValues: resolver.refs.map { ($0.value, Self.text($0.key)) })
        var lines: [String] = []
        let starts = scratch.startTimestampsMs
        unsafe scratch.withColumns { refs, times, values in
            for index in refs.indices {
                let start = starts.isEmpty || starts[index] == 0 ? "" : " since \(starts[index])"
                unsafe lines.append("\(names[refs[index]] ?? "?") \(values[index]) @\(times[index])\(start)")
            }
        }
        for one in scratch.histograms {
            let start = one.startTimestampMs == 0 ? "" : " since \(one.startTimestampMs)"
            lines.append("\(names[one.ref] ?? "?") \(one.histogram) @\(one.timestampMs)\(start)")
        }
        for one in scratch.exemplars {
            lines.append("\(names[one.ref] ?? "?") # \(Self.text(one.labels)) \(one.value) @\(one.timestampMs)")
        }
        return lines
    }

    static func text(_ labels: LabelSet) -> String {
        let rest = labels.labels.filter { $0.name != LabelSet.metricName }.map { "\($0.name)=\($0.value)" }.joined(separator: ",")
        return "\(labels[LabelSet.metricName].map(\.description) ?? ""){\(rest)}"
    }
}

@Suite("Protobuf pages") struct ProtobufScanTests {
    /// One family of each kind.
    static var page: [UInt8] {
        var page = ProtobufWriter()
        page.family("jobs_total", type: 0, help: "Jobs done.") { family in
            family.message(4) { metric in
                metric.labels([("queue", "fast")])
                metric.message(3) { counter in
                    counter.double(1, 42)
                    counter.exemplar(2, [("trace", "abc")], 1.5, seconds: 2)
                    counter.message(3) { $0.unsigned(1, 1) }
                }
            }
        }
        page.family("heat_celsius", type: 1, unit: "celsius") { family in
            family.message(4) { metric in
                metric.message(2) { $0.double(1, -3.5) }
                metric.unsigned(6, 777)
            }
        }
        page.family("lag", type: 2) { family in
            family.message(4) { metric in
                metric.message(4) { summary in
                    summary.unsigned(1, 5)
                    summary.double(2, 10)
                    summary.message(3) {
                        $0.double(1, 0.5)
                        $0.double(2, 2)
                    }
                }
            }
        }
        page.family("odd", type: 3) { $0.message(4) { $0.message(5) { $0.double(1, 1) } } }
        page.family("empty", type: 1) { _ in }
        return page.bytes
    }

    /// A histogram that is native and classic at once.
    static func single(_ body: (inout ProtobufWriter) -> Void, type: UInt64 = 4) -> [UInt8] {
        var page = ProtobufWriter()
        page.family("took_seconds", type: type) { family in
            family.message(4) { metric in
                metric.labels([("path", "/")])
                metric.message(7) { body(&$0) }
            }
        }
        return page.bytes
    }
    static var both: [UInt8] {
        single { histogram in
            histogram.unsigned(1, 6)
            histogram.double(2, 9)
            histogram.bucket(0.5, 2, exemplar: 0.25, seconds: 3)
            histogram.bucket(1, 5, exemplar: 0.75)
            histogram.zigzag(5, 1)
            histogram.double(6, 0.001)
            histogram.unsigned(7, 1)
            histogram.span(12, 0, 2)
            histogram.span(12, 1, 2)
            histogram.packedZigzag(13, [2, -1, -1, 2])
            histogram.span(9, -2, 1)
            histogram.packedZigzag(10, [0])
        }
    }

    @Test("gives the series of counters, gauges, summaries and untyped") func simple() throws {
        let harness = ScanHarness()
        let expected = [
            "jobs_total{queue=fast} 42.0 @1000", "heat_celsius{} -3.5 @777", "lag_count{} 5.0 @1000", "lag_sum{} 10.0 @1000",
            "lag{quantile=0.5} 2.0 @1000", "odd{} 1.0 @1000", "jobs_total{queue=fast} # {trace=abc} 1.5 @2000",
        ]
        #expect(try harness.scan(Self.page) == expected)
        #expect(harness.scanner.commit(harness.scratch).isEmpty)
        // Known by its bytes: nothing is resolved a second time.
        let resolved = harness.resolver.resolved
        #expect(try harness.scan(Self.page) == expected)
        #expect(harness.resolver.resolved == resolved && harness.scanner.counts.added == 0)
    }

    @Test("keeps start timestamps when asked") func starts() throws {
        let harness = ScanHarness()
        harness.options.takesStartTimestamps = true
        #expect(try harness.scan(Self.page).first == "jobs_total{queue=fast} 42.0 @1000 since 1000")
    }

    @Test("reads a native histogram without its empty buckets, and exemplars that have a timestamp") func native() throws {
        let harness = ScanHarness()
        let text = "took_seconds{path=/} {count:6.0, sum:9.0, schema:1, zero:1.0, 0:2.0, 1:1.0, 4:2.0} @1000"
        #expect(try harness.scan(Self.both) == [text, "took_seconds{path=/} # {trace=t} 0.25 @3000"])
        let histogram = harness.scratch.histograms[0].histogram
        #expect(histogram.layout.positiveSpans == [HistogramSpan(offset: 0, length: 2), HistogramSpan(offset: 2, length: 1)])
        #expect(histogram.layout.negativeSpans.isEmpty && !histogram.isFloat && histogram.layout.zeroThreshold == 0.001)
        try histogram.validate()
    }

    static let classic = [
        "took_seconds_count{path=/} 6.0 @1000", "took_seconds_sum{path=/} 9.0 @1000", "took_seconds_bucket{le=0.5,path=/} 2.0 @1000",
        "took_seconds_bucket{le=1.0,path=/} 5.0 @1000", "took_seconds_bucket{le=+Inf,path=/} 6.0 @1000",
    ]

    @Test("keeps classic buckets beside a native histogram, or reads them alone") func classicToo() throws {
        let harness = ScanHarness()
        harness.options.keepsClassicHistograms = true
        let lines = try harness.scan(Self.both)
        #expect(Array(lines.prefix(5)) == Self.classic && harness.scratch.histograms.count == 1)
        #expect(harness.scanner.counts.scraped == 6)

        let alone = ScanHarness()
        alone.options.readsNativeHistograms = false
        let found = try alone.scan(Self.both)
        #expect(Array(found.prefix(5)) == Self.classic && alone.scratch.histograms.isEmpty)
        // Of a bucket an exemplar counts with or without a time.
        #expect(
            found.suffix(2) == [
                "took_seconds_bucket{le=0.5,path=/} # {trace=t} 0.25 @3000", "took_seconds_bucket{le=1.0,path=/} # {trace=t} 0.75 @1000",
            ])
    }

    @Test("reads float histograms and gauge histograms") func floats() throws {
        let harness = ScanHarness()
        let page = Self.single(
            {
                $0.double(4, 2.5)
                $0.double(2, 1)
                $0.double(8, 0.5)
                $0.unsigned(7, 1)
                $0.span(12, 3, 2)
                $0.packedDoubles(14, [1.5, 0.5])
            }, type: 5)
        #expect(try harness.scan(page) == ["took_seconds{path=/} {count:2.5, sum:1.0, schema:0, zero:0.5, 3:1.5, 4:0.5} @1000"])
        let histogram = harness.scratch.histograms[0].histogram
        #expect(histogram.isFloat && histogram.hint == .gauge)
    }

    @Test("takes a span of no length as the sign of a native histogram") func noObservations() throws {
        let harness = ScanHarness()
        #expect(try harness.scan(Self.single { $0.span(12, 0, 0) }) == ["took_seconds{path=/} {count:0.0, sum:0.0, schema:0, zero:0.0} @1000"])
        #expect(harness.scratch.histograms[0].histogram.layout.positiveSpans.isEmpty)
    }

    @Test("makes a classic histogram one with custom bounds") func converts() throws {
        let harness = ScanHarness()
        harness.options.convertsClassicHistograms = true
        let page = Self.single {
            $0.unsigned(1, 6)
            $0.double(2, 9)
            $0.bucket(0.5, 2)
            $0.bucket(1, 5)
        }
        #expect(try harness.scan(page) == ["took_seconds{path=/} {count:6.0, sum:9.0, schema:-53, zero:0.0, 0:2.0, 1:3.0, 2:1.0} @1000"])
        #expect(harness.scratch.histograms[0].histogram.layout.customBounds == [0.5, 1])
        harness.options.keepsClassicHistograms = true
        #expect(try harness.scan(page).count == 6)
    }

    @Test("ends series that left the page, histograms too") func staleness() throws {
        let harness = ScanHarness()
        _ = try harness.scan(Self.both + Self.page)
        _ = harness.scanner.commit(harness.scratch)
        _ = try harness.scan(Self.page)
        let ended = harness.scanner.commit(harness.scratch)
        #expect(ended == [harness.resolver.refs[["__name__": "took_seconds", "path": "/"]] ?? 0])
    }

    @Test("a series twice in a page counts once") func duplicates() throws {
        let harness = ScanHarness()
        let lines = try harness.scan(Self.both + Self.both)
        #expect(lines.count == 2 && harness.scanner.counts.duplicates == 1)
    }

    @Test("refuses what is no protobuf, whatever is cut or changed", arguments: 0..<200) func damage(_ seed: Int) throws {
        var random = SeededGenerator(state: UInt64(seed))
        var page = Self.page + Self.both
        let cut = Int.random(in: 0..<page.count, using: &random)
        if seed % 2 == 0 {
            page.removeLast(cut)
        } else {
            for _ in 0..<3 { page[Int.random(in: 0..<page.count, using: &random)] = UInt8.random(in: 0...255, using: &random) }
        }
        let harness = ScanHarness()
        harness.options.keepsClassicHistograms = seed % 3 == 0
        harness.options.convertsClassicHistograms = seed % 5 == 0
        // Fails or not; what matters is that it ends.
        _ = try? harness.scan(page)
        #expect(harness.scratch.sampleCount <= page.count)
    }

    static let faults: [(bytes: [UInt8], reason: String)] = [
        ([0x05, 0x0A], "a message of 5 bytes does not fit into the 1 bytes left of the page"),
        ([0x02, 0x0A, 0x07], "a field of 7 bytes does not fit"), ([0x02, 0x1B, 0x01], "wire type 3"), ([0x02, 0x18, 0x0A], "unknown metric type 10"),
        ([0xFF], "a message's length is cut off"), ([0x02, 0x22, 0x00], "invalid metric name: \"\""),
    ]
    @Test("says what is wrong", arguments: 0..<faults.count) func saysWhy(_ index: Int) {
        let (bytes, reason) = Self.faults[index]
        let harness = ScanHarness()
        do throws(ScanError) {
            _ = try harness.scan(bytes)
            Issue.record("was accepted")
        } catch { #expect(error.description.contains(reason), "\(error)") }
    }

    @Test("refuses a unit that the name does not end with") func unit() {
        var page = ProtobufWriter()
        page.family("a_total", type: 0, unit: "bytes") { $0.message(4) { _ in } }
        let bytes = page.bytes
        #expect(throws: ScanError.self) {
            let harness = ScanHarness()
            _ = try harness.scan(bytes)
        }
    }
}
