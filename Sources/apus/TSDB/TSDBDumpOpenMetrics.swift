import ApusBytes
import ApusModel
import ApusStorage
import ApusTSDB
import ArgumentParser

/// `apus tsdb dump-openmetrics`: the samples of a data directory as OpenMetrics text, which `create-blocks-from` reads.
struct TSDBDumpOpenMetrics: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dump-openmetrics",
        abstract: "Print the samples of a data directory as OpenMetrics text, without native histograms and staleness markers.",
        discussion: "The directory is only read, also while a server runs on it.")

    @OptionGroup var options: DumpOptions

    func run() throws {
        let sets = try options.matcherSets()
        do {
            let database = try Database.openReadOnly(options.path, observer: StandardErrorObserver())
            var output = StandardOutput()
            try forEachSeries(of: database, sets, minTimeMs: options.minTimeMs, maxTimeMs: options.maxTimeMs) {
                set, index, columns in
                columns.removeAll()
                try set.decode(index, minTimeMs: options.minTimeMs, maxTimeMs: options.maxTimeMs, into: &columns)
                if columns.count == 0 { return }
                let lines = OpenMetricsLines(labels: set.labels(at: index))
                for sample in 0..<columns.count {
                    lines.append(sample, of: columns, to: &output.bytes)
                    try output.flushIfLarge()
                }
            }
            output.bytes.append(contentsOf: "# EOF\n".utf8)
            try output.flush()
            try database.close()
        } catch let code as ExitCode { throw code } catch { throw fail("\(error)") }
    }
}
