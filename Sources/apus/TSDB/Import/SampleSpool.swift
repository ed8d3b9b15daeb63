import ApusBytes

/// A sample on its way into a block: whose it is, when, counted from the start of the block's time, and its value.
struct SpoolRow: BitwiseCopyable {
    var series: UInt32
    var offsetMs: UInt32
    var value: Double
}

/// Samples sorted into ranges of time as they come, in memory up to a limit, and in one file beyond.
///
///     add ─▶ rows of a range ─┬─ too many in all ─▶ file: │ range 7 │ range 8 │ range 7 │ …
///                             └──────────── read(range) ◀──────┘
///
/// A run in the file is what a range had when memory was full; so the file is written and read in long stretches.
final class SampleSpool {
    private final class Range {
        var rows: [SpoolRow] = []
        /// Where its rows lie in the file: offset in bytes, number of rows.
        var runs: [(offset: Int, count: Int)] = []
        var count = 0
    }
    private var ranges: [Int64: Range] = [:]
    /// The range of the last row: a series' samples come in order of time mostly.
    private var last: (index: Int64, range: Range)?
    private var heldRows = 0
    private let maxRows: Int
    private let path: String
    private let files: any FileSystem
    private var file: (any File)?
    private var fileBytes = 0

    private static let rowBytes = MemoryLayout<SpoolRow>.stride

    init(path: String, files: any FileSystem, maxRows: Int) {
        self.path = path
        self.files = files
        self.maxRows = maxRows
    }

    deinit {
        file?.close()
        try? files.removeFile(path)
    }

    var rangeIndices: [Int64] { ranges.keys.sorted() }
    func count(_ index: Int64) -> Int { ranges[index]?.count ?? 0 }

    func add(_ row: SpoolRow, to index: Int64) throws(FileError) {
        let range: Range
        if let last, last.index == index {
            range = last.range
        } else {
            range = ranges[index] ?? Range()
            ranges[index] = range
            last = (index, range)
        }
        range.rows.append(row)
        range.count += 1
        heldRows += 1
        if heldRows >= maxRows { try spill() }
    }

    private func spill() throws(FileError) {
        let file: any File
        if let open = self.file {
            file = open
        } else {
            file = try files.open(path, .create)
            self.file = file
        }
        for index in rangeIndices {
            guard let range = ranges[index], !range.rows.isEmpty else { continue }
            let bytes = range.rows.count * Self.rowBytes
            let result: Result<Void, FileError> = unsafe range.rows.withUnsafeBytes { buffer in
                do throws(FileError) { return .success(try unsafe file.write(buffer, at: fileBytes)) } catch {
                    return .failure(error)
                }
            }
            try result.get()
            range.runs.append((fileBytes, range.rows.count))
            fileBytes += bytes
            range.rows = []
        }
        heldRows = 0
    }

    /// Calls `body` with all rows of a range, in the order in which they came, a stretch at a time.
    func read(_ index: Int64, _ body: ([SpoolRow]) -> Void) throws(FileError) {
        guard let range = ranges[index] else { return }
        for run in range.runs {
            guard let file else { break }
            var done = 0
            while done < run.count {
                let count = min(run.count - done, Self.rowsAtOnce)
                var rows = [SpoolRow](repeating: SpoolRow(series: 0, offsetMs: 0, value: 0), count: count)
                let offset = run.offset + done * Self.rowBytes
                let result: Result<Void, FileError> = unsafe rows.withUnsafeMutableBytes { buffer in
                    do throws(FileError) {
                        var filled = 0
                        while filled < buffer.count {
                            let read = try unsafe file.read(into: .init(rebasing: buffer[filled...]), at: offset + filled)
                            if read == 0 { throw FileError("read", path, code: 5, reason: "the file of samples ends too early") }
                            filled += read
                        }
                        return .success(())
                    } catch { return .failure(error) }
                }
                try result.get()
                body(rows)
                done += count
            }
        }
        body(range.rows)
    }

    private static let rowsAtOnce = 1 << 16

    func forget(_ index: Int64) { ranges[index] = nil }
}
