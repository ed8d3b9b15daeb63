import ApusBytes
import ApusExposition
import ApusModel
import Testing

/// Gives each label set a number and remembers it.
struct NumberingResolver: SeriesResolver {
    var refs: [LabelSet: UInt64] = [:]
    var dropped: Set<ByteString> = []
    var resolved = 0
    mutating func resolve(_ labels: PageLabels, accepted: Int) throws(ScanError) -> SeriesResolution {
        resolved += 1
        if let name = labels.labels.first?.value, dropped.contains(name) { return .dropped }
        let set = LabelSet(labels)
        if let known = refs[set] { return .series(known) }
        refs[set] = UInt64(refs.count + 1)
        return .series(UInt64(refs.count))
    }
    mutating func foundHelp(_ name: ByteString, _ text: ByteString) {}
    mutating func foundType(_ name: ByteString, _ type: MetricType) {}
    mutating func foundUnit(_ name: ByteString, _ unit: ByteString) {}
}

struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// A sample as scanner and model both give it; values compare as bits.
private struct Scanned: Equatable {
    let ref: UInt64
    let timestampMs: Int64
    let bits: UInt64
}

/// What a scan must do, told by the parser alone: no prediction, no hashes.
private struct Model {
    var live: Set<UInt64> = []

    mutating func scan(
        _ page: [UInt8], timestampMs: Int64, resolver: inout NumberingResolver
    ) -> (samples: [Scanned], ended: Set<UInt64>)? {
        var samples: [Scanned] = []
        var seenTexts: Set<[UInt8]> = []
        var nowLive: Set<UInt64> = []
        guard let entries = try? parseAll(page) else {
            defer { live = [] }
            return nil
        }
        for (entry, labels) in entries {
            guard case .series(let line) = entry else { continue }
            guard case .series(let ref)? = try? resolver.resolve(PageLabels(labels), accepted: 0) else { continue }
            let isNew = seenTexts.insert(Array(page[line.text])).inserted
            if !isNew && line.timestampMs == nil { continue }
            if line.timestampMs == nil { nowLive.insert(ref) }
            samples.append(Scanned(ref: ref, timestampMs: line.timestampMs ?? timestampMs, bits: line.value.bitPattern))
        }
        let ended = live.subtracting(nowLive)
        live = nowLive
        return (samples, ended)
    }
}

@Suite struct PageScannerTests {
    private func columns(_ scratch: ScanScratch) -> [Scanned] {
        unsafe scratch.withColumns { refs, times, values in
            refs.indices.map { index in
                unsafe Scanned(ref: refs[index], timestampMs: times[index], bits: values[index].bitPattern)
            }
        }
    }

    /// Pages with the accidents of real ones: lines that come, go, move and repeat, odd spacing, timestamps, comments.
    private func randomPage(_ random: inout SeededGenerator, from lines: inout [String]) -> String {
        switch Int.random(in: 0..<6, using: &random) {
        case 0: lines.insert("m\(Int.random(in: 0..<40, using: &random))", at: Int.random(in: 0...lines.count, using: &random))
        case 1 where !lines.isEmpty: lines.remove(at: Int.random(in: 0..<lines.count, using: &random))
        case 2 where lines.count > 1: lines.swapAt(0, Int.random(in: 0..<lines.count, using: &random))
        case 3: lines.append("# TYPE m\(Int.random(in: 0..<5, using: &random)) counter")
        case 4: lines.append("m{a=\"\(Int.random(in: 0..<9, using: &random))\", b = \"x y\\\"\"}")
        default: break
        }
        var page = ""
        for line in lines {
            page += line
            if !line.hasPrefix("#") {
                page += [" ", " ", " ", "  ", "\t"].randomElement(using: &random) ?? " "
                page += ["1", "2.5", "-0", "1e+09", "12345678901234567890", "0.1234567890123456789", "NaN", "+Inf", "1e-300"]
                    .randomElement(using: &random) ?? "1"
                if Int.random(in: 0..<12, using: &random) == 0 { page += " \(Int.random(in: 0..<99_999, using: &random))" }
                if Int.random(in: 0..<400, using: &random) == 0 { page += " oops" }
            }
            page += Int.random(in: 0..<20, using: &random) == 0 ? "\n\n" : "\n"
        }
        return page
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func scannerAndParserAgree(seed: UInt64) {
        var random = SeededGenerator(state: seed)
        var scanner = PageScanner(seed: seed)
        let scratch = ScanScratch()
        var resolver = NumberingResolver(dropped: ["m3", "m7"])
        var modelResolver = resolver
        var model = Model()
        var lines: [String] = []
        for step in 0..<200 {
            let page = Array(randomPage(&random, from: &lines).utf8)
            let timestamp = Int64(1_000_000 + step)
            let expected = model.scan(page, timestampMs: timestamp, resolver: &modelResolver)
            var failed = false
            do {
                try scanner.scan(page.span, options: .init(timestampMs: timestamp), scratch: scratch, resolver: &resolver)
            } catch { failed = true }
            #expect(failed == (expected == nil), "seed \(seed), step \(step)")
            if failed {
                _ = scanner.abort()
                continue
            }
            // The two number label sets as they meet them, in the same order as long as nothing fails.
            if resolver.refs != modelResolver.refs { return }
            #expect(columns(scratch) == expected?.samples, "seed \(seed), step \(step)")
            #expect(Set(scanner.commit(scratch)) == expected?.ended, "seed \(seed), step \(step)")
        }
    }

    @Test func anUnchangedPageIsNotResolvedAgain() throws {
        let page = Array("# HELP a b\n# TYPE a gauge\na{x=\"1\"} 1\na{x=\"2\"} 2\nb 3 1234\n".utf8)
        var scanner = PageScanner(seed: 1)
        let scratch = ScanScratch()
        var resolver = NumberingResolver()
        for time in Int64(0)..<3 {
            try scanner.scan(page.span, options: .init(timestampMs: time), scratch: scratch, resolver: &resolver)
            #expect(scanner.commit(scratch) == [])
            #expect(columns(scratch).count == 3)
        }
        #expect(resolver.resolved == 3)
        #expect(scanner.sizeBytes <= 24 * 6)
    }

    @Test func bucketBoundsAreWrittenOneWayAlthoughTheTypeLineWasOnlySeen() throws {
        var scanner = PageScanner(seed: 1)
        let scratch = ScanScratch()
        var resolver = NumberingResolver()
        for page in ["# TYPE h histogram\nh_bucket{le=\"1\"} 1\n", "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"2\"} 1\n"] {
            try scanner.scan(Array(page.utf8).span, options: .init(timestampMs: 0), scratch: scratch, resolver: &resolver)
            _ = scanner.commit(scratch)
        }
        #expect(Set(resolver.refs.keys) == [["__name__": "h_bucket", "le": "1.0"], ["__name__": "h_bucket", "le": "2.0"]])
    }

    @Test func mutatedPagesNeverTrap() throws {
        let original = try goldenBytes("expfmt-text.prom.txt")
        var random = SeededGenerator(state: 42)
        var scanner = PageScanner(seed: 7)
        let scratch = ScanScratch()
        var resolver = NumberingResolver()
        for _ in 0..<300 {
            var page = original
            for _ in 0..<Int.random(in: 1...8, using: &random) {
                let at = Int.random(in: 0..<page.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: page[at] = UInt8.random(in: 0...255, using: &random)
                case 1: page.remove(at: at)
                case 2: page.insert("\"\\{}\n#, =".utf8.randomElement(using: &random) ?? 0, at: at)
                default: page.removeSubrange(at..<min(page.count, at + 50))
                }
            }
            let parses = (try? parseAll(page)) != nil
            if page.last != 0x0A { page.append(0x0A) }
            do {
                try scanner.scan(page.span, options: .init(timestampMs: 1), scratch: scratch, resolver: &resolver)
                _ = scanner.commit(scratch)
                #expect(parses || (try? parseAll(page)) != nil)
            } catch {
                _ = scanner.abort()
                #expect(!parses || (try? parseAll(page)) == nil)
            }
        }
    }
}
