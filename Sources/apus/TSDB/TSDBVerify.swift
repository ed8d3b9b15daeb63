import ApusBytes
import ApusTSDB
import ArgumentParser

/// `apus tsdb verify`: reads everything of a data directory and says what is damaged.
struct TSDBVerify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Read all of a data directory, check every checksum, order and count, and report damage.",
        discussion: """
            Changes nothing. Beside a running server, what it is writing at the moment may show as damage.
            Exit status: 0 when all is well, 1 when something is damaged.
            """)

    @Argument(help: "The data directory.")
    var path = "data/"

    func run() throws {
        var findings = 0
        func report(_ finding: Finding) {
            findings += 1
            print("DAMAGED  \(finding)")
        }
        do {
            let directory = try DataDirectory(path)
            let files = directory.files
            for (ulid, block) in try directory.blockDirectories {
                let bar = ProgressBar("Block \(ulid)")
                let before = findings
                var pending: [Finding] = []
                let counts = BlockVerifier.verify(
                    block, files: files, onProgress: { bar.show(Int($0 * 1000), of: 1000) }, report: { pending.append($0) })
                bar.finish()
                for finding in pending { report(finding) }
                if findings == before {
                    print("ok       \(block): \(counts.series) series, \(counts.chunks) chunks, \(counts.samples) samples")
                }
            }
            for name in ["wal", "wbl"] {
                let log = joinPath(path, name)
                guard try files.exists(log) else { continue }
                let bar = ProgressBar("Log \(name)")
                let before = findings
                let counts = LogVerifier.verify(
                    log, files: files, onProgress: { bar.show(Int($0 * 1000), of: 1000) }, report: report)
                bar.finish()
                if findings == before { print("ok       \(log): \(counts.records) records, \(counts.samples) samples") }
            }
            let chunks = joinPath(path, "chunks_head")
            if try files.exists(chunks) {
                let before = findings
                let counts = HeadChunksVerifier.verify(chunks, files: files, report: report)
                if findings == before { print("ok       \(chunks): \(counts.chunks) chunks") }
            }
        } catch { throw fail("\(error)") }
        if findings > 0 { throw ExitCode(1) }
    }
}
