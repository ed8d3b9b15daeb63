import ArgumentParser

/// `apus tsdb list`: the blocks of a data directory.
struct TSDBList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the blocks of a data directory.",
        discussion:
            "Changes nothing, also while a server runs on the directory. Blocks that can't be opened are named on standard error."
    )

    @Flag(name: [.customShort("r"), .customLong("human-readable")], help: "Print times and sizes for people.")
    var isHumanReadable = false

    @Argument(help: "The data directory.")
    var path = "data/"

    func run() throws {
        let blocks: [[String]]
        do {
            let table = BlockTable(isHumanReadable: isHumanReadable)
            blocks = try DataDirectory(path).blocks { complain("block \($0) is left out: \($1)") }
                .map { table.row($0.meta, sizeBytes: $0.sizeBytes) }
        } catch { throw fail("opening the db dir: \(error)") }
        print(BlockTable.text([BlockTable.header] + blocks), terminator: "")
    }
}
