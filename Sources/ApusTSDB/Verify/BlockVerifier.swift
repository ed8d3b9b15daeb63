public import ApusBytes
import ApusModel
import ApusStorage

/// Something that is not as it should be in a data directory.
public struct Finding: Sendable, Equatable, CustomStringConvertible {
    /// Which file or directory.
    public let path: String
    public let problem: String
    public init(_ path: String, _ problem: String) {
        self.path = path
        self.problem = problem
    }
    public var description: String { "\(path): \(problem)" }
}

/// What a verification has looked at.
public struct VerifiedCounts: Sendable, Equatable {
    public var series = 0
    public var chunks = 0
    public var samples = 0
    public var records = 0
    public mutating func add(_ other: VerifiedCounts) {
        series += other.series
        chunks += other.chunks
        samples += other.samples
        records += other.records
    }
}

/// Reads all of a block and holds what it says of itself to what is there: every checksum, the order of series, chunks and
/// samples, the times of chunks, the postings, the numbers in `meta.json`.
///
/// Goes on after damage where it can, so that one run tells all. Changes nothing.
public struct BlockVerifier {
    private let directory: String
    private let report: (Finding) -> Void
    private var counts = VerifiedCounts()
    private var statistics = BlockMeta.Statistics()
    /// Findings of one kind of a block that are told; the rest is counted.
    private static let mostFindings = 20
    private var findings = 0

    private init(_ directory: String, _ report: @escaping (Finding) -> Void) {
        self.directory = directory
        self.report = report
    }

    /// - Parameter onProgress: called now and then with the share that is done, 0 to 1.
    public static func verify(
        _ directory: String, files: any FileSystem, onProgress: (Double) -> Void = { _ in }, report: @escaping (Finding) -> Void
    ) -> VerifiedCounts {
        var verifier = BlockVerifier(directory, report)
        do throws(BlockError) { try verifier.run(files, onProgress) } catch { report(Finding(directory, error.description)) }
        if verifier.findings > mostFindings {
            report(Finding(directory, "\(verifier.findings - mostFindings) more findings of series and chunks"))
        }
        return verifier.counts
    }

    private mutating func found(_ path: String, _ problem: String) {
        findings += 1
        if findings <= Self.mostFindings { report(Finding(path, problem)) }
    }

    private mutating func run(_ files: any FileSystem, _ onProgress: (Double) -> Void) throws(BlockError) {
        let meta = try BlockMeta.read(directory: directory, files: files)
        if meta.ulid.description != Self.name(of: directory) { found(directory, "meta.json is that of block \(meta.ulid)") }
        if meta.minTimeMs > meta.maxTimeMs {
            found(directory, "meta.json: minTime \(meta.minTimeMs) is after maxTime \(meta.maxTimeMs)")
        }
        let index = try IndexReader(path: joinPath(directory, IndexFormat.fileName), files: files)
        let chunks = try ChunkFileReader(directory: joinPath(directory, ChunkFile.directoryName), files: files)
        let (tombstones, _) = try Tombstones.read(directory: directory, files: files)

        try verifySymbols(index)
        let refs = try index.allPostings()
        var previous: LabelSet?
        var pairs: [Label: Int] = [:]
        var columns = SampleColumns(histograms: true)
        for (number, ref) in refs.enumerated() {
            if number % 256 == 0 { onProgress(Double(number) / Double(max(1, refs.count))) }
            do throws(BlockError) {
                let (labels, metas) = try index.series(ref)
                if let previous, !(previous < labels) { found(index.path, "series \(labels) is not behind \(previous)") }
                previous = labels
                for label in labels { pairs[label, default: 0] += 1 }
                verifyChunks(of: labels, metas, meta, chunks, &columns)
                counts.series += 1
            } catch { found(index.path, error.description) }
        }
        try verifyPostings(index, refs, pairs)
        for ref in tombstones.series where UInt32(exactly: ref).map({ !refs.contains($0) }) ?? true {
            found(joinPath(directory, Tombstones.fileName), "deleted samples of series \(ref), which the index does not have")
        }
        verifyStatistics(meta)
        onProgress(1)
    }

    private static func name(of path: String) -> String {
        path.split(separator: "/").last.map(String.init) ?? path
    }

    private mutating func verifySymbols(_ index: IndexReader) throws(BlockError) {
        var previous: ByteString?
        for symbol in try index.allSymbols() {
            if let previous, !(previous < symbol) { found(index.path, "symbol \(symbol) is not behind \(previous)") }
            previous = symbol
        }
    }

    private mutating func verifyChunks(
        of labels: LabelSet, _ metas: [ChunkMeta], _ block: BlockMeta, _ chunks: ChunkFileReader, _ columns: inout SampleColumns
    ) {
        var lastMax: Int64?
        var lastTime: Int64?
        for meta in metas {
            let known = chunks.path(of: meta.ref)
            let path = known.isEmpty ? joinPath(directory, ChunkFile.directoryName) : known
            if meta.minTimeMs > meta.maxTimeMs { found(path, "chunk \(meta.ref.offset) of \(labels) ends before it begins") }
            if let lastMax, meta.minTimeMs <= lastMax {
                found(path, "chunk at \(meta.ref.offset) of \(labels) overlaps the one before")
            }
            lastMax = meta.maxTimeMs
            if meta.minTimeMs < block.minTimeMs || meta.maxTimeMs >= block.maxTimeMs {
                found(path, "chunk at \(meta.ref.offset) of \(labels) is outside of the block's time")
            }
            do {
                let chunk = try chunks.encodedChunk(meta)
                columns.removeAll()
                try chunk.decode(into: &columns)
                counts.chunks += 1
                counts.samples += columns.count
                statistics.chunks += 1
                statistics.samples += UInt64(columns.count)
                if chunk.encoding.isFloat {
                    statistics.floatSamples += UInt64(columns.count)
                } else {
                    statistics.histogramSamples += UInt64(columns.count)
                }
                if columns.count != chunk.count {
                    found(path, "chunk at \(meta.ref.offset) says \(chunk.count) samples and has \(columns.count)")
                }
                verifyTimes(columns, meta, labels, path, &lastTime)
            } catch { found(path, "chunk at \(meta.ref.offset) of \(labels): \(error)") }
        }
    }

    private mutating func verifyTimes(
        _ columns: borrowing SampleColumns, _ meta: ChunkMeta, _ labels: LabelSet, _ path: String, _ lastTime: inout Int64?
    ) {
        guard columns.count > 0 else { return found(path, "chunk at \(meta.ref.offset) of \(labels) is empty") }
        for sample in 0..<columns.count {
            let time = columns.timestampMs(at: sample)
            if let lastTime, time <= lastTime {
                return found(
                    path, "chunk at \(meta.ref.offset) of \(labels): sample \(sample) at \(time) is not after \(lastTime)")
            }
            lastTime = time
        }
        let (first, last) = (columns.timestampMs(at: 0), columns.timestampMs(at: columns.count - 1))
        if first != meta.minTimeMs || last != meta.maxTimeMs {
            found(
                path,
                "chunk at \(meta.ref.offset) of \(labels): the index says \(meta.minTimeMs) to \(meta.maxTimeMs), the samples \(first) to \(last)"
            )
        }
    }

    /// Each pair's list is in order, has as many series as carry the pair, and only such as there are.
    private mutating func verifyPostings(_ index: IndexReader, _ refs: [UInt32], _ pairs: [Label: Int]) throws(BlockError) {
        let known = Set(refs)
        var seen = 0
        for name in index.labelNames {
            for value in try index.labelValues(name) {
                seen += 1
                do throws(BlockError) {
                    let list = try index.postings(name, value)
                    for (one, next) in zip(list, list.dropFirst()) where one >= next {
                        found(index.path, "postings of \(name)=\(value) are out of order")
                        break
                    }
                    if list.contains(where: { !known.contains($0) }) {
                        found(index.path, "postings of \(name)=\(value) name an unknown series")
                    }
                    let expected = pairs[Label(name, value)] ?? 0
                    if list.count != expected {
                        found(index.path, "postings of \(name)=\(value) have \(list.count) series, \(expected) carry the pair")
                    }
                } catch { found(index.path, error.description) }
            }
        }
        if seen < pairs.count { found(index.path, "\(pairs.count - seen) label pairs have no postings") }
    }

    private mutating func verifyStatistics(_ meta: BlockMeta) {
        let path = joinPath(directory, BlockMeta.fileName)
        // Numbers of a block that could not be read to the end prove nothing.
        guard findings == 0 else { return }
        for (name, said, counted) in [
            ("numSamples", meta.statistics.samples, statistics.samples),
            ("numSeries", meta.statistics.series, UInt64(counts.series)),
            ("numChunks", meta.statistics.chunks, statistics.chunks),
        ] where said != counted {
            found(path, "\(name) is \(said), the block has \(counted)")
        }
    }
}
