import ApusBytes
import Testing

@testable import ApusServer

@Suite("Parameters") struct ParametersTests {
    @Test(
        "times: seconds with a fraction, RFC 3339, and the limits",
        arguments: [
            ("0", 0), ("1700000000", 1_700_000_000_000), ("1700000000.123", 1_700_000_000_123), ("-1.5", -1_500),
            ("1.0006", 1_001), ("1.0004", 1_000), ("1e3", 1_000_000), ("2015-06-03T13:21:58.555Z", 1_433_337_718_555),
            ("2015-06-03T14:21:58.555+01:00", 1_433_337_718_555), ("2015-06-03T13:21:58Z", 1_433_337_718_000),
            ("1969-12-31T23:59:59.5Z", -500), ("2024-02-29T00:00:00Z", 1_709_164_800_000),
            ("0000-01-01T00:00:00Z", -62_167_219_200_000),
            ("-292273086-05-16T16:47:06Z", TimeLimits.minimumMs), ("292277025-08-18T07:12:54.999999999Z", TimeLimits.maximumMs),
            ("1e30", TimeLimits.maximumMs), ("-Inf", TimeLimits.minimumMs),
        ] as [(ByteString, Int64)])
    func times(text: ByteString, expected: Int64) throws { #expect(try parseTime(text) == expected) }

    @Test(
        "what is no time",
        arguments: ["", "x", "yesterday", "NaN", "2015-02-29T00:00:00Z", "2015-06-03T24:00:00Z", "2015-06-03", "2015-06-03T13:21:58"]
            as [ByteString])
    func badTimes(text: ByteString) {
        #expect(throws: APIError(.badData, "cannot parse \"\(text)\" to a valid timestamp")) { try parseTime(text) }
    }

    @Test(
        "durations: seconds with a fraction, or units",
        arguments: [
            ("15", 15_000_000_000), ("0.5", 500_000_000), ("5m", 300_000_000_000), ("1h30m", 5_400_000_000_000), ("0", 0),
            ("-1", -1_000_000_000), ("0.000001", 1_000),
        ] as [(ByteString, Int64)])
    func durations(text: ByteString, expectedNs: Int64) throws { #expect(try parseDurationNs(text) == expectedNs) }

    @Test(
        "what is no duration",
        arguments: [
            ("", #"cannot parse "" to a valid duration"#), ("x", #"cannot parse "x" to a valid duration"#),
            ("5", nil), ("1e300", #"cannot parse "1e300" to a valid duration. It overflows int64"#),
            ("NaN", #"cannot parse "NaN" to a valid duration"#),
        ] as [(ByteString, String?)])
    func badDurations(text: ByteString, message: String?) {
        do {
            _ = try parseDurationNs(text)
            #expect(message == nil)
        } catch {
            #expect(error.message == message)
        }
    }

    @Test(
        "times are written as RFC 3339, trailing zeros cut",
        arguments: [
            (0, "1970-01-01T00:00:00Z"), (1_433_337_718_550, "2015-06-03T13:21:58.55Z"), (-500, "1969-12-31T23:59:59.5Z"),
            (951_782_400_001, "2000-02-29T00:00:00.001Z"),
        ])
    func writesTimes(ms: Int64, expected: String) { #expect(formatRFC3339(ms: ms) == expected) }

    @Test("what is written is read back", arguments: 0..<200)
    func roundTrip(seed: Int64) throws {
        let ms = (seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407) % 60_000_000_000_000
        #expect(parseRFC3339(ByteString(formatRFC3339(ms: ms))) == ms)
    }

    @Test("the Date header") func httpDate() {
        #expect(formatHTTPDate(ms: 784_111_777_000) == "Sun, 06 Nov 1994 08:49:37 GMT")
        #expect(formatHTTPDate(ms: 1_709_208_000_999) == "Thu, 29 Feb 2024 12:00:00 GMT")
    }

    @Test(
        "names of labels come escaped",
        arguments: [
            ("job", "job"), ("U__a_2e_b", "a.b"), ("U__a__b", "a_b"), ("U__", ""), ("U___1F600_", "😀"), ("U__a_2e", "U__a_2e"),
            ("U__a_zz_", "U__a_zz_"), ("U__a_", "U__a_"), ("U__a_d800_", "U__a_d800_"), ("U_a", "U_a"),
        ] as [(ByteString, ByteString)])
    func labelNames(text: ByteString, expected: ByteString) { #expect(unescapedLabelName(text) == expected) }

    @Test("integers as Go reads them") func integers() throws {
        #expect(try parseInteger("-12") == -12)
        #expect(try parseInteger("+7") == 7)
        #expect(throws: IntegerError(message: #"strconv.Atoi: parsing "x": invalid syntax"#)) { try parseInteger("x") }
        #expect(throws: IntegerError(message: #"strconv.Atoi: parsing "": invalid syntax"#)) { try parseInteger("") }
        #expect(throws: IntegerError(message: #"strconv.Atoi: parsing "9223372036854775808": value out of range"#)) {
            try parseInteger("9223372036854775808")
        }
        #expect(try parseInteger("-9223372036854775808") == .min)
    }

    @Test("text is quoted as Go quotes it")
    func quotes() {
        #expect(goQuoted(ByteString([0x61, 0xFF, 0x0A, 0x22, 0x05])) == #""a\xff\n\"\x05""#)
        #expect(goQuoted(ByteString("é😀\u{200B}")) == "\"é😀\\u200b\"")
    }
}
