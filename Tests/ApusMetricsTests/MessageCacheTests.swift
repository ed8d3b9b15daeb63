import ApusExposition
import Testing

@testable import ApusMetrics

@Suite("Protobuf pages that are kept") struct MessageCacheTests {
    private func page(_ registry: MetricRegistry) -> [UInt8] {
        var page: [UInt8] = []
        registry.render(into: &page, as: .protobuf)
        return page
    }

    /// What has never been kept.
    private func written(_ registry: MetricRegistry) -> [UInt8] {
        var writer = PageWriter(.protobuf)
        for family in registry.gather() { writer.write(family) }
        return writer.finish()
    }

    @Test("are what is written anew, whatever has changed")
    func sameAsWritten() throws {
        let registry = MetricRegistry()
        // Long values, so that the messages' lengths take two bytes.
        let long = String(repeating: "x", count: 150)
        let counters = try registry.counter("c_total", help: "C.", labels: .label("x", as: String.self))
        let gauge = try registry.gauge("g", help: "G.")
        let histograms = try registry.histogram("h", help: "H.", buckets: [1, 2, 4], labels: .label("x", as: String.self))
        let native = try registry.histogram("n", help: "N.", native: NativeBuckets())
        let values = ["a", long, "z"]
        let changes: [() -> Void] = [
            { for value in values { counters.increment(value) } }, { gauge.set(-1.5) }, {}, { counters.increment(by: 300, long) },
            { for value in values { histograms.observe(1.5, value) } }, { for _ in 0..<200 { histograms.observe(3, "a") } }, {},
            { native.observe(1) }, { counters("z").reset() }, { counters.remove("a") }, { counters.increment("b") },
            { counters("z").increment(exemplar: [("trace_id", "1")]) }, { counters.increment("z") },
            { histograms("z").observe(9, exemplar: [("trace_id", "1")]) }, { histograms.removeAll() }, { gauge.set(.nan) },
        ]
        for (index, change) in changes.enumerated() {
            change()
            let kept = page(registry)
            #expect(kept == written(registry), "after change \(index)")
        }
    }

    @Test("an encoding with another escaping is another page")
    func escaping() throws {
        let registry = MetricRegistry(names: .utf8)
        try registry.counter("a.b_total", help: "").increment()
        var pages: Set<[UInt8]> = []
        for _ in 0..<2 {
            for escaping in [NameEscaping.allowUTF8, .underscores, .dots, .values] {
                var page: [UInt8] = []
                registry.render(into: &page, as: PageEncoding(.protobuf, escaping: escaping))
                pages.insert(page)
            }
        }
        #expect(pages.count == 4)
    }
}
