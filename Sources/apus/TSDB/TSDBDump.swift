import ApusBytes
import ApusModel
import ApusPromQL
import ApusStorage
import ApusTSDB
import ArgumentParser

/// How `apus tsdb dump` writes a sample.
enum DumpFormat: String, ExpressibleByArgument, CaseIterable, Sendable {
    /// `{__name__="up", job="x"} 1 1704067200000`, as promtool.
    case prom
    /// `{"__name__":"up","job":"x"} 1704067200000 1.0`: every bit of a value, native histograms whole. See `ExactLine`.
    case exact
    /// The label sets alone, a JSON object a line.
    case seriesjson
}

/// What the dumping commands have in common: which directory, which samples.
struct DumpOptions: ParsableArguments {
    @Option(name: .customLong("min-time"), help: "Only samples at or after this time, in milliseconds since the Unix epoch.")
    var minTimeMs = Int64.min

    @Option(name: .customLong("max-time"), help: "Only samples at or before this time, in milliseconds since the Unix epoch.")
    var maxTimeMs = Int64.max

    @Option(name: .customLong("match"), help: "Only series of this selector. May be repeated; those of any are taken.")
    var matches: [String] = []

    @Option(
        name: .customLong("sandbox-dir-root"),
        help: ArgumentHelp("Taken as promtool does; nothing is written anywhere.", visibility: .hidden))
    var sandboxDirRoot: String?

    @Argument(help: "The data directory.")
    var path = "data/"

    /// One list of matchers for each selector; of all series without any.
    func matcherSets() throws -> [[Matcher]] {
        if matches.isEmpty { return [[]] }
        return try matches.map { text in
            do throws(ParseError) { return try parseSelector(ByteString(text)) } catch { throw fail(error.message) }
        }
    }
}

/// `apus tsdb dump`: the samples of a data directory as text.
struct TSDBDump: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dump", abstract: "Print the samples of a data directory.",
        discussion: """
            Series in order of labels, samples in order of time. The directory is only read, also while a server runs on it; with
            --format=exact it is opened as a server would, damage repaired, and locked meanwhile.
            """)

    @OptionGroup var options: DumpOptions

    @Option(name: .customLong("format"), help: "How a sample is written: prom, exact or seriesjson.")
    var format = DumpFormat.prom

    func run() throws {
        let sets = try options.matcherSets()
        do {
            let database =
                try format == .exact
                ? openForRepair(options.path) : .openReadOnly(options.path, observer: StandardErrorObserver())
            var output = StandardOutput()
            switch format {
            case .prom: try dump(database, sets, &output) { PromLines(labels: $0) }
            case .exact: try dump(database, sets, &output) { ExactLines(labels: $0) }
            case .seriesjson: try dumpSeries(database, sets, &output)
            }
            try output.flush()
            try database.close()
        } catch let code as ExitCode { throw code } catch { throw fail("\(error)") }
    }

    /// A copy's life may begin with a repair: damage at the end of a log is cut off, as at a server's start.
    private func openForRepair(_ path: String) throws -> Database {
        let directory = try DataDirectory(path)
        var options = DatabaseOptions(settings: DatabaseSettings(retentionMs: 0, maxExemplars: 0))
        options.isCompactionEnabled = false
        options.isSnapshotEnabled = false
        options.hasThreads = false
        return try .open(path, options: options, files: directory.files, time: SystemTime(), observer: StandardErrorObserver())
    }

    private func dump<Lines: SampleLines>(
        _ database: Database, _ sets: [[Matcher]], _ output: inout StandardOutput, _ makeLines: (LabelSet) -> Lines
    ) throws {
        try forEachSeries(database, sets) { set, index, columns in
            columns.removeAll()
            try set.decode(index, minTimeMs: options.minTimeMs, maxTimeMs: options.maxTimeMs, into: &columns)
            if columns.count == 0 { return }
            let lines = makeLines(set.labels(at: index))
            for sample in 0..<columns.count {
                lines.append(sample, of: columns, to: &output.bytes)
                try output.flushIfLarge()
            }
        }
    }

    private func dumpSeries(_ database: Database, _ sets: [[Matcher]], _ output: inout StandardOutput) throws {
        try forEachSeries(database, sets) { set, index, columns in
            columns.removeAll()
            try set.decode(index, minTimeMs: options.minTimeMs, maxTimeMs: options.maxTimeMs, into: &columns)
            if columns.count == 0 { return }
            output.bytes.appendJSON(set.labels(at: index))
            output.bytes.append(UInt8(ascii: "\n"))
            try output.flushIfLarge()
        }
    }

    private func forEachSeries(
        _ database: Database, _ sets: [[Matcher]], _ body: (any SeriesSet, Int, inout SampleColumns) throws -> Void
    ) throws {
        try apus.forEachSeries(of: database, sets, minTimeMs: options.minTimeMs, maxTimeMs: options.maxTimeMs, body)
    }
}

/// Calls `body` for every series that any of the selectors finds, once, in order of labels.
func forEachSeries(
    of database: Database, _ sets: [[Matcher]], minTimeMs: Int64, maxTimeMs: Int64,
    _ body: (any SeriesSet, Int, inout SampleColumns) throws -> Void
) throws {
    let querier = try database.querier(minTimeMs: minTimeMs, maxTimeMs: maxTimeMs)
    defer { querier.close() }
    let hints = SelectHints(startMs: minTimeMs, endMs: maxTimeMs)
    let found = try sets.map { try querier.select($0, hints: hints, sorted: true) }
    var columns = SampleColumns(histograms: true)
    if found.count == 1, let set = found.first {
        for index in 0..<set.count { try body(set, index, &columns) }
        return
    }
    // The next series of each set; equal label sets are one series.
    var positions = [Int](repeating: 0, count: found.count)
    while true {
        var least: (labels: LabelSet, set: Int)?
        for (number, set) in found.enumerated() where positions[number] < set.count {
            let labels = set.labels(at: positions[number])
            if least.map({ labels < $0.labels }) ?? true { least = (labels, number) }
        }
        guard let least else { return }
        try body(found[least.set], positions[least.set], &columns)
        for (number, set) in found.enumerated()
        where positions[number] < set.count && set.labels(at: positions[number]) == least.labels {
            positions[number] += 1
        }
    }
}

/// Warnings of a database to standard error: what a tool leaves out must be known.
struct StandardErrorObserver: DatabaseObserver {
    func log(_ level: DatabaseLogLevel, _ message: String, _ fields: [(name: String, value: String)]) {
        guard level == .warning || level == .error else { return }
        complain(message + fields.map { " \($0.name)=\($0.value)" }.joined())
    }
    func replayProgress(_ progress: ReplayProgress) {}
}
