import ApusBytes
import ApusExposition
import ApusModel

@MainActor let expositionBenchmarks: [Benchmark] = [
    Benchmark(name: "scan a page seen before", unit: "sample", sketch: "one hash of the expected line and a short number: ~15 ns")
    {
        let pages = (0..<2).map { makePage(families: 500, values: $0) }
        var scanner = PageScanner(seed: 1)
        let scratch = ScanScratch()
        var resolver = CountingResolver()
        try scan(pages[0], &scanner, scratch, &resolver)
        var turn = 0
        return {
            turn += 1
            try scan(pages[turn % 2], &scanner, scratch, &resolver)
            return scanner.counts.scraped
        }
    },
    Benchmark(name: "scan a page never seen", unit: "sample", sketch: "parse labels, make a series: a few hundred ns") {
        let page = makePage(families: 500, values: 0)
        let scratch = ScanScratch()
        return {
            var scanner = PageScanner(seed: 1)
            var resolver = CountingResolver()
            try scan(page, &scanner, scratch, &resolver)
            return scanner.counts.scraped
        }
    },
    Benchmark(name: "scan a page seen before, by size", unit: "byte", sketch: "the hash of 60 bytes and a number: ~0.4 ns, 2.5 GB/s") {
        let pages = (0..<2).map { makePage(families: 500, values: $0) }
        var scanner = PageScanner(seed: 1)
        let scratch = ScanScratch()
        var resolver = CountingResolver()
        try scan(pages[0], &scanner, scratch, &resolver)
        var turn = 0
        return {
            turn += 1
            try scan(pages[turn % 2], &scanner, scratch, &resolver)
            return pages[turn % 2].count
        }
    },
    Benchmark(name: "scan a page never seen, by size", unit: "byte", sketch: "labels made of 60 bytes: ~4 ns, 250 MB/s") {
        let page = makePage(families: 500, values: 0)
        let scratch = ScanScratch()
        return {
            var scanner = PageScanner(seed: 1)
            var resolver = CountingResolver()
            try scan(page, &scanner, scratch, &resolver)
            return page.count
        }
    },
    number("JSON integers", "digits two at a time: ~15 ns with its time") { Double($0 * 7) },
    number("JSON short decimals", "a multiplication proves three decimals suffice: ~20 ns") { Double($0) / 100 },
    number("JSON 17 digits", "shortest digits, one 128-bit product: ~40 ns") { (Double($0) + 0.1).squareRoot() },
]

private struct CountingResolver: SeriesResolver {
    var next: UInt64 = 0
    mutating func resolve(_ labels: [Label], accepted: Int) throws(ScanError) -> SeriesResolution {
        next += 1
        return .series(next)
    }
    mutating func foundHelp(_ name: ByteString, _ text: ByteString) {}
    mutating func foundType(_ name: ByteString, _ type: MetricType) {}
    mutating func foundUnit(_ name: ByteString, _ unit: ByteString) {}
}

private func scan(_ page: [UInt8], _ scanner: inout PageScanner, _ scratch: ScanScratch, _ resolver: inout CountingResolver)
    throws
{
    try scanner.scan(page.span, options: PageScanner.Options(timestampMs: 1), scratch: scratch, resolver: &resolver)
    _ = scanner.commit(scratch)
}

/// A page of an exporter's kind: per family a HELP, a TYPE and twenty series.
private func makePage(families: Int, values: Int) -> [UInt8] {
    var page: [UInt8] = []
    var random = Randomness(UInt64(values + 11))
    for family in 0..<families {
        page += Array("# HELP node_metric_\(family)_total What it counts.\n# TYPE node_metric_\(family)_total counter\n".utf8)
        for series in 0..<20 {
            page += Array("node_metric_\(family)_total{cpu=\"\(series)\",mode=\"system\",device=\"sda\(series)\"} ".utf8)
            page.appendDouble(series % 4 == 0 ? random.unit() * 1_000 : Double(random.next() % 1_000_000), style: .general)
            page.append(UInt8(ascii: "\n"))
        }
    }
    return page
}

private func number(_ name: String, _ sketch: String, _ value: @escaping (Int) -> Double) -> Benchmark {
    Benchmark(name: name, unit: "point", sketch: sketch) {
        let values = (0..<10_000).map(value)
        var bytes: [UInt8] = []
        return {
            bytes.removeAll(keepingCapacity: true)
            var time: Int64 = 1_700_000_000_123
            for value in values {
                bytes.append(UInt8(ascii: "["))
                bytes.appendTimestampSeconds(time)
                bytes.append(UInt8(ascii: ","))
                bytes.append(UInt8(ascii: "\""))
                bytes.appendDouble(value, style: .json)
                bytes.append(UInt8(ascii: "\""))
                bytes.append(UInt8(ascii: "]"))
                time += 15_000
            }
            return values.count
        }
    }
}
