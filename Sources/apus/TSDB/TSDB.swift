import ApusBytes
import ApusTSDB
import ArgumentParser

/// `apus tsdb`: look into a data directory, and make blocks. The commands and what they print are promtool's.
struct TSDB: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tsdb", abstract: "Look into data directories and make blocks.",
        subcommands: [
            TSDBList.self, TSDBAnalyze.self, TSDBDump.self, TSDBDumpOpenMetrics.self, TSDBVerify.self, TSDBCreateBlocks.self, TSDBBench.self,
        ])
}

/// Ends a command with a message and exit status 1.
func fail(_ message: String) -> ExitCode {
    complain(message)
    return ExitCode(1)
}

/// What lies in a data directory, opened only as far as it is looked at, and never changed: a server may run on it.
struct DataDirectory {
    let path: String
    let files = PosixFileSystem()

    /// - Throws: when there is no such directory.
    init(_ path: String) throws {
        self.path = path
        guard let status = try files.status(path) else {
            throw FileError("stat", path, code: 2, reason: "no such file or directory")
        }
        guard status.isDirectory else { throw FileError("open", path, code: 20, reason: "not a directory") }
    }

    /// Directories that are named as blocks are, in order of name.
    var blockDirectories: [(ulid: ULID, path: String)] {
        get throws {
            try files.list(path).compactMap { entry in
                guard entry.isDirectory, let ulid = ULID(entry.name) else { return nil }
                return (ulid, joinPath(path, entry.name))
            }
        }
    }

    /// All blocks that can be opened, in order of time. `report` hears of the others.
    func blocks(_ report: (String, BlockError) -> Void) throws -> [Block] {
        var blocks: [Block] = []
        for (_, path) in try blockDirectories {
            do throws(BlockError) { blocks.append(try Block.open(path, files: files)) } catch { report(path, error) }
        }
        return blocks.sorted { ($0.minTimeMs, $0.maxTimeMs, $0.ulid) < ($1.minTimeMs, $1.maxTimeMs, $1.ulid) }
    }
}
