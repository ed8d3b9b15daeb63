import ApusModel
import Testing

@testable import ApusExposition

/// Examples are the draft's: <https://prometheus.io/docs/specs/om/open_metrics_spec_2_0/>.
@Suite("Pages of OpenMetrics 2.0") struct OpenMetrics2ScanTests {
    private func scan(_ page: String, _ configure: (inout PageScanner.Options) -> Void = { _ in }) throws(ScanError) -> [String] {
        let harness = ScanHarness(.openMetrics2)
        harness.options.takesStartTimestamps = true
        configure(&harness.options)
        return try harness.scan(Array((page + "\n# EOF\n").utf8))
    }

    @Test func numbers() throws {
        #expect(
            try scan(
                """
                # TYPE foo counter
                # UNIT foo seconds
                foo 17.0 1520879607.789 st@1520430000.123 # {trace_id="KOO5S4vxi0o"} 0.67 1520879606.1
                bar_total 1 st@2
                {"a.b","c.d"="e"} -Inf 3
                plain 0
                """) == [
                    "foo{} 17.0 @1520879607789 since 1520430000123", "bar_total{} 1.0 @1000 since 2000", "a.b{c.d=e} -inf @3000",
                    "plain{} 0.0 @1000", "foo{} # {trace_id=KOO5S4vxi0o} 0.67 @1520879606100",
                ])
    }

    @Test func summaries() throws {
        #expect(
            try scan(#"a{path="/"} {count:34,sum:479.3,quantile:[0.95:2.5,1:NaN]} st@1.5"#) == [
                "a_count{path=/} 34.0 @1000 since 1500", "a_sum{path=/} 479.3 @1000 since 1500",
                "a{path=/,quantile=0.95} 2.5 @1000 since 1500", "a{path=/,quantile=1.0} nan(0x1) @1000 since 1500",
            ])
        #expect(try scan("a {count:0,sum:0,quantile:[]}") == ["a_count{} 0.0 @1000", "a_sum{} 0.0 @1000"])
    }

    private static let both =
        "h {count:2,sum:1.2e2,schema:0,zero_threshold:1e-4,zero_count:0,positive_spans:[1:2],positive_buckets:[1,1],bucket:[0.5:1,1:2,+Inf:2]}"
        + #" # {} 0.4 5 # {t="x"} 0.7 6 # {t="y"} 0.9 7"#

    @Test func histogramsOfBothKinds() throws {
        let classic = [
            "h_count{} 2.0 @1000", "h_sum{} 120.0 @1000", "h_bucket{le=0.5} 1.0 @1000", "h_bucket{le=1.0} 2.0 @1000",
            "h_bucket{le=+Inf} 2.0 @1000", "h_bucket{le=0.5} # {} 0.4 @5000", "h_bucket{le=1.0} # {t=y} 0.9 @7000",
        ]
        #expect(try scan(Self.both) { $0.readsNativeHistograms = false } == classic)
        let native = try scan(Self.both)
        #expect(native.count == 4 && native[0].hasPrefix("h{} ") && native[0].contains("count:2"))
        let all = try scan(Self.both) { $0.keepsClassicHistograms = true }
        #expect(all.count == 5 + 1 + 2 + 3)
        let converted = try scan(Self.both) {
            $0.readsNativeHistograms = false
            $0.convertsClassicHistograms = true
        }
        #expect(converted.count == 4 && converted[0].hasPrefix("h{} "))
    }

    @Test func gaugeHistograms() throws {
        #expect(
            try scan("g {gcount:42,gsum:-3289.3,bucket:[0.01:20,+Inf:42]}").prefix(2) == ["g_gcount{} 42.0 @1000", "g_gsum{} -3289.3 @1000"])
        let floats = try scan("g {gcount:0.01,gsum:2.0,schema:0,zero_threshold:1e-4,zero_count:0.0,positive_spans:[1:2],positive_buckets:[0.005,0.005]}")
        #expect(floats.count == 1)
    }

    @Test(arguments: [
        "a {count:1}", "a {count:1,sum:1}", "a {count:1,sum:1,bucket:[1:1]}", "a {count:1,sum:1,bucket:[2:1,1:1,+Inf:1]}",
        "a {count:1,count:1,sum:1,bucket:[+Inf:1]}", "a {gcount:1,sum:1,bucket:[+Inf:1]}", "a {count:1,sum:1,foo:1,bucket:[+Inf:1]}",
        "a {count:1,sum:1,bucket:[+Inf:1]", "a {count:1,sum:1,bucket:[+Inf:1", "a {", "a {}", "a {count:,sum:1,bucket:[+Inf:1]}",
        "a { count:1,sum:1,bucket:[+Inf:1]}", "a {count:1,sum:1,schema:9,zero_threshold:0,zero_count:0}",
        "a {count:1,sum:1,schema:0,zero_threshold:0,zero_count:0,positive_spans:[0:4294967295],positive_buckets:[1]}",
        "a {count:1,sum:1,schema:0,zero_threshold:0,zero_count:0,positive_spans:[0:1,-5:1],positive_buckets:[1,1]}",
        "a 1 st@", "a 1 st@x", "a 1 2 3", "a 1 st@1 2", "a 1 # {} ", "a 1 #", "# foo", "a 1 # {} 1 2 3",
    ])
    func refused(_ line: String) {
        #expect(throws: ScanError.self) { try scan(line) }
    }

    @Test func knownPagesAreNotResolvedAgain() throws {
        let harness = ScanHarness(.openMetrics2)
        let page = Array((Self.both + "\n# EOF\n").utf8)
        _ = try harness.scan(page)
        _ = harness.scanner.commit(harness.scratch)
        _ = try harness.scan(page)
        #expect(harness.scanner.counts.added == 0 && harness.scanner.counts.scraped == 1)
    }

    @Test func typeAndUnitLabels() throws {
        let harness = ScanHarness(.openMetrics)
        harness.options.addsTypeAndUnitLabels = true
        let page = """
            # TYPE a_seconds counter
            # UNIT a_seconds seconds
            a_seconds_total{__type__="gauge",__unit__="x"} 1
            other 2
            # HELP b Text.
            b{__type__="gauge"} 3
            # EOF

            """
        #expect(
            try harness.scan(Array(page.utf8)) == [
                "a_seconds_total{__type__=counter,__unit__=seconds} 1.0 @1000", "other{} 2.0 @1000", "b{__type__=gauge} 3.0 @1000",
            ])
        _ = harness.scanner.commit(harness.scratch)
        // Another type makes another series, of the same line.
        let changed = page.replacing("a_seconds counter", with: "a_seconds unknown")
        #expect(try harness.scan(Array(changed.utf8)).first == "a_seconds_total{__type__=gauge,__unit__=seconds} 1.0 @1000")
    }
}
