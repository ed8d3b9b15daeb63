import ApusBytes
import ApusModel
import Testing

@testable import ApusExposition

@Suite("OpenMetrics pages, scrape after scrape") struct OpenMetricsScanTests {
    static func harness() -> ScanHarness { ScanHarness(.openMetrics) }

    static let page = """
        # HELP took_seconds How long.
        # TYPE took_seconds histogram
        # UNIT took_seconds seconds
        took_seconds_bucket{le="1"} 2 # {trace="x"} 0.5 2.5
        took_seconds_bucket{le="+Inf"} 3 # {} 7
        took_seconds_count 3
        took_seconds_sum 9.5
        took_seconds_created 1.25
        # TYPE jobs counter
        jobs_total{queue="a"} 5 3.5
        jobs_created{queue="a"} 0.5
        # TYPE heat gauge
        heat -1.5
        # EOF

        """
    static let lines = [
        "took_seconds_bucket{le=1.0} 2.0 @1000", "took_seconds_bucket{le=+Inf} 3.0 @1000", "took_seconds_count{} 3.0 @1000",
        "took_seconds_sum{} 9.5 @1000", "took_seconds_created{} 1.25 @1000", "jobs_total{queue=a} 5.0 @3500",
        "jobs_created{queue=a} 0.5 @1000", "heat{} -1.5 @1000",
    ]
    static let exemplars = ["took_seconds_bucket{le=1.0} # {trace=x} 0.5 @2500", "took_seconds_bucket{le=+Inf} # {} 7.0 @1000"]

    @Test("reads samples and exemplars, and knows them the next time") func reads() throws {
        let harness = Self.harness()
        for scrape in 0..<3 {
            #expect(try harness.scan(Array(Self.page.utf8)) == Self.lines + Self.exemplars)
            #expect(harness.scanner.commit(harness.scratch).isEmpty)
            #expect(harness.scanner.counts.added == (scrape == 0 ? 8 : 0))
        }
        #expect(harness.resolver.resolved == 8)
    }

    @Test("takes start timestamps from _created lines when asked") func created() throws {
        let harness = Self.harness()
        harness.options.takesStartTimestamps = true
        let found = try harness.scan(Array(Self.page.utf8))
        #expect(
            found == [
                "took_seconds_bucket{le=1.0} 2.0 @1000 since 1250", "took_seconds_bucket{le=+Inf} 3.0 @1000 since 1250",
                "took_seconds_count{} 3.0 @1000 since 1250", "took_seconds_sum{} 9.5 @1000 since 1250",
                "jobs_total{queue=a} 5.0 @3500 since 500", "heat{} -1.5 @1000",
            ] + Self.exemplars)
    }

    @Test("converts classic histograms of text pages too", arguments: [true, false]) func converts(keepsClassic: Bool) throws {
        let harness = Self.harness()
        harness.options.convertsClassicHistograms = true
        harness.options.keepsClassicHistograms = keepsClassic
        let histogram = "took_seconds{} {count:3.0, sum:9.5, schema:-53, zero:0.0, 0:2.0, 1:1.0} @1000"
        let rest = ["took_seconds_created{} 1.25 @1000", "jobs_total{queue=a} 5.0 @3500", "jobs_created{queue=a} 0.5 @1000", "heat{} -1.5 @1000"]
        let own = "took_seconds{} # {trace=x} 0.5 @2500"
        let expected = keepsClassic ? Self.lines + [histogram] + Self.exemplars + [own] : rest + [histogram, own]
        #expect(try harness.scan(Array(Self.page.utf8)).sorted() == expected.sorted())
    }

    @Test("converts each histogram of a family on its own, and none that contradicts itself") func groups() throws {
        let harness = ScanHarness(.text)
        harness.options.convertsClassicHistograms = true
        let page = """
            # TYPE h histogram
            h_bucket{a="1",le="1"} 1
            h_bucket{a="1",le="+Inf"} 2
            h_sum{a="1"} 3
            h_count{a="1"} 2
            h_bucket{a="2",le="1"} 0.5
            h_sum{a="2"} 1
            h_count{a="2"} 1.5
            h_bucket{a="3",le="1"} 5
            h_bucket{a="3",le="2"} 4
            h_count{a="3"} 5
            # TYPE other histogram
            other_bucket{le="bad"} 1

            """
        #expect(
            try harness.scan(Array(page.utf8)) == [
                "other_bucket{le=bad} 1.0 @1000", "h{a=1} {count:2.0, sum:3.0, schema:-53, zero:0.0, 0:1.0, 1:1.0} @1000",
                "h{a=2} {count:1.5, sum:1.0, schema:-53, zero:0.0, 0:0.5, 1:1.0} @1000",
            ])
    }

    @Test("finds the end wherever it stands, in a page it knows too") func end() throws {
        for (page, isGood) in [
            ("a 1\n# EOF\n", true), ("a 1\n# EOF", true), ("a 1\n", false), ("# EOF\na 1\n# EOF\n", false), ("a 1\n# EOF\n# EOF\n", false),
            ("a 1\n# EOF\n\n", false), ("a 1\n\n# EOF\n", false), ("a  1\n# EOF\n", false), ("a 1 \n# EOF\n", false),
        ] {
            let harness = Self.harness()
            _ = try harness.scan(Array("a 1\n# EOF\n".utf8))
            _ = harness.scanner.commit(harness.scratch)
            // The scanner wants a newline at the end, as the scrape appends it.
            var bytes = Array(page.utf8)
            if bytes.last != 0x0A { bytes.append(0x0A) }
            var isAccepted = true
            do throws(ScanError) { _ = try harness.scan(bytes) } catch { isAccepted = false }
            #expect(isAccepted == isGood, "\(page)")
        }
    }

    /// What a page of random lines gives when it is read by the parser alone.
    @Test("agrees with the parser, whatever comes after whatever", arguments: 0..<60) func property(seed: Int) throws {
        var random = SeededGenerator(state: UInt64(seed) &* 77)
        let harness = Self.harness()
        for _ in 0..<12 {
            var text = ""
            for _ in 0..<Int.random(in: 0..<30, using: &random) {
                let name = "m\(Int.random(in: 0..<6, using: &random))"
                switch Int.random(in: 0..<8, using: &random) {
                case 0: text += "# TYPE \(name) \(["gauge", "histogram", "counter"].randomElement(using: &random) ?? "")\n"
                case 1: text += "# HELP \(name) h\(Int.random(in: 0..<3, using: &random))\n"
                default:
                    text += "\(name){l=\"\(Int.random(in: 0..<4, using: &random))\",le=\"1.0\"} \(Int.random(in: 0..<9, using: &random))"
                    if Bool.random(using: &random) { text += " \(Int.random(in: 1..<9, using: &random)).5" }
                    if Int.random(in: 0..<4, using: &random) == 0 { text += " # {t=\"x\"} 1" }
                    text += "\n"
                }
            }
            let page = Array((text + "# EOF\n").utf8)
            let expected = try Self.naive(page, timestampMs: 1000)
            let found = try harness.scan(page)
            #expect(found.filter { !$0.contains("#") } == expected, "seed \(seed)\n\(text)")
            _ = harness.scanner.commit(harness.scratch)
        }
    }

    private static func naive(_ page: [UInt8], timestampMs: Int64) throws -> [String] {
        var parser = OpenMetricsParser()
        var seen: Set<[UInt8]> = []
        var lines: [String] = []
        while let entry = try parser.next(page.span) {
            guard case .series(let line) = entry else { continue }
            let isNew = seen.insert(Array(page[line.text])).inserted
            if !isNew && line.timestampMs == nil { continue }
            // Known lines keep the labels of their first reading: make it independent of the type.
            let labels = LabelSet(parser.labels(page.span).map { $0.name == "le" ? Label("le", "1.0") : $0 })
            lines.append("\(ScanHarness.text(labels)) \(line.value) @\(line.timestampMs ?? timestampMs)")
        }
        return lines
    }
}
