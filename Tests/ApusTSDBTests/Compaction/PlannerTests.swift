import Testing

@testable import ApusTSDB

/// Goal: the plan is upstream's. Method: tables of blocks, `[min, max)`, with ranges of 20, 60, 180 … units; the expectation
/// follows upstream's rules by hand.
@Suite("Planner") struct PlannerTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let blocks: [(Int64, Int64)]
        /// Indices into `blocks`.
        let expected: [Int]
        var tombstones: [Int: (UInt64, UInt64)] = [:]
        var failed: Set<Int> = []
        var expiring: Set<Int> = []
        var testDescription: String { name }
    }

    static let cases: [Case] = [
        Case(name: "nothing", blocks: [], expected: []),
        Case(name: "one block", blocks: [(0, 20)], expected: []),
        Case(name: "two of the smallest do not fill the next range", blocks: [(0, 20), (20, 40)], expected: []),
        Case(name: "three that fill it, and nothing newer", blocks: [(0, 20), (20, 40), (40, 60)], expected: []),
        Case(name: "three that fill it, and a newer one", blocks: [(0, 20), (20, 40), (40, 60), (60, 80)], expected: [0, 1, 2]),
        Case(name: "two with a gap, before a newer range", blocks: [(0, 20), (40, 60), (60, 80)], expected: [0, 1]),
        Case(name: "two that leave room, the newest in the same range", blocks: [(0, 20), (20, 40), (40, 60)], expected: []),
        Case(name: "old ones are not waited for", blocks: [(0, 20), (20, 40), (60, 80), (80, 100)], expected: [0, 1]),
        Case(name: "one alone in its range stays", blocks: [(20, 40), (60, 80), (80, 100), (120, 140), (140, 160)], expected: [1, 2]),
        Case(name: "the second range", blocks: [(0, 60), (60, 120), (120, 180), (180, 200), (200, 220)], expected: [0, 1, 2]),
        Case(
            name: "the smallest range goes first",
            blocks: [(0, 60), (60, 120), (120, 180), (180, 200), (200, 220), (220, 240), (240, 260)], expected: [3, 4, 5]),
        Case(name: "no block across the end of a range", blocks: [(0, 20), (20, 40), (40, 80), (80, 100)], expected: [0, 1]),
        Case(name: "before 1970", blocks: [(-60, -40), (-40, -20), (-20, 0), (0, 20), (20, 40)], expected: [0, 1, 2]),
        Case(name: "overlap of two", blocks: [(0, 20), (19, 40), (40, 60)], expected: [0, 1]),
        Case(name: "overlap with the newest", blocks: [(0, 20), (20, 40), (30, 50)], expected: [1, 2]),
        Case(name: "overlap by a long one", blocks: [(0, 360), (340, 560), (360, 420), (420, 540)], expected: [0, 1, 2, 3]),
        Case(name: "the first overlap only", blocks: [(0, 20), (10, 20), (20, 40), (30, 40)], expected: [0, 1]),
        Case(name: "touching is no overlap", blocks: [(0, 20), (20, 40)], expected: []),
        Case(name: "the same range twice", blocks: [(0, 20), (0, 20)], expected: [0, 1]),
        Case(name: "failed before", blocks: [(0, 20), (20, 40), (40, 60), (60, 80)], expected: [], failed: [1]),
        Case(
            name: "failed before, the next range is tried", blocks: [(0, 20), (20, 40), (40, 60), (60, 80), (80, 100), (100, 120), (120, 140)],
            expected: [3, 4, 5], failed: [0]),
        Case(name: "failed overlap", blocks: [(0, 20), (10, 20), (40, 60)], expected: [], failed: [0]),
        Case(name: "4 of 100 series deleted", blocks: [(0, 540), (540, 560)], expected: [], tombstones: [0: (4, 100)]),
        Case(name: "6 of 100 series deleted", blocks: [(0, 540), (540, 560)], expected: [0], tombstones: [0: (6, 100)]),
        Case(name: "6 of 100 of a small block", blocks: [(0, 20), (540, 560)], expected: [], tombstones: [0: (6, 100)]),
        Case(name: "all of a small block", blocks: [(0, 20), (540, 560)], expected: [0], tombstones: [0: (100, 100)]),
        Case(name: "all of the newest", blocks: [(0, 540), (540, 560)], expected: [], tombstones: [1: (100, 100)]),
        Case(name: "a rule still moves through it", blocks: [(0, 540), (540, 560)], expected: [], tombstones: [0: (60, 100)], expiring: [0]),
        Case(name: "merging goes before deleting", blocks: [(0, 20), (20, 40), (40, 60), (60, 80)], expected: [0, 1, 2], tombstones: [0: (9, 9)]),
    ]

    @Test("plans", arguments: cases) func plans(_ one: Case) {
        let blocks = one.blocks.enumerated().map { index, range in
            Planner.Candidate(
                ulid: ULID(high: UInt64(index), low: 0), minTimeMs: range.0, maxTimeMs: range.1, series: one.tombstones[index]?.1 ?? 100,
                tombstones: one.tombstones[index]?.0 ?? 0, hasFailed: one.failed.contains(index), isExpiring: one.expiring.contains(index))
        }
        let planner = Planner(rangesMs: [20, 60, 180, 540, 1620])
        #expect(planner.plan(blocks).map { Int($0.ulid.high) } == one.expected)
        #expect(planner.plan(blocks.reversed()).map { Int($0.ulid.high) } == one.expected)
    }

    @Test("with one range nothing is merged but what overlaps") func oneRange() {
        let blocks = (0..<5).map { Planner.Candidate(ulid: ULID(high: UInt64($0), low: 0), minTimeMs: Int64($0) * 20, maxTimeMs: Int64($0) * 20 + 20) }
        #expect(Planner(rangesMs: [20]).plan(blocks).isEmpty)
    }

    @Test("ends of time do not trap") func extremes() {
        let blocks = [
            Planner.Candidate(ulid: ULID(high: 0, low: 0), minTimeMs: .min, maxTimeMs: .min + 20),
            Planner.Candidate(ulid: ULID(high: 1, low: 0), minTimeMs: .max - 20, maxTimeMs: .max),
            Planner.Candidate(ulid: ULID(high: 2, low: 0), minTimeMs: .max - 1, maxTimeMs: .max),
        ]
        #expect(Planner(rangesMs: [20, 60]).plan(blocks).map(\.ulid.high) == [1, 2])
    }

    @Test("alignment", arguments: [(0, 0), (19, 0), (20, 20), (-1, -20), (-20, -20), (-21, -40)] as [(Int64, Int64)])
    func alignment(_ time: Int64, _ expected: Int64) { #expect(alignedDown(time, to: 20) == expected) }
}
