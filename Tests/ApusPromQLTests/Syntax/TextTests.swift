import ApusBytes
import Testing

@testable import ApusPromQL

@Suite("Numbers and strings as the language writes them") struct TextTests {
    @Test("durations read and print", arguments: [
        ("0s", 0, "0s"), ("1y", 31_536_000_000, "1y"), ("365d", 31_536_000_000, "1y"), ("8d", 691_200_000, "8d"), ("14d", 1_209_600_000, "2w"),
        ("1h30m", 5_400_000, "1h30m"), ("1m1ms", 60_001, "1m1ms"), ("90s", 90_000, "1m30s"),
    ])
    func durations(_ text: String, _ milliseconds: Int64, _ printed: String) throws {
        #expect(try DurationText.parse(Array(text.utf8)[...]).get() == milliseconds)
        #expect(DurationText.format(milliseconds) == printed)
        #expect(DurationText.format(-milliseconds) == (milliseconds == 0 ? "" : "-") + printed || milliseconds == 0)
    }

    @Test("numbers print without exponent, or with one") func numbers() {
        for (value, fixed, general) in [
            (1.0, "1", "1"), (0.1, "0.1", "0.1"), (1e21, "1000000000000000000000", "1e+21"), (1e-7, "0.0000001", "1e-07"),
            (-2.5e-5, "-0.000025", "-2.5e-05"), (1.2345e30, "1234500000000000000000000000000", "1.2345e+30"), (-0.0, "-0", "-0"),
            (.infinity, "+Inf", "+Inf"), (.nan, "NaN", "NaN"), (.leastNonzeroMagnitude, "0." + String(repeating: "0", count: 323) + "5", "5e-324"),
        ] {
            #expect(NumberText.fixed(value) == fixed)
            #expect(NumberText.general(value) == general)
        }
        #expect(NumberText.exact(1e30) == "1000000000000000019884624838656.000000")
        #expect(NumberText.exact(-9_223_372_036_854_775_808) == "-9223372036854775808.000000")
    }

    @Test("quoting and unquoting are inverse, for any bytes", arguments: 1...20)
    func quoting(seed: Int) {
        var random = SeededGenerator(state: UInt64(seed))
        for _ in 0..<200 {
            let bytes = (0..<Int.random(in: 0..<20, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
            #expect(unquoted(Array(quoted(bytes).utf8)[...]) == ByteString(bytes), "seed \(seed)")
        }
    }

    @Test("escapes", arguments: [
        (#""\a\b\f\n\r\t\v\\\"""#, [7, 8, 12, 10, 13, 9, 11, 92, 34] as [UInt8]), (#""\x41\101\u00e9\U0001F600""#, Array("AAé😀".utf8)),
        (#"'it\'s'"#, Array("it's".utf8)), (#"`a\n`"#, Array(#"a\n"#.utf8)), (#""\xff""#, [0xff]),
    ])
    func escapes(_ literal: String, _ bytes: [UInt8]) throws {
        let expression = try parseExpression(ByteString(literal))
        guard case .string(let value) = expression[expression.root].kind else { Issue.record("not a string"); return }
        #expect(value == ByteString(bytes))
    }
}
