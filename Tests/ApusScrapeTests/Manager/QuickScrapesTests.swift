import Testing

@testable import ApusScrape

@Suite("Quick scrapes") struct QuickScrapesTests {
    private let usualNs: UInt64 = 400_000

    /// What it would be asked in turn.
    private final class Round {
        var pages: QuickScrapes
        init(limitNs: UInt64) { pages = QuickScrapes(limitNs: limitNs) }
        func begin() { pages.beginRound() }
        func takes(packedBytes: Int = 10, _ expectedNs: UInt64, nowNs: UInt64 = 0) -> Bool {
            pages.takes(packedBytes: packedBytes, expectedNs: expectedNs, nowNs: nowNs)
        }
    }

    @Test("a round has room for what the limit allows, and the next one again")
    func rounds() {
        let pages = Round(limitNs: 1_000_000)
        #expect(!pages.takes(usualNs), "no round has begun")
        pages.begin()
        #expect((0..<3).map { _ in pages.takes(usualNs) } == [true, true, false])
        #expect(pages.takes(200_000), "a smaller one still fits")
        pages.begin()
        #expect(pages.takes(usualNs))
        pages.pages.took(usualNs + 500_000, expectedNs: usualNs, nowNs: 0)
        #expect(!pages.takes(usualNs), "it took more than was thought")
        #expect(pages.takes(100_000))
        pages.pages.took(3_000_000, expectedNs: 100_000, nowNs: 0)
        #expect(!pages.takes(1))
    }

    @Test("what is unknown, large or slow is not taken")
    func refused() {
        let pages = Round(limitNs: 1_000_000)
        pages.begin()
        #expect(!pages.takes(0))
        #expect(!pages.takes(packedBytes: QuickScrapes.maxPackedBytes + 1, usualNs))
        #expect(!pages.takes(1_000_001))
        #expect(pages.takes(packedBytes: QuickScrapes.maxPackedBytes, 1_000_000))
        let none = Round(limitNs: 0)
        none.begin()
        #expect(!none.takes(1))
    }

    @Test("after one that took long there is none for a while")
    func pause() {
        let pages = Round(limitNs: 1_000_000)
        pages.begin()
        pages.pages.took(1_000_000 * QuickScrapes.patience, expectedNs: 1_000_000 * QuickScrapes.patience, nowNs: 500)
        #expect(pages.takes(usualNs, nowNs: 600))
        pages.pages.took(1_000_000 * (QuickScrapes.patience + 1), expectedNs: usualNs, nowNs: 1000)
        pages.begin()
        #expect(!pages.takes(usualNs, nowNs: 1000))
        #expect(!pages.takes(usualNs, nowNs: 999 + QuickScrapes.pauseNs))
        #expect(pages.takes(usualNs, nowNs: 1000 + QuickScrapes.pauseNs))
    }

    @Test("a page that unpacks to more than it may is left as it was for a worker")
    func unpacksTooLarge() throws {
        let harness = LoopHarness()
        // A member holds this page.
        let page = Array("a 1\n".utf8)
        func body(_ bytes: [UInt8]) -> BodyBuffer {
            let body = BodyBuffer()
            for byte in bytes { _ = body.append(byte) }
            return body
        }
        for coding in [BodyCoding.identity, .gzip] {
            let bytes = coding == .gzip ? InflateTests.member : page
            let whole = body(bytes)
            let outcome = FetchOutcome.page(body: whole, contentType: "text/plain", coding: coding)
            let before = harness.store.batches
            #expect(
                harness.appender.processSmall(outcome, limit: page.count - 1, loop: harness.loop, timestampMs: 1, startedNs: 0) == nil)
            #expect(whole.copy() == bytes && harness.store.batches == before)
            let report = harness.appender.processSmall(outcome, limit: page.count, loop: harness.loop, timestampMs: 1, startedNs: 0)
            #expect(report?.error == nil && report?.bodyBytes == page.count)
            #expect(harness.store.batches == before + 1)
        }
        let broken = body([0x1F, 0x8B, 1, 2, 3])
        let outcome = FetchOutcome.page(body: broken, contentType: "text/plain", coding: .gzip)
        #expect(harness.appender.processSmall(outcome, limit: 1000, loop: harness.loop, timestampMs: 2, startedNs: 0) == nil)
        #expect(broken.count == 5)
    }
}
