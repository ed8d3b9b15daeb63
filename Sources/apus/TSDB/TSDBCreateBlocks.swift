import ApusBytes
import ApusModel
import ApusServer
import ApusTSDB
import ArgumentParser

/// `apus tsdb create-blocks-from`: blocks of data that did not come by scraping.
struct TSDBCreateBlocks: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create-blocks-from", abstract: "Make blocks of data from elsewhere.",
        subcommands: [CreateBlocksFromOpenMetrics.self, CreateBlocksFromRules.self])
}

/// `apus tsdb create-blocks-from openmetrics FILE [DIRECTORY]`.
struct CreateBlocksFromOpenMetrics: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "openmetrics", abstract: "Make blocks of the samples in an OpenMetrics file.",
        discussion: """
            Every sample needs a timestamp, in seconds, and the file its # EOF. Move the blocks into a server's data directory: it
            finds them within a minute. Samples may come in any order; of several at one time of a series the first is taken.
            """)

    @Flag(name: [.customShort("r"), .customLong("human-readable")], help: "Print times and sizes for people.")
    var isHumanReadable = false

    @Flag(name: .shortAndLong, help: "Do not print the blocks.")
    var quiet = false

    @Option(name: .customLong("label"), help: "A label for all series, name=value. May be repeated.")
    var labels: [String] = []

    @Option(name: .customLong("max-block-duration"), help: ArgumentHelp("Longest time of a block.", visibility: .hidden))
    var maxBlockDuration = DurationFlag(ms: 2 * 3_600_000)

    @Option(
        name: .customLong("max-memory-samples"),
        help: ArgumentHelp("Samples held in memory before they go to a file.", visibility: .hidden))
    var maxSamples = 4 << 20

    @Argument(help: "The file.")
    var input: String

    @Argument(help: "Where the blocks go.")
    var output = "data/"

    func validate() throws {
        for label in labels where !label.contains("=") { throw ValidationError("--label=\(label) is not of the form name=value") }
    }

    func run() throws {
        do {
            let files = PosixFileSystem()
            try files.createDirectory(output)
            let extra = labels.map { text in
                let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                return Label(ByteString(String(parts[0])), ByteString(String(parts[1])))
            }
            var options = ImportOptions(blockMs: Self.blockDuration(maxBlockDuration.ms), labels: extra)
            options.maxRows = max(1, maxSamples)
            let bar = ProgressBar("Reading \(input)")
            let importer = OpenMetricsImport(into: output, files: files, options: options)
            try importer.read(input) { bar.show($0, of: $1, formatBytes($0)) }
            bar.finish()
            var rows = [BlockTable.header]
            let table = BlockTable(isHumanReadable: isHumanReadable)
            let blockBar = ProgressBar("Writing blocks")
            try importer.writeBlocks(onProgress: { blockBar.show($0, of: $1, "\($0) of \($1)") }) { meta in
                let block = try Block.open(joinPath(output, meta.ulid.description), files: files)
                rows.append(table.row(meta, sizeBytes: block.sizeBytes))
                block.close()
            }
            blockBar.finish()
            if !quiet, rows.count > 1 { print(BlockTable.text(rows), terminator: "") }
        } catch { throw fail("\(error)") }
    }

    /// The longest of two hours, six, eighteen … up to 31 days that is not above the limit.
    static func blockDuration(_ limitMs: Int64) -> Int64 {
        var duration: Int64 = DatabaseOptions.defaultBlockDurationMs
        while duration * 3 <= min(limitMs, 31 * 86_400_000) { duration *= 3 }
        return duration
    }
}
