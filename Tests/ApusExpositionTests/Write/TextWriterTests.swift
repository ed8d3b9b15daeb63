import ApusBytes
import ApusModel
import Testing

@testable import ApusExposition

@Suite("Text format, writing") struct TextWriterTests {
    private func text(_ write: (inout [UInt8]) -> Void) -> String {
        var bytes: [UInt8] = []
        write(&bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test("comment lines")
    func comments() {
        #expect(text { $0.appendHelpLine(name: "a_total", help: "x\\y\nz \"q\"") } == "# HELP a_total x\\\\y\\nz \"q\"\n")
        #expect(text { $0.appendHelpLine(name: "a.b", help: "") } == "# HELP \"a.b\" \n")
        #expect(text { $0.appendTypeLine(name: "a", type: .unknown) } == "# TYPE a untyped\n")
        #expect(text { $0.appendTypeLine(name: "a\"b", type: .counter) } == "# TYPE \"a\\\"b\" counter\n")
    }

    @Test("every type has a word of the 0.0.4 format", arguments: MetricType.allCases)
    func types(type: MetricType) {
        #expect(["counter", "gauge", "histogram", "summary", "untyped"].contains("\(type.textFormatName)"))
    }

    @Test("series heads, bare and quoted, closed and open")
    func heads() {
        let labels = Array(#"x="1""#.utf8)
        #expect(text { $0.appendSeriesHead(name: "a", labels: []) } == "a ")
        #expect(text { $0.appendSeriesHead(name: "a", suffix: "_sum", labels: labels) } == "a_sum{x=\"1\"} ")
        #expect(text { $0.appendSeriesHead(name: "a", suffix: "_bucket", labels: labels, open: true) } == "a_bucket{x=\"1\",")
        #expect(text { $0.appendSeriesHead(name: "a", labels: [], open: true) } == "a{")
        #expect(text { $0.appendSeriesHead(name: "a.b", suffix: "_sum", labels: []) } == "{\"a.b_sum\"} ")
        #expect(text { $0.appendSeriesHead(name: "a.b", labels: labels) } == "{\"a.b\",x=\"1\"} ")
        #expect(text { $0.appendSeriesHead(name: "a.b", labels: labels, open: true) } == "{\"a.b\",x=\"1\",")
        #expect(text { $0.appendSeriesHead(name: "a.b", labels: [], open: true) } == "{\"a.b\",")
    }

    @Test("label pairs escape and never let bad UTF-8 through")
    func labelPairs() {
        #expect(text { $0.appendLabelPair(name: "x", value: "a\\b\"c\nd") } == #"x="a\\b\"c\nd""#)
        #expect(text { $0.appendLabelPair(name: "x.y", value: "") } == #""x.y"="""#)
        var bytes: [UInt8] = []
        bytes.appendLabelPair(name: "x", value: ByteString([0x61, 0xC3]))
        #expect(ByteString(bytes).isValidUTF8)
    }

    @Test(
        "values end their line",
        arguments: [(1_000_000, "1000000\n"), (0.5, "0.5\n"), (.nan, "NaN\n"), (.infinity, "+Inf\n"), (1e21, "1e+21\n")]
            as [(Double, String)])
    func values(value: Double, expected: String) { #expect(text { $0.appendValueLine(value) } == expected) }

    @Test(
        "which names are classic",
        arguments: [
            ("a", true, true), ("_a9", true, true), ("a:b", true, false), ("9a", false, false), ("", false, false),
            ("a-b", false, false), ("é", false, false),
        ])
    func names(name: String, metric: Bool, label: Bool) {
        // Spans cannot pass through the macro.
        let bytes = Array(name.utf8)
        let isMetricName = TextFormat.isClassicMetricName(bytes.span)
        let isLabelName = TextFormat.isClassicLabelName(bytes.span)
        #expect(isMetricName == metric)
        #expect(isLabelName == label)
    }
}
