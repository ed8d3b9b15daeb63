import ApusBytes
import Testing

@testable import ApusExposition

@Suite("Escaping of names") struct NameEscapingTests {
    @Test(
        "the four schemes, as the documentation has them",
        arguments: [
            ("no:escaping_required", "no:escaping_required", "no:escaping__required", "no:escaping_required"),
            ("mysystem.prod.west.cpu.load", "mysystem_prod_west_cpu_load", "mysystem_dot_prod_dot_west_dot_cpu_dot_load", "U__mysystem_2e_prod_2e_west_2e_cpu_2e_load"),
            ("mysystem.prod.west.cpu.load_total", "mysystem_prod_west_cpu_load_total", "mysystem_dot_prod_dot_west_dot_cpu_dot_load__total", "U__mysystem_2e_prod_2e_west_2e_cpu_2e_load__total"),
            ("http.status:sum", "http_status:sum", "http_dot_status:sum", "U__http_2e_status:sum"),
            ("label with 😱", "label_with__", "label__with____", "U__label_20_with_20__1f631_"),
            ("花火", "__", "____", "U___82b1__706b_"),
            ("1a", "_a", "__a", "U___31_a"),
            ("", "", "", ""),
        ])
    func schemes(name: String, underscores: String, dots: String, values: String) {
        let name = ByteString(name)
        #expect(NameEscaping.allowUTF8.escape(name) == name)
        #expect(NameEscaping.underscores.escape(name).description == underscores)
        #expect(NameEscaping.dots.escape(name).description == dots)
        #expect(NameEscaping.values.escape(name).description == values)
    }

    @Test("in label names a colon is no letter")
    func labels() {
        #expect(NameEscaping.underscores.escapeLabel("a:b") == "a_b")
        #expect(NameEscaping.values.escapeLabel("a:b") == "U__a_3a_b")
    }

    @Test("what comes out is classic, whatever goes in", arguments: NameEscaping.allCases.filter { $0 != .allowUTF8 })
    func alwaysClassic(scheme: NameEscaping) {
        var state: UInt64 = 7
        for _ in 0..<2000 {
            var bytes: [UInt8] = []
            for _ in 0...Int(state % 6) {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                bytes.append(UInt8(truncatingIfNeeded: state >> 33))
            }
            let metric = scheme.escape(ByteString(bytes)).bytes
            let label = scheme.escapeLabel(ByteString(bytes)).bytes
            let isClassic = TextFormat.isClassicMetricName(metric.span) && TextFormat.isClassicLabelName(label.span)
            #expect(isClassic, "\(bytes)")
        }
    }
}
