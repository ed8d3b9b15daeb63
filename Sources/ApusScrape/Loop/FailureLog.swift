import ApusModel
import Glibc

/// The files that `scrape_failure_log_file` names: a line of JSON for each scrape that failed.
///
///     {"time":"2026-01-02T03:04:05.678Z","level":"ERROR","msg":"…","scrape_pool":"node","target":"http://…"}
final class FailureLog: Sendable {
    private struct Content {
        var files: [String: CInt] = [:]
        /// Files that could not be opened: said once, until a reload.
        var broken: Set<String> = []
    }
    private let content = Locked(Content())

    deinit { reopen() }

    /// Closes all files; the next line opens its own anew. Called at each reload, so that logs can be moved away.
    func reopen() {
        content.withLock { content in
            for descriptor in content.files.values { close(descriptor) }
            content = Content()
        }
    }

    /// - Returns: why the file could not be opened, the first time.
    func write(_ path: String, timeMs: Int64, message: String, scrapePool: String, target: String) -> String? {
        var line = "{\"time\":\"\(formatRFC3339(timeMs))\",\"level\":\"ERROR\",\"msg\":\(jsonQuoted(message))"
        line += ",\"scrape_pool\":\(jsonQuoted(scrapePool)),\"target\":\(jsonQuoted(target))}\n"
        let bytes = Array(line.utf8)
        return content.withLock { content in
            if content.broken.contains(path) { return nil }
            var descriptor = content.files[path] ?? -1
            if descriptor < 0 {
                descriptor = unsafe open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o666)
                guard descriptor >= 0 else {
                    content.broken.insert(path)
                    return "open \(path): \(lastError())"
                }
                content.files[path] = descriptor
            }
            // One call a line: several servers may share a file. A full disk loses lines and nothing else.
            _ = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
            return nil
        }
    }
}

func jsonQuoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": result += "\\\""
        case "\\": result += "\\\\"
        case "\n": result += "\\n"
        case "\r": result += "\\r"
        case "\t": result += "\\t"
        case _ where scalar.value < 0x20:
            let digits = String(scalar.value, radix: 16)
            result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result + "\""
}

/// `2026-01-02T03:04:05.678Z`. The day by Howard Hinnant's `civil_from_days`, in years that begin in March.
func formatRFC3339(_ ms: Int64) -> String {
    func floored(_ value: Int64, _ by: Int64) -> (quotient: Int64, rest: Int64) {
        let (quotient, rest) = value.quotientAndRemainder(dividingBy: by)
        return rest < 0 ? (quotient - 1, rest + by) : (quotient, rest)
    }
    func padded(_ value: Int64, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
    let (day, msOfDay) = floored(ms, 86_400_000)
    let (era, dayOfEra) = floored(day + 719_468, 146_097)
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let month = (5 * dayOfYear + 2) / 153
    let dayOfMonth = dayOfYear - (153 * month + 2) / 5 + 1
    let year = yearOfEra + era * 400 + (month >= 10 ? 1 : 0)
    let date = "\(padded(year, 4))-\(padded(month < 10 ? month + 3 : month - 9, 2))-\(padded(dayOfMonth, 2))"
    let seconds = msOfDay / 1000
    return date + "T\(padded(seconds / 3600, 2)):\(padded(seconds / 60 % 60, 2)):\(padded(seconds % 60, 2)).\(padded(msOfDay % 1000, 3))Z"
}
