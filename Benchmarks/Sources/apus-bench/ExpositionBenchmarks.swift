import ApusBytes
import ApusExposition
import ApusModel

@MainActor let expositionBenchmarks: [Benchmark] = [
    scanKnown("scan a page seen before", "sample", "one hash of the expected line and a short number: ~15 ns", .text),
    scanNew("scan a page never seen", "sample", "parse labels, make a series: ~200 ns", .text),
    scanKnown("scan a page seen before, by size", "byte", "the hash of 60 bytes and a number: ~0.4 ns, 2.5 GB/s", .text),
    scanNew("scan a page never seen, by size", "byte", "labels made of 60 bytes: ~4 ns, 250 MB/s", .text),
    scanKnown("scan OpenMetrics seen before, by size", "byte", "as text, but lines with exemplars are parsed: ~1 ns", .openMetrics),
    scanNew("scan OpenMetrics never seen, by size", "byte", "as text, an exemplar in one line of eight: ~4 ns, 250 MB/s", .openMetrics),
    number("JSON integers", "digits two at a time: ~15 ns with its time") { Double($0 * 7) },
    number("JSON short decimals", "a multiplication proves three decimals suffice: ~20 ns") { Double($0) / 100 },
    number("JSON 17 digits", "shortest digits, one 128-bit product: ~40 ns") { (Double($0) + 0.1).squareRoot() },
]

private struct CountingResolver: SeriesResolver {
    var next: UInt64 = 0
    mutating func resolve(_ labels: PageLabels, accepted: Int) throws(ScanError) -> SeriesResolution {
        next += 1
        return .series(next)
    }
    mutating func foundHelp(_ name: ByteString, _ text: ByteString) {}
    mutating func foundType(_ name: ByteString, _ type: MetricType) {}
    mutating func foundUnit(_ name: ByteString, _ unit: ByteString) {}
}

private func scan(
    _ page: [UInt8], _ format: PageFormat, _ scanner: inout PageScanner, _ scratch: ScanScratch, _ resolver: inout CountingResolver
) throws {
    var options = PageScanner.Options(timestampMs: 1)
    options.format = format
    try scanner.scan(page.span, options: options, scratch: scratch, resolver: &resolver)
    _ = scanner.commit(scratch)
}

/// Two pages of the same lines in turn, after one of them was seen.
private func scanKnown(_ name: String, _ unit: String, _ sketch: String, _ format: PageFormat) -> Benchmark {
    Benchmark(name: name, unit: unit, sketch: sketch) {
        let pages = (0..<2).map { makePage(format, values: $0) }
        var scanner = PageScanner(seed: 1)
        let scratch = ScanScratch()
        var resolver = CountingResolver()
        try scan(pages[0], format, &scanner, scratch, &resolver)
        var turn = 0
        return {
            turn += 1
            try scan(pages[turn % 2], format, &scanner, scratch, &resolver)
            return unit == "byte" ? pages[turn % 2].count : scanner.counts.scraped
        }
    }
}

/// A page that the scanner has not seen before.
private func scanNew(_ name: String, _ unit: String, _ sketch: String, _ format: PageFormat) -> Benchmark {
    Benchmark(name: name, unit: unit, sketch: sketch) {
        let page = makePage(format, values: 0)
        let scratch = ScanScratch()
        return {
            var scanner = PageScanner(seed: 1)
            var resolver = CountingResolver()
            try scan(page, format, &scanner, scratch, &resolver)
            return unit == "byte" ? page.count : scanner.counts.scraped
        }
    }
}

private func makePage(_ format: PageFormat, values: Int) -> [UInt8] {
    format == .openMetrics ? makeOpenMetricsPage(families: 500, values: values) : makePage(families: 500, values: values)
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

/// The same as a client library writes it: counters with `_created` lines, and an exemplar at every fourth counter.
private func makeOpenMetricsPage(families: Int, values: Int) -> [UInt8] {
    var page: [UInt8] = []
    var random = Randomness(UInt64(values + 11))
    for family in 0..<families {
        page += Array("# HELP http_requests_\(family) What it counts.\n# TYPE http_requests_\(family) counter\n".utf8)
        for series in 0..<10 {
            let labels = "{code=\"\(200 + series)\",handler=\"/api/v1/orders\",instance=\"host-\(series):9100\"} "
            page += Array("http_requests_\(family)_total\(labels)".utf8)
            page.appendDouble(Double(random.next() % 1_000_000), style: .general)
            if series % 4 == 0 {
                page += Array(" # {trace_id=\"\(random.next())\"} ".utf8)
                page.appendDouble(random.unit(), style: .general)
                page += Array(" 1700000000.\(100 + random.next() % 900)".utf8)
            }
            page += Array("\nhttp_requests_\(family)_created\(labels)1.69999\(1000 + random.next() % 9000)e+09\n".utf8)
        }
    }
    return page + Array("# EOF\n".utf8)
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
