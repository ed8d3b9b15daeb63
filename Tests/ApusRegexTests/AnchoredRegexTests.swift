import ApusBytes
@testable import ApusRegex
import Testing

@Suite("Anchored regular expressions") struct AnchoredRegexTests {
    @Test(
        "match the whole value",
        arguments: [
            ("a", "a", true), ("a", "ab", false), ("", "", true), ("", "a", false), ("a|b", "b", true), ("a|b", "ab", false), (".*", "", true),
            (".*", "a\nb", true), (".+", "", false), (".+", "\n", true), ("a.*", "abc", true), ("a.*", "ba", false), (".*c", "abc", true),
            ("a.+c", "ac", false), ("a.+c", "abc", true), (".*b.*", "abc", true), (".+b.+", "ab", false), (".+b.+", "abc", true), ("(?i)abc", "aBc", true),
            ("a?b", "b", true), ("ab*", "a", true), ("ab*.*", "ax", true), ("foo|.*bar", "xbar", true), ("1\\.2", "1.2", true), ("1\\.2", "1x2", false),
            ("(a|b)c", "bc", true), ("prefix[0-9]+", "prefix12", true), ("prefix[0-9]+", "pre12", false), ("é", "é", true), ("é", "e\u{301}", false),
            ("aba|a", "a", true), ("|a", "", true), ("a|", "", true), ("^a$", "a", true), ("a.*b.*c", "aXbYc", true),
        ])
    func matches(_ pattern: String, _ value: String, _ isMatch: Bool) throws {
        #expect(try AnchoredRegex(ByteString(pattern)).matches(Array(value.utf8).span) == isMatch)
    }

    @Test("read a byte that is no UTF-8 as U+FFFD") func invalidBytes() throws {
        let value: [UInt8] = [0x61, 0xFF, 0x62]
        for pattern in ["a.b", "a.*b", "a\u{FFFD}b", "a[^x]b", ".*", "a.+"] as [ByteString] {
            #expect(try AnchoredRegex(pattern).matches(value.span), "\(pattern)")
        }
        #expect(try !AnchoredRegex("ab").matches(value.span))
        #expect(try AnchoredRegex("a(.)(b)").expand(template: "$2$1", in: value.span) == ByteString([0x62, 0xFF]))
    }

    @Test("know their literals") func literals() throws {
        #expect(try AnchoredRegex("a|b|a").literalValues == ["a", "b"])
        #expect(try AnchoredRegex("a\\.b").literalValues == ["a.b"])
        #expect(try AnchoredRegex("a.b").literalValues == nil)
        #expect(try AnchoredRegex("abc.*").literalPrefix == "abc")
        #expect(try AnchoredRegex("abc[0-9]*").literalPrefix == "abc")
        #expect(try AnchoredRegex("abc*").literalPrefix == "ab")
        #expect(try AnchoredRegex(".*").matchesEverything)
        #expect(try AnchoredRegex("a?").matchesEmpty)
    }

    @Test(
        "expand templates as Go does",
        arguments: [
            ("(.*)", "x$1y", "v", "x"), ("(.*)", "x${1}y", "v", "xvy"), ("(.*)", "$1", "", ""), ("f(.*)", "ch${1}-ch$1", "foo", "choo-choo"), ("(a)(b)", "$2$1$3", "ab", "ba"),
            ("(a)", "$1x", "a", ""), ("(a)", "${1}x", "a", "ax"), ("(?P<n>a)", "${n}$n-", "a", "aa-"), ("(?<n>a)", "$n", "a", "a"), ("a", "$0$$", "a", "a$"),
            ("(a)", "$", "a", "$"), ("(a)", "${", "a", "${"), ("(a)", "${}", "a", "${}"), ("(a)", "$-$1", "a", "$-a"), ("(a)|b", "[$1]", "b", "[]"),
            ("(a)", "$01", "a", ""), (".*", "$0$1", "z", "z"), ("(.*)", "$0", "z", "z"),
        ])
    func expands(_ pattern: String, _ template: String, _ value: String, _ result: String) throws {
        #expect(try AnchoredRegex(ByteString(pattern)).expand(template: ByteString(template), in: Array(value.utf8).span) == ByteString(result))
    }

    @Test("expand nothing without a match") func noMatch() throws {
        #expect(try AnchoredRegex("(a)").expand(template: "$1", in: Array("b".utf8).span) == nil)
    }
}

@Suite("Fast paths of regular expressions") struct RegexShapePropertyTests {
    /// Goal: no shape answers otherwise than the engine. Method: random patterns of the pieces that shapes know, and
    /// random short values, from a seed that a failure prints.
    @Test("agree with the engine", arguments: 1...12) func agrees(_ seed: UInt64) throws {
        var random = Generator(state: seed)
        let pieces = ["a", "b", "ab", ".*", ".+", "|", "a*", "b+", "a?", "(a)", "(.*)", "[ab]", "\\.", "é", "(a|b)", "a{2}", "\\d", "^", "$", "(?i)", "\u{FFFD}", "\\Qa|b\\E"]
        let letters: [[UInt8]] = ["a", "b", "A", ".", "é", "|", "\n", "\u{FFFD}"].map { Array($0.utf8) } + [[0xFF], [0xC3], [0xA9]]
        for _ in 0..<300 {
            let pattern = ByteString((0..<random.below(5)).map { _ in pieces[random.below(pieces.count)] }.joined())
            guard let regex = try? AnchoredRegex(pattern) else { continue }
            let model = try AnchoredRegex(withoutShape: pattern)
            for _ in 0..<30 {
                let value = (0..<random.below(5)).flatMap { _ in letters[random.below(letters.count)] }
                #expect(regex.matches(value.span) == model.matches(value.span), "\(pattern) on \(value)")
                let template: ByteString = "<$0|$1>"
                #expect(
                    regex.expand(template: template, in: value.span) == model.expand(template: template, in: value.span), "\(pattern) on \(value)")
                if let literals = regex.literalValues {
                    #expect(literals.contains(ByteString(value)) == regex.matches(value.span))
                }
            }
        }
    }
}
