import ApusModel
import Testing

@Suite("Durations") struct DurationTests {
    @Test(
        "are read in whole units, long before short",
        arguments: [
            ("0", 0), ("0s", 0), ("15s", 15_000), ("1h30m", 5_400_000), ("1y2w3d4h5m6s7ms", 31_536_000_000 + 1_209_600_000 + 259_200_000 + 14_706_007),
            ("10y", 315_360_000_000), ("324ms", 324), ("04s", 4_000), ("292y", 9_208_512_000_000),
        ] as [(String, Int64)])
    func parses(_ text: String, _ milliseconds: Int64) throws {
        #expect(try parseDuration(text) == milliseconds)
    }

    @Test(
        "that are none are refused with Prometheus's text",
        arguments: [
            ("", "empty duration string"), ("1", "not a valid duration string: \"1\""), ("1s1h", "not a valid duration string: \"1s1h\""),
            ("1d1d", "not a valid duration string: \"1d1d\""), ("1.5h", "not a valid duration string: \"1.5h\""),
            ("-1h", "not a valid duration string: \"-1h\""), ("1h ", "not a valid duration string: \"1h \""),
            ("ms", "not a valid duration string: \"ms\""), ("1\n", "not a valid duration string: \"1\\n\""),
            ("300y", "duration out of range"), ("99999999999999999999s", "duration out of range"), ("9223372036854775807y", "duration out of range"),
        ])
    func refuses(_ text: String, _ message: String) {
        #expect { try parseDuration(text) } throws: { String(describing: $0) == message }
    }

    @Test(
        "are written with weeks and years only when those say all",
        arguments: [
            (0, "0s"), (15_000, "15s"), (90_000, "1m30s"), (5_400_000, "1h30m"), (604_800_000, "1w"), (691_200_000, "8d"), (31_536_000_000, "1y"),
            (1, "1ms"), (-60_000, "-1m"),
        ] as [(Int64, String)])
    func formats(_ milliseconds: Int64, _ text: String) {
        #expect(formatDuration(milliseconds) == text)
    }

    @Test("round-trip", arguments: [1, 7, 4711]) func roundTrip(_ seed: UInt64) throws {
        var state = seed
        for _ in 0..<2_000 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let milliseconds = Int64(state >> 22)
            #expect(try parseDuration(formatDuration(milliseconds)) == milliseconds)
        }
    }
}
