import ApusBytes
import ApusConfig
import ApusModel
import ApusPromQL
import ApusServer
import ApusTSDB
import ArgumentParser

/// `apus tsdb create-blocks-from rules FILE…`: what recording rules would have recorded, had they been there before.
struct CreateBlocksFromRules: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rules", abstract: "Make blocks of what recording rules would have recorded.",
        discussion: """
            A server evaluates the rules over the past; it is asked by its API. Move the blocks into its data directory: it finds
            them within a minute. Rules that use what other rules of the files record need a second run, once the blocks of the
            first are there. Alerting rules are passed over.
            """)

    @Flag(name: [.customShort("r"), .customLong("human-readable")], help: "Print times and sizes for people.")
    var isHumanReadable = false

    @Flag(name: .shortAndLong, help: "Do not print the blocks.")
    var quiet = false

    @Option(name: .customLong("url"), help: "The server with the data.")
    var url = "http://localhost:9090"

    @Option(name: .customLong("header"), help: "A header for the server, name=value. May be repeated.")
    var headers: [String] = []

    @Option(name: .customLong("start"), help: "From when: RFC 3339 or Unix seconds.")
    var start: String

    @Option(name: .customLong("end"), help: "Until when: RFC 3339 or Unix seconds. Default: three hours ago.")
    var end: String?

    @Option(name: .customLong("output-dir"), help: "Where the blocks go.")
    var output = "data/"

    @Option(name: .customLong("eval-interval"), help: "Time between two evaluations where a group has no interval of its own.")
    var interval = DurationFlag(ms: 60_000)

    @Option(name: .customLong("max-block-duration"), help: ArgumentHelp("Longest time of a block.", visibility: .hidden))
    var maxBlockDuration = DurationFlag(ms: 2 * 3_600_000)

    @Argument(help: "Files of rules.")
    var files: [String]

    private static let defaultDelayMs: Int64 = 3 * 3_600_000

    func validate() throws {
        guard !files.isEmpty else { throw ValidationError("name a file of rules at least") }
        guard interval.ms > 0 else { throw ValidationError("--eval-interval must be greater than 0") }
    }

    func run() throws {
        try asking {
            do { try write() } catch let error as ConfigError { throw fail("\(error)") } catch let error as FileError {
                throw fail("\(error)")
            } catch let error as ImportError { throw fail("\(error)") } catch let error as BlockError { throw fail("\(error)") }
        }
    }

    private func write() throws {
        let startMs = try parseTime(ByteString(start)) / 1_000 * 1_000
        let endMs = (try end.map { try parseTime(ByteString($0)) } ?? SystemTime().wallMs() - Self.defaultDelayMs) / 1_000 * 1_000
        guard startMs < endMs else { throw ClientError("start time is not before end time") }
        let loaded = try files.map { (name: $0, rules: try RuleFile.load(file: $0)) }
        let client = try APIClient(url, headers: headers)
        let disk = PosixFileSystem()
        try disk.createDirectory(output)
        let importer = OpenMetricsImport(
            into: output, files: disk,
            options: ImportOptions(blockMs: CreateBlocksFromOpenMetrics.blockDuration(maxBlockDuration.ms), labels: []))
        for file in loaded {
            for group in file.rules.groups {
                let steps = RuleSteps(
                    startMs: startMs, endMs: endMs, intervalMs: group.intervalMs > 0 ? group.intervalMs : interval.ms,
                    group: group.name, file: file.name)
                for rule in group.rules {
                    guard case .recording(let name) = rule.kind else { continue }
                    let count = try record(rule, as: name, steps, client, importer)
                    if !quiet { writeToStandardError("\(file.name): group \(group.name): \(name): \(count) samples\n") }
                }
            }
        }
        var rows = [BlockTable.header]
        let table = BlockTable(isHumanReadable: isHumanReadable)
        try importer.writeBlocks(onProgress: { _, _ in }) { meta in
            let block = try Block.open(joinPath(output, meta.ulid.description), files: disk)
            rows.append(table.row(meta, sizeBytes: block.sizeBytes))
            block.close()
        }
        if !quiet, rows.count > 1 { print(BlockTable.text(rows), terminator: "") }
    }

    /// Asks for a rule's values stretch by stretch, and keeps them.
    private func record(
        _ rule: RuleFile.Rule, as name: String, _ steps: RuleSteps, _ client: APIClient, _ importer: OpenMetricsImport
    ) throws -> Int {
        var count = 0
        let own = rule.labels.map { Label($0.name, $0.value) } + [Label("__name__", ByteString(name))]
        for stretch in steps.stretches {
            let answer = try client.ask(
                "/api/v1/query_range",
                [
                    ("query", rule.expression), ("start", seconds(stretch.lowerBound)), ("end", seconds(stretch.upperBound)),
                    ("step", seconds(steps.intervalMs)),
                ])
            tell(answer)
            for series in answer.data["result"]?.elements ?? [] {
                var labels: [Label] = []
                if case .object(let members)? = series["metric"] {
                    labels = members.map { Label($0.name, ByteString($0.value.text ?? "")) }
                }
                // The rule's labels after the result's, so that they win.
                labels = labels.filter { label in !own.contains { $0.name == label.name } } + own
                let set = LabelSet(labels.filter { !$0.value.isEmpty })
                for point in series["values"]?.elements ?? [] {
                    guard point.elements.count == 2, let time = point.elements[0].double, let text = point.elements[1].text,
                        let value = parseDouble(Array(text.utf8).span), let timestampMs = Int64(exactly: (time * 1_000).rounded())
                    else { throw ClientError("the server answered with a sample that is none") }
                    try importer.add(set, timestampMs: timestampMs, value: value)
                    count += 1
                }
                if series["histograms"] != nil {
                    throw ClientError("rule \(name) yields native histograms, which blocks cannot be made of here")
                }
            }
        }
        return count
    }
}

/// When a group of rules is evaluated: at multiples of its interval, moved by an offset that its name and file decide, as a
/// server does it, so that what is filled in lies where the server goes on.
struct RuleSteps {
    let intervalMs: Int64
    /// Each short enough for one query: first and last evaluation.
    let stretches: [ClosedRange<Int64>]

    /// Evaluations in one query. The API gives no more than 11,000 points of a series.
    static let maxSteps: Int64 = 10_000

    init(startMs: Int64, endMs: Int64, intervalMs: Int64, group: String, file: String) {
        self.intervalMs = intervalMs
        let intervalNs = UInt64(clamping: intervalMs) &* 1_000_000
        let offsetMs = Int64(clamping: (seriesHash(LabelSet([Label("file", ByteString(file)), Label("name", ByteString(group))])) % max(1, intervalNs)) / 1_000_000)
        var first = (startMs - offsetMs) / intervalMs * intervalMs + offsetMs
        while first < startMs { first += intervalMs }
        var stretches: [ClosedRange<Int64>] = []
        while first <= endMs {
            let last = min(first + (Self.maxSteps - 1) * intervalMs, first + (endMs - first) / intervalMs * intervalMs)
            stretches.append(first...last)
            first = last + intervalMs
        }
        self.stretches = stretches
    }
}
