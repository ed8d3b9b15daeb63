import ApusModel
import ApusStorage
import Testing

@testable import ApusTSDB

@Suite("Memory log") struct MemoryLogTests {
    @Test("a reader follows the head, and is told what it lost")
    func follows() throws {
        let log = MemoryLog(maxSamples: 10)
        let head = Head(options: HeadOptions(log: log))
        let ref = try head.seriesRef(for: ["__name__": "x"])
        var batch = SampleBatch()
        batch.append(ref, timestampMs: 1000, value: 1)
        _ = try head.append(batch)
        var page = log.read(from: LogPosition(segment: 0, offset: 0), limit: 10)
        #expect(page.entries.count == 2 && page.lostEntries == 0 && page.next == log.end)
        guard case .series(let records) = page.entries[0], case .samples(let samples) = page.entries[1] else {
            Issue.record("expected a series and then samples")
            return
        }
        #expect(records == [SeriesRecord(ref: ref, labels: ["__name__": "x"])])
        #expect(samples.timestampsMs == [1000])
        #expect(log.read(from: page.next, limit: 10).entries.isEmpty)

        for step in 2...200 {
            batch.removeAll()
            batch.append(ref, timestampMs: Int64(step) * 1000, value: 1)
            _ = try head.append(batch)
        }
        page = log.read(from: page.next, limit: 4)
        #expect(page.lostEntries == 189 && page.entries.count == 4)
        guard case .samples(let oldest) = page.entries[0] else { return }
        #expect(oldest.timestampsMs == [191_000])
        #expect(log.read(from: page.next, limit: 100).entries.count == 6)
    }
}
