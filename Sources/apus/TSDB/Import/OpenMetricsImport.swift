import ApusBytes
import ApusExposition
import ApusModel
import ApusTSDB

struct ImportOptions {
    /// Time of a block; blocks begin at multiples of it.
    var blockMs: Int64
    /// Added to every series; they win over a label of the same name.
    var labels: [Label]
    /// Rows held in memory; beyond, they go to a file. A row takes 16 bytes, twice while its block is written.
    var maxRows = 4 << 20
}

/// Why a file can't be imported.
struct ImportError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Turns an OpenMetrics file of any size into blocks, in one pass over the text and in bounded memory.
///
///     file (mapped) ─▶ OpenMetricsParser ─▶ SampleSpool, by block range ─▶ RangeSeries, by series ─▶ writeBlock
///
/// Memory grows with the number of series, not of samples.
final class OpenMetricsImport {
    private let directory: String
    private let files: any FileSystem
    private let options: ImportOptions
    private let spool: SampleSpool
    private var series = ImportedSeries()

    private static let spoolName = "import-samples.tmp"
    /// Bytes between two reports of progress.
    private static let reportBytes = 1 << 20

    init(into directory: String, files: any FileSystem, options: ImportOptions) {
        self.directory = directory
        self.files = files
        self.options = options
        spool = SampleSpool(path: joinPath(directory, Self.spoolName), files: files, maxRows: options.maxRows)
    }

    /// Reads all of a file. `onProgress` hears bytes done and in all.
    func read(_ path: String, onProgress: (Int, Int) -> Void) throws {
        let mapping = try files.map(path)
        // SAFETY: the mapping lives until the end of this call, and nothing writes the file through it.
        let bytes = unsafe mapping.bytes
        guard let start = bytes.baseAddress else { throw ImportError("\(path): data does not end with # EOF") }
        let page = unsafe Span<UInt8>(_unsafeStart: start.assumingMemoryBound(to: UInt8.self), count: bytes.count)
        do { try read(page, onProgress) } catch let error as ExpositionError { throw ImportError("\(path):\(error)") }
    }

    private func read(_ page: Span<UInt8>, _ onProgress: (Int, Int) -> Void) throws {
        var parser = OpenMetricsParser()
        var current: UInt32 = 0
        var hasCurrent = false
        var reportAt = 0
        while let entry = try parser.next(page) {
            guard case .series(let line) = entry else { continue }
            guard let time = line.timestampMs else {
                let text = String(decoding: (line.text).map { page[$0] }, as: UTF8.self)
                throw ImportError("expected timestamp for series \(text), got none: samples of a file need one")
            }
            if !line.repeatsSeries || !hasCurrent {
                current = try number(of: line, parser, page)
                hasCurrent = true
            }
            try add(current, time, line.value)
            if parser.offset >= reportAt {
                onProgress(parser.offset, page.count)
                reportAt = parser.offset + Self.reportBytes
            }
        }
    }

    private func add(_ series: UInt32, _ timeMs: Int64, _ value: Double) throws {
        var range = timeMs / options.blockMs
        if timeMs < 0 && range * options.blockMs != timeMs { range -= 1 }
        let (start, overflow) = range.multipliedReportingOverflow(by: options.blockMs)
        guard !overflow else { throw ImportError("timestamp \(timeMs) ms is out of range") }
        try spool.add(SpoolRow(series: series, offsetMs: UInt32(truncatingIfNeeded: timeMs &- start), value: value), to: range)
    }

    /// Adds a sample that comes from elsewhere than a file.
    func add(_ labels: LabelSet, timestampMs: Int64, value: Double) throws {
        let hash = labels.hash64(seed: series.seed)
        let number: UInt32
        if let known = series.find(text: hash) { number = known } else {
            guard series.labels.count < Int(UInt32.max) else { throw ImportError("there are more series than one import can hold") }
            number = series.insert(labels, text: hash)
        }
        try add(number, timestampMs, value)
    }

    private func number(of line: OpenMetricsParser.SeriesLine, _ parser: OpenMetricsParser, _ page: Span<UInt8>) throws -> UInt32
    {
        // The type decides how bounds are written, so the same text may be two series.
        let writesBounds = parser.currentType == .histogram || parser.currentType == .summary
        let hash = hashBytes(page.extracting(line.text), seed: writesBounds ? ~series.seed : series.seed)
        if let known = series.find(text: hash) { return known }
        guard series.labels.count < Int(UInt32.max) else {
            throw ImportError("the file has more series than one import can hold")
        }
        let parts = parser.labels(page)
        var names = Set<ByteString>()
        for label in parts where !names.insert(label.name).inserted {
            throw ImportError("label \(label.name) stands twice in series \(LabelSet(parts))")
        }
        return series.insert(LabelSet(parts + options.labels), text: hash)
    }

    /// Writes a block for each range that has samples; `written` hears of each.
    func writeBlocks(onProgress: (Int, Int) -> Void, written: (BlockMeta) throws -> Void) throws {
        let order = series.sorted()
        var generator = ULIDGenerator()
        let time = SystemTime()
        let ranges = spool.rangeIndices
        for (done, index) in ranges.enumerated() {
            onProgress(done, ranges.count)
            let source = try RangeSeries(
                spool, index: index, startMs: index &* options.blockMs, series: series, order: order, maxRows: options.maxRows)
            // Half-open, so one more than the last sample; what has no such time is refused by the block.
            let maxTime = source.maxTimeMs.addingReportingOverflow(1)
            let meta = try writeBlock(
                source, into: directory, ulid: generator.next(timeMs: time.wallMs()), minTimeMs: source.minTimeMs,
                maxTimeMs: maxTime.overflow ? source.maxTimeMs : maxTime.partialValue, files: files)
            if let meta { try written(meta) }
            spool.forget(index)
        }
    }
}
