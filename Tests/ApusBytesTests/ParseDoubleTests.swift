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

    /// Goal: every number of digits and every exponent rounds as the C library rounds it, next to the middle between two
    /// doubles too. Method: random decimals, and the 17 to 19 digits around such middles.
    @Test("decimals of any length and size are rounded correctly", arguments: Range<UInt64>(0...3)) func rounding(_ seed: UInt64) {
        var state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 1
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        func check(_ text: String) {
            let wanted = Double(text)
            #expect(parse(text)?.bitPattern == (wanted?.isInfinite == true ? nil : wanted?.bitPattern), "\(text)")
            var plain = 0.0
            let terminated = Array(text.utf8) + [0x0A]
            // SAFETY: a newline ends the text.
            let taken = unsafe terminated.withUnsafeBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return 0 }
                return unsafe parsePlainDouble(base, powersOfTen: PowersOfTen.table.values, into: &plain)
            }
            if taken > 0 { #expect(taken == text.utf8.count && plain.bitPattern == wanted?.bitPattern, "\(text)") }
        }
        for _ in 0..<2_000 {
            var digits = "\(1 + random(9))"
            for _ in 0..<random(22) { digits += "\(random(10))" }
            check("\(digits)e\(random(700) - 350)")
            check("\(digits.prefix(1)).\(digits.dropFirst())0")
            // Whole numbers with 54 to 64 bits: many lie in the middle.
            let bits = 54 + random(11)
            let whole = (UInt64(1) << UInt64(bits - 1)) | UInt64(random(1 << 30)) << UInt64(bits - 53) | (random(2) == 0 ? UInt64(1) << UInt64(bits - 54) : 0)
            for delta in [0, 1, UInt64.max] { check("\(whole &+ delta)") }
        }
        for text in ["9007199254740993", "9007199254740992.5", "1e23", "8.5e22", "4.35", "2.2250738585072011e-308", "2.2250738585072014e-308",
            "4.9e-324", "1.7976931348623157e308", "1.7976931348623159e308", "18446744073709551615", "9999999999999999999", "1e-292", "1e-293", "1e308"]
        { check(text) }
    }
}
