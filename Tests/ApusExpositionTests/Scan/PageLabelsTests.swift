import ApusBytes
import ApusModel
import Testing

@testable import ApusExposition

@Suite("Labels of a line") struct PageLabelsTests {
    private func random(_ random: inout SeededGenerator, count: Int) -> [Label] {
        // Names that begin alike, and lengths around those that take another byte.
        (0..<count).map { _ in
            let name = ["a", "ab", "abcdefgh", "abcdefghi", "abcdefghij", "b\u{0}", "b", "z_long_name_of_a_label"].randomElement(using: &random) ?? ""
            let own = name + String(Int.random(in: 0...30, using: &random))
            let length = [0, 1, 5, 126, 127, 128, 129, 16_383, 16_384].randomElement(using: &random) ?? 0
            return Label(ByteString(own), ByteString([UInt8](repeating: UInt8(ascii: "v"), count: length)))
        }
    }

    @Test("make the set that they would make one by one, or leave it to the caller", arguments: Range<UInt64>(0...4))
    func sets(_ seed: UInt64) {
        var generator = SeededGenerator(state: seed)
        for _ in 0..<50 {
            let labels = random(&generator, count: Int.random(in: 0...7, using: &generator))
            let others = LabelSet(random(&generator, count: Int.random(in: 0...4, using: &generator)))
            let page = PageLabels(labels)
            #expect(page.labels == labels)
            #expect(LabelSet(page) == LabelSet(labels))
            let names = labels.map(\.name) + others.labels.map(\.name)
            let isUsual = Set(names).count == names.count && labels.allSatisfy { !$0.value.isEmpty }
            #expect(page.labelSet(with: others) == (isUsual ? LabelSet(labels + others.labels) : nil))
        }
    }

    @Test("more of them than are sorted in place are left to the caller too") func many() {
        let labels = (0..<100).map { Label(ByteString("l\($0)"), "v") }
        #expect(PageLabels(labels).labelSet() == nil)
        #expect(LabelSet(PageLabels(labels)) == LabelSet(labels))
    }

    @Test("give back the memory of an unusual line") func trims() {
        var labels = PageLabels([Label("a", ByteString([UInt8](repeating: 1, count: 1 << 20)))])
        labels.trim()
        #expect(labels.labels.isEmpty)
        labels.set([Label("b", "c")])
        #expect(labels.labels == [Label("b", "c")])
    }

    /// Goal: a bound whose form says that it need not be parsed is what parsing and writing makes of it.
    @Test("bounds need no parsing only where that changes nothing", arguments: Range<UInt64>(0...3)) func bounds(_ seed: UInt64) {
        var random = SeededGenerator(state: seed)
        let known = ["0", "-0", "00", "1", "01", "10", "999999", "1000000", "1.0", "1.00", "0.0", "0.5", "0.50", "0.0001", "0.00001", "+Inf", "Inf", "1e5", ".5", "5.", ""]
        for step in 0..<500 {
            var text = step < known.count ? known[step] : ""
            if step >= known.count {
                for _ in 0..<Int.random(in: 1...18, using: &random) { text += ["0", "0", "1", "9", "5", ".", "+"].randomElement(using: &random) ?? "" }
            }
            let bytes = ByteString(text)
            let parsed = parseDouble(bytes.bytes.span).map { ByteString(formatOpenMetricsNumber($0)) }
            switch boundForm(bytes.bytes.span) {
            case .canonical: #expect(parsed == bytes, "\(text)")
            case .whole: #expect(parsed == bytes + ".0", "\(text)")
            case .other: break
            }
            let page = Array("# TYPE h histogram\nh_bucket{x=\"\(text)\",le=\"\(text)\"} 1\n".utf8)
            var parser = TextParser()
            _ = try? parser.next(page.span)
            guard (try? parser.next(page.span)) != nil else { continue }
            var labels = PageLabels()
            labels.set(parser.parts, page.span, type: .histogram)
            #expect(labels.labels == [Label("__name__", "h_bucket"), Label("x", bytes), Label("le", parsed ?? bytes)])
        }
    }
}
