import ApusBytes
import ApusExposition
import ApusModel

/// Pages of the formats that a scrape reads, through the scanner that a scrape uses. The first byte chooses what becomes of
/// histograms. Each page is scanned twice: the second time it is known, and must say the same. The lines of text pages are also
/// read without the quick way for plain ones, which must say the same too.
let pageTargets: [String: @Sendable ([UInt8]) -> Void] = [
    "text": compareText, "text-scan": { scanTwice($0, .text) }, "openmetrics-lines": compareOpenMetrics,
    "openmetrics": { scanTwice($0, .openMetrics) }, "protobuf": { scanTwice($0, .protobuf) },
    "openmetrics2": { scanTwice($0, .openMetrics2) },
    "openmetrics-check": { input in _ = try? OpenMetricsChecker.check(input.span) },
]

private struct NumberingResolver: SeriesResolver {
    var refs: [LabelSet: UInt64] = [:]
    mutating func resolve(_ labels: PageLabels, accepted: Int) throws(ScanError) -> SeriesResolution {
        let set = LabelSet(labels)
        if let known = refs[set] { return .series(known) }
        refs[set] = UInt64(refs.count + 1)
        return .series(UInt64(refs.count))
    }
    mutating func foundHelp(_ name: ByteString, _ text: ByteString) {}
    mutating func foundType(_ name: ByteString, _ type: MetricType) {}
    mutating func foundUnit(_ name: ByteString, _ unit: ByteString) {}
}

private func scanTwice(_ input: [UInt8], _ format: PageFormat) {
    guard let first = input.first else { return }
    var page = Array(input.dropFirst())
    // As a scrape does before it hands over a page of text.
    if format != .protobuf, page.last != 0x0A { page.append(0x0A) }
    var options = PageScanner.Options(timestampMs: 1000)
    options.format = format
    options.convertsClassicHistograms = first & 1 != 0
    options.keepsClassicHistograms = first & 2 != 0
    options.readsNativeHistograms = first & 4 == 0
    options.takesStartTimestamps = first & 8 != 0
    options.addsTypeAndUnitLabels = first & 16 != 0
    let scratch = ScanScratch()
    var scanner = PageScanner(seed: 1)
    var resolver = NumberingResolver()
    var before: PageScanner.Counts?
    for _ in 0..<2 {
        do throws(ScanError) {
            try scanner.scan(page.span, options: options, scratch: scratch, resolver: &resolver)
        } catch {
            guard before == nil else { fatalError("a page that was read is refused the second time: \(error)") }
            _ = scanner.abort()
            return
        }
        var counts = scanner.counts
        counts.added = 0
        guard before == nil || before == counts else { fatalError("the page has \(String(describing: before)), and then \(counts)") }
        before = counts
        guard scratch.sampleCount <= counts.kept else { fatalError("\(scratch.sampleCount) samples, \(counts.kept) counted") }
        for one in scratch.histograms { _ = try? one.histogram.validate() }
        _ = scanner.commit(scratch)
    }
}

/// A page of the text format: parsing ends, with entries or an error.
private func compareText(_ input: [UInt8]) {
    func read(plain: Bool) -> [String] {
        var parser = TextParser()
        parser.takesPlainLines = plain
        var found: [String] = []
        do throws(ExpositionError) {
            while let entry = try parser.next(input.span) {
                if case .series(let line) = entry {
                    found.append("\(line.text) \(line.value.bitPattern) \(line.timestampMs ?? -1) \(parser.labels(input.span))")
                } else {
                    found.append("\(entry)")
                }
            }
        } catch { found.append(error.description) }
        return found
    }
    let (quick, general) = (read(plain: true), read(plain: false))
    guard quick == general else { fatalError("\(quick)\nis not\n\(general)") }
}

private func compareOpenMetrics(_ bytes: [UInt8]) {
    // Most inputs lack the marker without which nothing is read.
    let marker = Array("\n# EOF\n".utf8)
    let input = bytes.suffix(marker.count).elementsEqual(marker) ? bytes : bytes + marker
    func read(plain: Bool) -> [String] {
        var parser = OpenMetricsParser()
        parser.takesPlainLines = plain
        var found: [String] = []
        do throws(ExpositionError) {
            while let entry = try parser.next(input.span) {
                guard case .series(let line) = entry else {
                    found.append("\(entry)")
                    continue
                }
                let exemplar = line.exemplar.map { "\($0.value.bitPattern) \($0.timestampMs ?? -1) \(parser.exemplarLabels(input.span))" }
                found.append(
                    "\(line.text) \(line.value.bitPattern) \(line.timestampMs ?? -1) \(line.repeatsSeries) "
                        + "\(parser.labels(input.span)) \(exemplar ?? "")")
            }
        } catch { found.append(error.description) }
        return found
    }
    let (quick, general) = (read(plain: true), read(plain: false))
    guard quick == general else { fatalError("\(quick)\nis not\n\(general)") }
}
