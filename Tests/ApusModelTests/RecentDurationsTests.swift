import ApusModel
import Testing

@Suite("Recent durations") struct RecentDurationsTests {
    @Test("the last one of a thing is known, in whole microseconds, up to a second")
    func last() {
        let durations = RecentDurations(capacity: 64)
        #expect(durations.last(hash: 0xABCD_0000_0000_0001) == nil)
        durations.note(hash: 0xABCD_0000_0000_0001, ns: 12_345)
        #expect(durations.last(hash: 0xABCD_0000_0000_0001) == 13_000)
        durations.note(hash: 0xABCD_0000_0000_0001, ns: 0)
        #expect(durations.last(hash: 0xABCD_0000_0000_0001) == 1_000)
        durations.note(hash: 0xABCD_0000_0000_0001, ns: .max)
        #expect(durations.last(hash: 0xABCD_0000_0000_0001) == 1_048_575_000)
    }

    @Test("what comes later to the same place drives out what was there")
    func collision() {
        let durations = RecentDurations(capacity: 16)
        durations.note(hash: 0x0100_0000_0000_0003, ns: 5_000)
        durations.note(hash: 0x0200_0000_0000_0003, ns: 9_000)
        #expect(durations.last(hash: 0x0100_0000_0000_0003) == nil)
        #expect(durations.last(hash: 0x0200_0000_0000_0003) == 10_000)
    }

    @Test("a hash of zero is nothing special")
    func zero() {
        let durations = RecentDurations()
        #expect(durations.last(hash: 0) == nil)
        durations.note(hash: 0, ns: 1)
        #expect(durations.last(hash: 0) == 1_000)
    }
}
