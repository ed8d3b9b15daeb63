import Testing

@testable import ApusScrape

@Suite struct ScrapeScheduleTests {
    private func scrape(_ key: UInt64, _ deadlineNs: UInt64) -> ScrapeSchedule.Due {
        .init(key: key, kind: .scrape, deadlineNs: deadlineNs)
    }

    @Test func targetsAreDueAtTheirTicksAndLateOnesDoNotShift() {
        var schedule = ScrapeSchedule()
        schedule.add(1, everyNs: 100, firstNs: 10)
        schedule.add(2, everyNs: 30, firstNs: 20)
        #expect(schedule.takeDue(atNs: 9) == [])
        #expect(schedule.nextNs == 10)
        #expect(schedule.takeDue(atNs: 25) == [scrape(1, 10), scrape(2, 20)])
        #expect(schedule.nextNs == 50)
        // Long after: each is due once, and planned again on its own grid.
        #expect(schedule.takeDue(atNs: 1000).map(\.key).sorted() == [1, 2])
        #expect(schedule.nextNs == 1010)
        #expect(schedule.takeDue(atNs: 1010) == [scrape(1, 1010), scrape(2, 1010)])
    }

    @Test func aRemovedTargetEndsTwoTicksAndATenthAfterItWasLastDue() {
        var schedule = ScrapeSchedule()
        schedule.add(7, everyNs: 100, firstNs: 0)
        _ = schedule.takeDue(atNs: 0)
        let missed = schedule.remove(7)
        #expect(missed == 100)
        schedule.addEndOfRun(7, missedTickNs: 100, intervalNs: 100)
        #expect(schedule.count == 0)
        #expect(schedule.takeDue(atNs: 209) == [])
        #expect(schedule.takeDue(atNs: 210) == [.init(key: 7, kind: .endOfRun, deadlineNs: 210)])
        #expect(schedule.nextNs == nil)
        #expect(schedule.remove(7) == nil)
    }

    @Test(arguments: 1...5 as ClosedRange<UInt64>)
    func theHeapSorts(seed: UInt64) {
        var heap = MinHeap<UInt64>()
        var model: [UInt64] = []
        var state = seed
        for _ in 0..<500 {
            state = state &* 6_364_136_223_846_793_005 &+ 1
            let value = state >> 48
            switch state >> 40 & 3 {
            case 0, 1:
                heap.insert(value)
                model.append(value)
            case 2:
                heap.removeFirst()
                if let index = model.firstIndex(of: model.min() ?? 0) { model.remove(at: index) }
            default:
                let removed = heap.remove { $0 % 3 == 0 }
                if let removed, let index = model.firstIndex(of: removed) { model.remove(at: index) }
            }
            heap.checkInvariants()
            #expect(heap.first == model.min(), "seed \(seed)")
            #expect(heap.count == model.count)
        }
    }

    @Test func startsSpreadOverTheIntervalAndDoNotDependOnNow() {
        for (hash, wall) in [(UInt64(5), UInt64(1003)), (5, 1207), (999, 1003), (0, 1000)] {
            let delay = startDelayNs(hash: hash, offsetSeed: 0, intervalNs: 100, wallNs: wall)
            #expect((wall + delay) % 100 == hash % 100)
            #expect(delay > 0 && delay <= 100)
        }
        #expect((1000 + startDelayNs(hash: 5, offsetSeed: 3, intervalNs: 100, wallNs: 1000)) % 100 == 6)
    }

    /// Tolerance is the smaller of 2 ms and a hundredth of the interval.
    @Test(arguments: [
        Snap(10_000, [1000, 11_001, 21_002, 31_003, 40_999], [1000, 11_000, 21_000, 31_003, 41_000]),
        Snap(100, [1000, 1101, 1202], [1000, 1100, 1202]),
        Snap(10_000, [1000, 51_001, 61_000], [1000, 51_000, 61_000]),
        Snap(10_000, [100_000, 20_000, 30_001], [100_000, 20_000, 30_000]),
    ])
    func scrapesSnapToTheirTicks(_ snap: Snap) {
        var alignment = TickAlignment(intervalMs: snap.intervalMs)
        #expect(snap.wallMs.map { alignment.align($0) } == snap.expected)
    }

    @Test func ticksThatAreLeftAlone() {
        var alignment = TickAlignment(intervalMs: 10_000, toleranceMs: 0)
        #expect([1000, 11_001, 21_002].map { alignment.align($0) } == [1000, 11_001, 21_002])
        alignment = TickAlignment(intervalMs: 10_000, toleranceMs: 50)
        #expect([1000, 11_040, 21_060].map { alignment.align($0) } == [1000, 11_000, 21_060])
    }

    struct Snap: Sendable {
        let intervalMs: Int64
        let wallMs: [Int64]
        let expected: [Int64]
        init(_ intervalMs: Int64, _ wallMs: [Int64], _ expected: [Int64]) {
            self.intervalMs = intervalMs
            self.wallMs = wallMs
            self.expected = expected
        }
    }
}
