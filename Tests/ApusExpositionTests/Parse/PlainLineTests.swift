import ApusBytes
import ApusModel
import Testing

@testable import ApusExposition

/// The quick reader of plain lines against the parsers that know all forms: same entries, same errors, same labels.
@Suite("Plain lines") struct PlainLineTests {
    /// Everything that a parser says of a page, as texts.
    static func textEntries(_ page: [UInt8], plain: Bool) -> [String] {
        var parser = TextParser()
        parser.takesPlainLines = plain
        var result: [String] = []
        var reused = PageLabels()
        do throws(ExpositionError) {
            while let entry = try parser.next(page.span) {
                guard case .series(let line) = entry else {
                    result.append("\(entry) \(parser.offset)")
                    continue
                }
                let labels = parser.labels(page.span)
                reused.set(parser.parts, page.span, type: parser.currentType)
                #expect(reused.labels == labels)
                result.append("\(line.text) \(labels) \(line.value.bitPattern) \(String(describing: line.timestampMs)) \(parser.offset)")
            }
        } catch { result.append(error.description) }
        return result
    }

    static func openMetricsEntries(_ page: [UInt8], plain: Bool) -> [String] {
        var parser = OpenMetricsParser()
        parser.takesPlainLines = plain
        var result: [String] = []
        var reused = PageLabels()
        do throws(ExpositionError) {
            while let entry = try parser.next(page.span) {
                guard case .series(let line) = entry else {
                    result.append("\(entry) \(parser.offset)")
                    continue
                }
                let labels = parser.labels(page.span)
                reused.set(parser.parts, page.span, type: parser.currentType)
                #expect(reused.labels == labels)
                var text = "\(line.text) \(labels) \(line.value.bitPattern) \(String(describing: line.timestampMs)) \(parser.offset)"
                text += " \(line.repeatsSeries)"
                if let exemplar = line.exemplar {
                    let labels = parser.exemplarLabels(page.span)
                    reused.set(parser.exemplarPairs, page.span)
                    #expect(reused.labels == labels)
                    text += " # \(labels) \(exemplar.value.bitPattern) \(String(describing: exemplar.timestampMs))"
                }
                result.append(text)
            }
        } catch { result.append(error.description) }
        return result
    }

    static func compare(_ page: String, sourceLocation: SourceLocation = #_sourceLocation) {
        let bytes = Array(page.utf8)
        #expect(textEntries(bytes, plain: true) == textEntries(bytes, plain: false), "\(page.debugDescription)", sourceLocation: sourceLocation)
        for end in ["# EOF\n", "# EOF", ""] {
            let bytes = bytes + Array(end.utf8)
            #expect(
                openMetricsEntries(bytes, plain: true) == openMetricsEntries(bytes, plain: false), "\(page.debugDescription)",
                sourceLocation: sourceLocation)
        }
    }

    @Test("lines at the edge of what is plain are read alike", arguments: [
        "a 1\n", "a{} 1\n", "a{b=\"c\"} 1\n", "a{b=\"c\",} 1\n", "a{b=\"c\",,} 1\n", "a{,} 1\n", "a{b=\"c\" } 1\n", "a{ b=\"c\"} 1\n",
        "a {b=\"c\"} 1\n", "a{b=\"c\"d=\"e\"} 1\n", "a{b=\"c\"}1\n", "a  1\n", "a\t1\n", "a 1 \n", "a 1  \n", "a 1 2\n", "a 1 2 \n",
        "a 1 123456789012345678\n", "a 1 1234567890123456789\n", "a 1 99999999999999999999\n", "a 1 -2\n", "a 1 2.5\n", "a 1 1e3\n",
        "a +1\n", "a -0\n", "a 1.\n", "a .5\n", "a 1e\n", "a 1e400\n", "a NaN\n", "a nan\n", "a +Inf\n", "a -Inf\n", "a Inf\n", "a +Inf 1\n",
        "a NaN NaN\n", "a NaNx\n", "a 0x1p3\n", "a 1_0\n", "a 1\r\n", "a{b=\"x\ny\"} 1\n", "a{b=\"x\\\ny\"} 1\n", "a{b=\"\\\"\"} 1\n",
        "a{b=\"\\\\\"} 1\n", "a{b=\"\\n\\q\"} 1\n", "a{b=\"é\"} 1\n", "a{b=\"12345678é\"} 1\n", "a{b=\"\u{0}\"} 1\n", "a{b=\"c\"", "a{b=\"",
        "a{b=", "a{b", "a{", "a", "a{b=\"c\\", "a{b=\"c\\\n", "{\"a\"} 1\n", "a{\"b\"=\"c\"} 1\n", ":a:b 1\n", "a{b:c=\"d\"} 1\n", "a{0=\"c\"} 1\n",
        "a{__name__=\"b\"} 1\n", "a{b=\"\"} 1\n", "a{b=\"c\",b=\"d\"} 1\n", "a{b=\"c\"} 1 # {d=\"e\"} 2\n", "a 1 # {} 2 3\n",
        "a 1 2 # {d=\"e\"} 2 3.5\n", "a 1 # {d=\"e\"}\n", "a 1 # {d=\"e\"} \n", "a 1 # {d=\"e\"} x\n", "a 1 # {d=\"e\"} 1 # {d=\"e\"} 1\n", "a 1 #\n",
        "a 1 # \n", "a 1 # {\"d\"=\"e\"} 2\n", "a 1 #{d=\"e\"} 2\n", "a 1 1e300\n", "a 1 NaN # {} 1\n", "a 1\na 2\na nan\na nan\na +3\na +3 1\na 4 x\n",
        "a{b=\"c\"} 1\na{b=\"c\"} nan\nb 1\na{b=\"c\"} inf\n", "a{\"b\"=\"c\"} 1\na{\"b\"=\"c\"} 2\n", "a{b=\"x\ny\"} 1\na{b=\"x\ny\"} 2\n",
        "# TYPE a histogram\na{le=\"1\"} 1\na{le=\"1\"} 2\n# TYPE a gauge\na{le=\"1\"} 2\n", "# EOF\n", "\n# EOF\n", "a{b=\"\n# EOF\n",
    ])
    func edges(_ page: String) { Self.compare(page) }

    @Test("bytes that are no UTF-8 are refused alike", arguments: 0..<20) func invalidBytes(_ length: Int) {
        let start = Array("a{b=\"".utf8) + Array(repeating: UInt8(ascii: "x"), count: length)
        for tail in [[0xFF], [0xC3], [0xC3, 0x28], [0xC3, 0xA9], [0xF0, 0x9F, 0x98, 0x80], [0x5C, 0xC3, 0xA9], [0x5C, 0xFF]] as [[UInt8]] {
            let page = start + tail + Array("\"} 1\n".utf8)
            #expect(Self.textEntries(page, plain: true) == Self.textEntries(page, plain: false))
            let ended = page + Array("# EOF\n".utf8)
            #expect(Self.openMetricsEntries(ended, plain: true) == Self.openMetricsEntries(ended, plain: false))
        }
    }

    @Test("any page made of pieces is read alike", arguments: Range<UInt64>(0...9)) func pieces(_ seed: UInt64) {
        var random = SeededGenerator(state: seed)
        let pieces = [
            "a", "b_c", "le", "{", "}", "\"", "=", ",", " ", " ", "\n", "\n", "1", "2.5", "\\", "\\n", "\"x\"", "=\"y\"", "# ", "# TYPE a histogram\n",
            " # {", "+Inf", "é", "\t", "a{b=\"c\"} 1\n", "a{b=\"c\",le=\"5\"} 17 3\n", "a 1 # {t=\"0123456789abcdef\"} 2 3.5\n", "# EOF\n", "e5", "-",
        ]
        for _ in 0..<100 {
            var page = ""
            for _ in 0..<Int.random(in: 1...12, using: &random) { page += pieces.randomElement(using: &random) ?? "" }
            Self.compare(page)
        }
    }

    /// Goal: no length of name or value, and no place of an escape, shifts a label. The labels are known beforehand.
    @Test("gives back the labels that a line was made of", arguments: Range<UInt64>(0...5)) func labels(_ seed: UInt64) throws {
        var random = SeededGenerator(state: seed)
        let letters = Array("abcxyzABC_0123456789".utf8)
        let any = Array("abc\"\\\n xyz{},=#".utf8).map { [$0] } + [Array("é".utf8), Array("日".utf8), Array("😀".utf8)]
        func name() -> ByteString {
            ByteString([UInt8(ascii: "n")] + (0..<Int.random(in: 0...20, using: &random)).map { _ in letters.randomElement(using: &random) ?? 0 })
        }
        for isOpenMetrics in [false, true] {
            var page: [UInt8] = []
            var expected: [([Label], Double, Int64?)] = []
            for _ in 0..<100 {
                var labels = [Label("__name__", name())]
                for _ in 0..<Int.random(in: 0...6, using: &random) {
                    let value = (0..<Int.random(in: 0...30, using: &random)).flatMap { _ in any.randomElement(using: &random) ?? [] }
                    labels.append(Label(name(), ByteString(value)))
                }
                page += labels[0].value.bytes
                if labels.count > 1 {
                    let pairs = labels.dropFirst().map { label -> [UInt8] in
                        let value = label.value.description.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
                        return label.name.bytes + Array("=\"\(value)\"".utf8)
                    }
                    page += Array("{".utf8) + pairs.joined(separator: [UInt8(ascii: ",")]) + Array("}".utf8)
                }
                let value = Double(Int.random(in: -1_000_000...1_000_000, using: &random)) / 64
                let time: Int64? = Bool.random(using: &random) ? Int64.random(in: 0...2_000_000_000, using: &random) * 1000 : nil
                page += Array(" \(value)".utf8)
                if let time { page += Array(" \(isOpenMetrics ? time / 1000 : time)".utf8) }
                page.append(0x0A)
                expected.append((labels, value, time))
            }
            var index = 0
            func check(_ labels: [Label], _ value: Double, _ time: Int64?) {
                #expect(labels == expected[index].0 && value == expected[index].1 && time == expected[index].2, "seed \(seed), line \(index)")
                index += 1
            }
            if isOpenMetrics {
                page += Array("# EOF\n".utf8)
                var parser = OpenMetricsParser()
                while case .series(let line)? = try parser.next(page.span) { check(parser.labels(page.span), line.value, line.timestampMs) }
            } else {
                var parser = TextParser()
                while case .series(let line)? = try parser.next(page.span) { check(parser.labels(page.span), line.value, line.timestampMs) }
            }
            #expect(index == expected.count)
        }
    }

    @Test("another page than before, or a place inside a line, is safe") func otherPages() throws {
        let long = Array("name_of_a_metric{label=\"with a long value\"} 1\n# EOF\n".utf8)
        let short = Array("name 1\n# EOF".utf8)
        var parser = OpenMetricsParser()
        _ = try parser.next(long.span)
        for offset in 0..<short.count {
            parser.move(to: offset, currentType: nil)
            _ = try? parser.next(short.span)
        }
        var text = TextParser()
        for offset in 0..<long.count {
            text.offset = offset
            _ = try? text.next(long.span)
        }
    }
}
