import ApusBytes
import ApusModel
import ApusPromQL
import ApusStorage
import ApusTSDB
import ArgumentParser

/// `apus tsdb analyze`: what a block's series are made of.
struct TSDBAnalyze: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "analyze", abstract: "Analyze churn, label pair cardinality and compaction efficiency of a block.",
        discussion: "Changes nothing, also while a server runs on the directory.")

    @Option(name: .customLong("limit"), help: "How many items to show in each list.")
    var limit = 20

    @Flag(name: .customLong("extended"), help: "Read all chunks, too, and show how full they are.")
    var isExtended = false

    @Option(name: .customLong("match"), help: "A selector: only its series.")
    var match: String?

    @Argument(help: "The data directory.")
    var path = "data/"

    @Argument(help: "The block; the newest without.")
    var blockID: String?

    func run() throws {
        var matchers: [Matcher]?
        if let match {
            do { matchers = try parseSelector(ByteString(match)) } catch { throw fail(error.message) }
        }
        let block: Block
        do {
            let directory = try DataDirectory(path)
            let known = try directory.blockDirectories
            let wanted = blockID.map { id in known.first { $0.ulid.description == id } } ?? known.last
            guard let wanted else { throw fail(blockID.map { "invalid block ID \($0)" } ?? "no blocks found") }
            block = try Block.open(wanted.path, files: directory.files)
        } catch let code as ExitCode { throw code } catch { throw fail("\(error)") }
        do { try BlockAnalysis(block, matchers: matchers, limit: max(0, limit)).print(isExtended: isExtended) } catch {
            throw fail("\(error)")
        }
    }
}

/// The lists that `apus tsdb analyze` prints.
private struct BlockAnalysis {
    private let block: Block
    private let meta: BlockMeta
    private let index: IndexReader
    private let matchers: [Matcher]?
    private let limit: Int
    private let refs: [UInt32]

    init(_ block: Block, matchers: [Matcher]?, limit: Int) throws {
        self.block = block
        self.matchers = matchers
        self.limit = limit
        meta = block.meta
        let index = try block.index()
        self.index = index
        refs = try matchers.map { try index.select($0) } ?? index.allPostings()
    }

    func print(isExtended: Bool) throws {
        let span = meta.maxTimeMs.subtractingReportingOverflow(meta.minTimeMs).partialValue
        Swift.print("Block ID: \(meta.ulid)")
        Swift.print("Duration: \(formatGoDuration(ms: span))")
        Swift.print("Total Series: \(meta.statistics.series)")
        if let matchers { Swift.print("Matcher: {\(matchers.map(text).joined(separator: ","))}") }

        // How much of the block's time each label's and pair's series leave out, and what they have.
        var values: [ByteString: [ByteString: Pair]] = [:]
        var entries = 0
        for ref in refs {
            let (labels, chunks) = try index.series(ref)
            guard let first = chunks.first, let last = chunks.last else { continue }
            let missing = max(0, Double(span) - Double(last.maxTimeMs) + Double(first.minTimeMs))
            for label in labels {
                values[label.name, default: [:]][label.value, default: Pair()].add(missing)
                entries += 1
            }
        }
        Swift.print("Label names: \(values.count)")
        if matchers != nil { Swift.print("Matched series: \(refs.count)") }
        Swift.print("Postings (unique label pairs): \(values.values.reduce(0) { $0 + $1.count })")
        Swift.print("Postings entries (total label pairs): \(entries)")

        let pairs = values.flatMap { name, pairs in pairs.map { (key: name + "=" + $0.key, pair: $0.value) } }
        func blocks(_ missing: Double) -> UInt64 { span > 0 ? UInt64(max(0, missing / Double(span))) : 0 }
        show("Label pairs most involved in churning:", pairs.map { ($0.key, blocks($0.pair.missingMs)) })
        show(
            "Label names most involved in churning:",
            values.map { name, pairs in (name, blocks(pairs.values.reduce(0) { $0 + $1.missingMs })) })
        show("Most common label pairs:", pairs.map { ($0.key, UInt64($0.pair.count)) })
        show(
            "Label names with highest cumulative label value length:",
            values.map { name, pairs in (name, UInt64(pairs.keys.reduce(0) { $0 + $1.count })) })
        show("Highest cardinality labels:", values.map { name, pairs in (name, UInt64(pairs.count)) })
        show(
            "Highest cardinality metric names:",
            (values[LabelSet.metricName] ?? [:]).map { name, pair in (name, UInt64(pair.count)) })
        if isExtended { try printChunks() }
    }

    private struct Pair {
        var count = 0
        var missingMs = 0.0
        mutating func add(_ missing: Double) {
            count += 1
            missingMs += missing
        }
    }

    /// As promtool writes a matcher: the value quoted, a name that is not plain quoted too.
    private func text(_ matcher: Matcher) -> String {
        "\(matcher.name.description)\(matcher.kind.rawValue)\(goQuoted(matcher.value.description))"
    }

    /// The largest first; equal ones in byte order, so that the list is the same each time.
    private func show(_ title: String, _ items: [(key: ByteString, count: UInt64)]) {
        Swift.print("\n\(title)")
        for item in items.sorted(by: { $0.count != $1.count ? $0.count > $1.count : $0.key < $1.key }).prefix(limit) {
            Swift.print("\(item.count) \(item.key.description)")
        }
    }

    // MARK: Chunks

    private func printChunks() throws {
        Swift.print("\nCompaction analysis:\n")
        var floats = ChunkSizes()
        var histograms = ChunkSizes()
        var buckets: [Int] = []
        var columns = SampleColumns(histograms: true)
        let chunks = try block.chunks(of: refs)
        var total = 0
        while let chunk = try chunks.next() {
            total += 1
            if chunk.encoding.isFloat {
                floats.add(chunk)
                continue
            }
            histograms.add(chunk)
            columns.removeAll()
            try chunk.decode(into: &columns)
            var count = 0
            for sample in 0..<columns.count { count += columns.histogram(at: sample)?.words.count ?? 0 }
            buckets.append(count)
        }
        showDistribution("samples per float chunk", floats.samples, total: total)
        showDistribution("bytes per float chunk", floats.bytes, total: total)
        showDistribution("samples per histogram chunk", histograms.samples, total: total)
        showDistribution("bytes per histogram chunk", histograms.bytes, total: total)
        showDistribution("buckets per histogram chunk", buckets, total: total)
    }

    private struct ChunkSizes {
        var samples: [Int] = []
        var bytes: [Int] = []
        mutating func add(_ chunk: EncodedChunk) {
            samples.append(chunk.count)
            bytes.append(chunk.bytes.count)
        }
    }

    private func showDistribution(_ title: String, _ values: [Int], total: Int) {
        guard let least = values.min(), let most = values.max() else { return Swift.print("\(title): N/A\n") }
        var step = 10
        while step < (most - least) / 10, step <= 10_000 { step *= 10 }
        let start = least - least % step
        let end = most - most % step + step
        var counts = [Int](repeating: 0, count: (end - start) / step + 1)
        for value in values { counts[(value - start) / step] += 1 }
        Swift.print("\(title) (min/avg/max): \(least)/\(values.reduce(0, +) / values.count)/\(most)")
        func padded(_ number: Int, _ widest: Int) -> String {
            let text = String(number)
            return String(repeating: " ", count: max(0, String(widest).count - text.count)) + text
        }
        let mostCount = counts.max() ?? 0
        for (bucket, count) in counts.enumerated() {
            let (low, high) = (start + bucket * step + 1, start + (bucket + 1) * step)
            let bar = String(repeating: "#", count: 100 * count / max(1, total))
            Swift.print("[\(padded(low, end)), \(padded(high, end + step))]: \(padded(count, mostCount)) \(bar)")
        }
        Swift.print("")
    }
}
