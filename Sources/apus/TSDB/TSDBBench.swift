import ApusBytes
import ApusModel
import ApusStorage
import ApusTSDB
import ArgumentParser

/// `apus tsdb bench`: how fast this machine stores samples.
struct TSDBBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Run benchmarks.", subcommands: [TSDBBenchWrite.self])
}

/// `apus tsdb bench write`: simulated scrapes into a database of their own.
struct TSDBBenchWrite: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "write", abstract: "Write simulated scrapes into a database, as fast as it takes them.",
        discussion: "The series come from a file with a JSON object of labels a line, as promtool's, or are made up.")

    @Option(name: .customLong("out"), help: "Where the database is made; what is there is removed.")
    var output = "benchout"

    @Option(name: .customLong("metrics"), help: "Number of series.")
    var seriesCount = 10_000

    @Option(name: .customLong("scrapes"), help: "Number of scrapes, 30 s apart.")
    var scrapes = 3000

    @Argument(help: "A file with series.")
    var file: String?

    /// Series that are appended together, as if they were one target's.
    private static let batchSize = 1000
    private static let intervalMs: Int64 = 30_000

    func validate() throws {
        guard seriesCount > 0, scrapes > 0 else { throw ValidationError("--metrics and --scrapes must be greater than 0") }
    }

    func run() throws {
        do {
            let labels = try stage("readData") { try readSeries() }
            let files = PosixFileSystem()
            let storage = joinPath(output, "storage")
            try files.removeTree(storage)
            try files.createDirectory(storage)
            let database = try Database.open(
                storage, options: DatabaseOptions(), files: files, time: SystemTime(), observer: StandardErrorObserver())
            let clock = SystemTime()
            let started = clock.monotonicNs()
            let total = try stage("ingestScrapes") { try ingest(labels, into: database) }
            let seconds = Double(clock.monotonicNs() &- started) / 1e9
            print(" > total samples: \(total)")
            print(" > samples/sec: \(Int((Double(total) / max(seconds, 1e-9)).rounded()))")
            try stage("stopStorage") { try database.close() }
        } catch { throw fail("\(error)") }
    }

    private func stage<R>(_ name: String, _ body: () throws -> R) throws -> R {
        let clock = SystemTime()
        let started = clock.monotonicNs()
        print(">> start stage=\(name)")
        let result = try body()
        print(">> completed stage=\(name) duration=\(formatGoDuration(ms: Int64((clock.monotonicNs() &- started) / 1_000_000)))")
        return result
    }

    private func readSeries() throws -> [LabelSet] {
        guard let file else {
            return (0..<seriesCount).map { number in
                [
                    "__name__": ByteString("bench_metric_\(number % 50)_total"), "instance": ByteString("host-\(number / 500):9100"),
                    "job": "bench", "series": ByteString(String(number)),
                ]
            }
        }
        var result: [LabelSet] = []
        for line in try readFile(file).split(separator: .init(ascii: "\n")) where result.count < seriesCount {
            result.append(try labels(ofJSON: Array(line)))
        }
        return result
    }

    /// `{"name":"value",…}`.
    private func labels(ofJSON text: [UInt8]) throws -> LabelSet {
        guard case .object(let members) = try JSONReader.read(text) else { throw ImportError("\(file ?? ""): a line is no object") }
        return LabelSet(
            try members.map { member in
                guard case .string(let value) = member.value else { throw ImportError("\(file ?? ""): label \(member.name) is no string") }
                return Label(member.name, value)
            })
    }

    private func ingest(_ labels: [LabelSet], into database: Database) throws -> Int {
        let bar = ProgressBar("Scrapes")
        defer { bar.finish() }
        let refs = try labels.map { try database.seriesRef(for: $0) }
        var batch = SampleBatch()
        var appended = 0
        // In the past, so that the last scrape is not later than now.
        let startMs = SystemTime().wallMs() - Int64(scrapes) * Self.intervalMs
        for scrape in 0..<scrapes {
            let time = startMs + Int64(scrape) * Self.intervalMs
            for first in stride(from: 0, to: refs.count, by: Self.batchSize) {
                batch.removeAll()
                for number in first..<min(first + Self.batchSize, refs.count) {
                    batch.append(refs[number], timestampMs: time, value: Double(123_456_789 + scrape * 1000 + number))
                }
                appended += try database.append(batch).appended
            }
            database.maintain(nowMs: time)
            bar.show(scrape, of: scrapes, "\(scrape) of \(scrapes)")
        }
        return appended
    }
}
