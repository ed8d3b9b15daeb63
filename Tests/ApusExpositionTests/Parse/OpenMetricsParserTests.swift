import ApusBytes
import ApusModel
import Testing

@testable import ApusExposition

@Suite("OpenMetrics text") struct OpenMetricsParserTests {
    /// Entries as short texts, one each.
    static func entries(_ text: String) throws(ExpositionError) -> [String] {
        let page = Array(text.utf8)
        var parser = OpenMetricsParser()
        var result: [String] = []
        while let entry = try parser.next(page.span) {
            switch entry {
            case .help(let name, let text): result.append("help \(name) \(text)")
            case .type(let name, let type): result.append("type \(name) \(type.rawValue)")
            case .unit(let name, let unit): result.append("unit \(name) \(unit)")
            case .series(let line):
                var text = "\(LabelSet(parser.labels(page.span))) \(line.value) \(line.timestampMs.map(String.init) ?? "-")"
                if let exemplar = line.exemplar {
                    let labels = LabelSet(parser.exemplarLabels(page.span))
                    text += " # \(labels) \(exemplar.value) \(exemplar.timestampMs.map(String.init) ?? "-")"
                }
                result.append(text)
            }
        }
        return result
    }

    static func failure(_ text: String) -> String? {
        do throws(ExpositionError) {
            _ = try entries(text)
            return nil
        } catch { return error.description }
    }

    @Test("reads families, samples with times in seconds, and exemplars") func reads() throws {
        let page = """
            # HELP a_seconds what\\nit is \\"so\\"
            # TYPE a_seconds histogram
            # UNIT a_seconds seconds
            a_seconds_bucket{le="1"} 2 1.5 # {trace="x",b="y"} 0.5 1520879607.789
            a_seconds_bucket{le="+Inf",} 3 -1
            a_seconds_sum 1e3
            # TYPE g gauge
            g{x="1"} 1 1700000000
            g{x="1"} 2.5 1700000000.001
            g{x="2"} NaN 1700000001
            {"dotted.name","quoted label"="v"} -Inf
            {"quoted label"="v","late.name"} +Inf
            # TYPE i info
            i_info{} 1
            # EOF

            """
        let expected = [
            "help a_seconds what\nit is \"so\"", "type a_seconds histogram", "unit a_seconds seconds",
            #"{__name__="a_seconds_bucket", le="1.0"} 2.0 1500 # {b="y", trace="x"} 0.5 1520879607789"#,
            #"{__name__="a_seconds_bucket", le="+Inf"} 3.0 -1000"#, #"{__name__="a_seconds_sum"} 1000.0 -"#, "type g gauge",
            #"{__name__="g", x="1"} 1.0 1700000000000"#, #"{__name__="g", x="1"} 2.5 1700000000001"#,
            #"{__name__="g", x="2"} nan(0x1) 1700000001000"#, #"{__name__="dotted.name", "quoted label"="v"} -inf -"#,
            #"{__name__="late.name", "quoted label"="v"} inf -"#, "type i info", #"{__name__="i_info"} 1.0 -"#,
        ]
        let found = try Self.entries(page)
        for (one, other) in zip(found, expected) { #expect(one == other) }
        #expect(found.count == expected.count)
    }

    @Test("says when a line repeats the series of the one before") func repeats() throws {
        let page = Array("a{b=\"c\"} 1 1\na{b=\"c\"} 2 2\na{b=\"c\"}x 3\n".utf8) + Array("# EOF".utf8)
        var parser = OpenMetricsParser()
        var seen: [Bool] = []
        for _ in 0..<2 {
            guard case .series(let line)? = try parser.next(page.span) else { break }
            seen.append(line.repeatsSeries)
            #expect(LabelSet(parser.labels(page.span)) == ["__name__": "a", "b": "c"])
        }
        #expect(seen == [false, true])
        var last = parser
        #expect(throws: ExpositionError.self) { try last.next(page.span) }
    }

    @Test("a type between two equal lines changes how bounds are written") func typeChange() throws {
        let lines = try Self.entries("h_bucket{le=\"1\"} 1\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\n# EOF\n")
        #expect(lines[0].contains("le=\"1\"") && lines[2].contains("le=\"1.0\""))
    }

    @Test(
        "refuses what the standard forbids, and says where",
        arguments: [
            ("a 1\n", "2:1: data does not end with # EOF"), ("", "1:1: data does not end with # EOF"),
            ("a 1\n# EOF\nb 2\n# EOF\n", "3:1: unexpected data after # EOF"),
            ("\na 1\n# EOF", "1:1: expected a valid start token"), ("a  1\n# EOF", "1:3: expected value"),
            ("# nothing\n# EOF", "1:1: unexpected comment"), ("# TYPE a untyped\n# EOF", "1:10: invalid metric type"),
            ("# UNIT a_seconds bytes\n# EOF", "1:18: unit \"bytes\" not a suffix"),
            ("a{b='c'} 1\n# EOF", "1:5: expected label value"),
            ("a{b=\"c\" } 1\n# EOF", "1:8: expected comma"), ("a 1 2 3\n# EOF", "1:6: expected next entry"),
            ("a 1 NaN\n# EOF", "1:5: invalid timestamp"), ("a 1 +Inf\n# EOF", "1:5: invalid timestamp"),
            ("a 0x1p3\n# EOF", "1:3: unsupported character in float"), ("a 1x\n# EOF", "1:3: parsing \"1x\": invalid syntax"),
            ("a 1 # {\n# EOF", "1:8: expected label name"), ("a 1 # b\n# EOF", "1:6: expected exemplar labels"),
            ("{b=\"c\"} 1\n# EOF", "1:1: metric name not set"), ("a{\"b\"} 1\n# EOF", "1:3: metric name already set"),
            ("a 1# EOF", "1:9: data does not end"), ("a{b=\"c\n# EOF", "1:5: expected label value"),
        ])
    func refuses(_ page: String, _ expected: String) {
        #expect(Self.failure(page)?.hasPrefix(expected) == true, "\(Self.failure(page) ?? "no error")")
    }

    @Test("damage never crashes it", arguments: 1...8) func fuzz(_ seed: UInt64) {
        let base = Array(
            "# TYPE a histogram\na_bucket{le=\"1\"} 2 1.5 # {t=\"x\"} 0.5 1\na_bucket{le=\"1\"} 3 2.5\n{\"b c\",d=\"\\\\\"} 1e9\n# EOF\n"
                .utf8)
        var state = seed
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        let tokens = [
            "", "\n", " ", "#", "# ", "{", "}", "\"", "\\", ",", "=", "1e999", "9999999999999999999999", "# EOF\n", "\u{0}", "é",
        ]
        for _ in 0..<400 {
            var text = base
            for _ in 0...random(3) {
                let at = random(text.count)
                text.replaceSubrange(at..<min(text.count, at + random(4)), with: Array(tokens[random(tokens.count)].utf8))
            }
            _ = Self.failure(String(decoding: text, as: UTF8.self))
        }
    }
}
