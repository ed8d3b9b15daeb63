import ApusBytes
import Testing

private func parse(_ text: String) -> Double? { parseDouble(Array(text.utf8).span) }
private func parseDetailed(_ text: String) -> ParsedDouble { parseDoubleDetailed(Array(text.utf8).span) }

@Suite struct ParseDoubleTests {
    @Test(arguments: [
        ("0", 0.0), ("-0", -0.0), ("1", 1), ("+1", 1), (".5", 0.5), ("1.", 1), ("1e3", 1000), ("1E+03", 1000), ("1e-3", 0.001),
        ("12345678901234567890", 12345678901234567168), ("0.1", 0.1), ("0000123.4500", 123.45),
        ("1.7976931348623157e308", Double.greatestFiniteMagnitude), ("5e-324", Double.leastNonzeroMagnitude), ("1e-400", 0),
        ("9007199254740993", 9007199254740992), ("9007199254740993.0000000000000000001", 9007199254740994),
        ("inf", Double.infinity), ("+Inf", Double.infinity), ("-INFINITY", -Double.infinity),
        ("0x1p-3", 0.125), ("0X1.8P1", 3), ("-0x.8p0", -0.5),
    ])
    func accepted(_ text: String, _ value: Double) {
        #expect(parse(text)?.bitPattern == value.bitPattern)
    }

    @Test(arguments: [
        "", "-", "+", ".", "e5", "1e", "1e+", "1_000", "0x1", "0x", "0xp1", "infi", "+nan", "nano", "1.2.3", "12abc", " 1", "1 ",
        "0x1p", "--1", "1e5.0", "\u{661}",
    ])
    func malformed(_ text: String) { #expect(parseDetailed(text) == .malformed) }

    @Test(arguments: ["1e309", "-1e309", "1e18446744073709551616", "0x1p1024", "1" + String(repeating: "0", count: 400)])
    func outOfRange(_ text: String) { #expect(parseDetailed(text) == .outOfRange) }

    @Test func notANumberIsTheNormalOne() {
        for text in ["NaN", "nan", "NAN"] {
            #expect(parse(text)?.bitPattern == 0x7FF8_0000_0000_0001)
        }
    }

    /// The digit after 900 others still decides: halfway and a little more rounds up.
    @Test func digitsBeyondTheBufferCount() {
        let half = "9007199254740993." + String(repeating: "0", count: 900)
        #expect(parse(half) == 9007199254740992)
        #expect(parse(half + "1") == 9007199254740994)
    }

    @Test func agreesWithTheStandardLibrary() {
        var state: UInt64 = 12345
        for _ in 0..<20_000 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let value = Double(bitPattern: state)
            guard value.isFinite else { continue }
            let short = Double(Int64(truncatingIfNeeded: state >> 40)) / 1000
            for text in ["\(value)", "\(short)"] {
                let bytes = Array(text.utf8)
                #expect(parse(text)?.bitPattern == Double(text)?.bitPattern)
                var plain = 0.0
                let terminated = bytes + [0x0A]
                let taken = unsafe terminated.withUnsafeBufferPointer { buffer in
                    unsafe parsePlainDouble(buffer.baseAddress!, powersOfTen: PowersOfTen.table.values, into: &plain)
                }
                if taken > 0 { #expect(taken == bytes.count && plain.bitPattern == Double(text)?.bitPattern) }
            }
        }
    }
}
