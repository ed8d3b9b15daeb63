import ApusBytes
import ApusRegex
import Testing

@Suite("Patterns that Go refuses") struct GoSyntaxTests {
    @Test(
        "are refused in Go's words",
        arguments: [
            ("(", "missing closing ): `(`"), ("a)", "unexpected ): `a)`"), ("a(b", "missing closing ): `a(b`"), ("[a", "missing closing ]: `[a`"),
            ("x[]a", "missing closing ]: `[]a`"), ("*a", "missing argument to repetition operator: `*`"),
            ("a|*", "missing argument to repetition operator: `*`"), ("(+)", "missing argument to repetition operator: `+`"),
            ("a**", "invalid nested repetition operator: `**`"), ("a??*", "invalid nested repetition operator: `??*`"),
            ("a{2}{3}", "invalid nested repetition operator: `{2}{3}`"), ("a{1001}", "invalid repeat count: `{1001}`"),
            ("a{3,2}", "invalid repeat count: `{3,2}`"), ("(a{100}){11}", "invalid repeat count: `{11}`"),
            ("[z-a]", "invalid character class range: `z-a`"), ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
            ("\\p{Nope}", "invalid character class range: `\\p{Nope}`"), ("\\C", "invalid escape sequence: `\\C`"),
            ("\\8", "invalid escape sequence: `\\8`"), ("\\1", "invalid escape sequence: `\\1`"), ("\\x{110000}", "invalid escape sequence: `\\x{110000}`"),
            ("\\", "trailing backslash at end of expression: ``"), ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
            ("(?<=a)", "invalid or unsupported Perl syntax: `(?<`"), ("(?z)", "invalid or unsupported Perl syntax: `(?z`"),
            ("(?P<n", "invalid named capture: `(?P<n`"), ("(?P<n!>a)", "invalid named capture: `(?P<n!>`"), ("(?<>a)", "invalid named capture: `(?<>`"),
        ])
    func refused(_ pattern: String, _ message: String) {
        #expect { try AnchoredRegex(ByteString(pattern)) } throws: { String(describing: $0) == "error parsing regexp: " + message }
    }

    @Test("are refused when they are no UTF-8 or nest too deeply")
    func limits() {
        #expect(throws: RegexError.self) { try AnchoredRegex(ByteString([0x61, 0xFF])) }
        let deep = ByteString(String(repeating: "(", count: 5_000) + String(repeating: ")", count: 5_000))
        #expect(throws: RegexError.self) { try AnchoredRegex(deep) }
        let open = ByteString(String(repeating: "(", count: 1_000_000))
        #expect(throws: RegexError.self) { try AnchoredRegex(open) }
    }

    @Test(
        "are not: these Go takes",
        arguments: [
            "", "a{", "a{,2}", "a{2", "{", "x{01}", "^*", "(|a)*", "[]a]", "[a-\\x{7a}]", "[^-a]", "[a-]", "\\Qa*b\\E+", "\\pL", "\\p{Greek}", "(?i)a(?-i)b",
            "(?i:a)", "(?P<n>a)", "(?<n>a)", "\\x41", "\\101", "[[:alpha:]_]", "[[a]", "(?U)a+", "\\_", "a{0}", "(a{10}){100}", "测试", "\\.\\/", "a{1000}",
        ])
    func accepted(_ pattern: String) throws {
        _ = try AnchoredRegex(ByteString(pattern))
    }

    @Test("random bytes never crash the parser", arguments: 1...6) func fuzz(_ seed: UInt64) {
        var random = Generator(state: seed)
        let alphabet = Array("ab.*+?|()[]{}^$\\,-:1209xQEpPCdDsSwWiUm<>=!_é\u{FFFD}".utf8)
        for _ in 0..<2_000 {
            let bytes = (0..<random.below(16)).map { _ in alphabet[random.below(alphabet.count)] }
            _ = try? AnchoredRegex(ByteString(bytes))
        }
    }
}

/// A small deterministic generator.
struct Generator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return (state ^ (state >> 29)) &* 0xbf58_476d_1ce4_e5b9
    }
    mutating func below(_ bound: Int) -> Int { Int(next() >> 33) % bound }
}
