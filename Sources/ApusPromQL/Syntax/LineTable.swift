/// Where the lines of a query start: turns a byte offset into the `line:column` of an error.
struct LineTable: Sendable, Equatable {
    /// Offsets of the first byte of each line after the first.
    private var starts: [Int] = []

    init(_ query: [UInt8]) {
        for (offset, byte) in query.enumerated() where byte == UInt8(ascii: "\n") { starts.append(offset + 1) }
    }

    /// Both from 1; the column counts bytes.
    func position(_ offset: Int) -> (line: Int, column: Int) {
        var (low, high) = (0, starts.count)
        while low < high {
            let middle = (low + high) / 2
            if starts[middle] <= offset { low = middle + 1 } else { high = middle }
        }
        return (low + 1, offset - (low == 0 ? 0 : starts[low - 1]) + 1)
    }

    func error(_ reason: String, _ range: Range<Int>) -> ParseError {
        let (line, column) = position(range.lowerBound)
        return ParseError(message: "\(line):\(column): parse error: \(reason)", range: range)
    }
}
