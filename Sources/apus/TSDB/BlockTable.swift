import ApusServer
import ApusTSDB

/// Blocks as a table, a line each:
///
///     BLOCK ULID                  MIN TIME       MAX TIME       DURATION     NUM SAMPLES  NUM CHUNKS   NUM SERIES   SIZE
///     01M83RV6B213WDT0QDJ74YDY8Y  1704067199987  1704067200000  13ms         1            1            1            846
struct BlockTable {
    static let header = ["BLOCK ULID", "MIN TIME", "MAX TIME", "DURATION", "NUM SAMPLES", "NUM CHUNKS", "NUM SERIES", "SIZE"]
    private static let leastWidth = 13
    private static let gap = 2

    let isHumanReadable: Bool

    func row(_ meta: BlockMeta, sizeBytes: Int) -> [String] {
        [
            meta.ulid.description, time(meta.minTimeMs), time(meta.maxTimeMs),
            formatGoDuration(ms: meta.maxTimeMs.subtractingReportingOverflow(meta.minTimeMs).partialValue),
            String(meta.statistics.samples),
            String(meta.statistics.chunks), String(meta.statistics.series),
            isHumanReadable ? formatExactBytes(sizeBytes) : String(sizeBytes),
        ]
    }

    private func time(_ ms: Int64) -> String {
        if !isHumanReadable { return String(ms) }
        let text = formatRFC3339(ms: ms / 1000 * 1000)
        return text.dropLast().split(separator: "T").joined(separator: " ") + " +0000 UTC"
    }

    /// Lines with columns below each other.
    static func text(_ rows: [[String]]) -> String {
        var widths = [Int](repeating: leastWidth, count: header.count)
        for row in rows {
            for (column, cell) in row.enumerated() where column < widths.count {
                widths[column] = max(widths[column], cell.utf8.count + gap)
            }
        }
        return rows.map { row in
            row.enumerated().map { column, cell in
                column == row.count - 1 ? cell : cell + String(repeating: " ", count: max(0, widths[column] - cell.utf8.count))
            }.joined() + "\n"
        }.joined()
    }
}
