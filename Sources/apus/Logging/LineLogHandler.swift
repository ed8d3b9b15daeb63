import ApusModel
import ApusServer
import ArgumentParser
import Logging

/// How a line of the log looks.
enum LogFormat: String, ExpressibleByArgument, CaseIterable, Sendable {
    case logfmt
    case json
}

/// The least important messages that are still shown.
enum LogLevel: String, ExpressibleByArgument, CaseIterable, Sendable {
    case debug, info, warn, error

    var threshold: Logger.Level {
        switch self {
        case .debug: .debug
        case .info: .info
        case .warn: .warning
        case .error: .error
        }
    }
}

/// Writes the log to standard error, one line a message, with Prometheus's keys:
///
///     time=2024-02-29T12:00:00.123Z level=INFO component=scrape msg="…" target=http://…
///
/// A line is one write, so that lines of several threads don't mix.
struct LineLogHandler: LogHandler {
    let format: LogFormat
    let component: String
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    let time: any TimeSource = SystemTime()

    init(label: String, format: LogFormat, level: Logger.Level) {
        component = label
        self.format = format
        logLevel = level
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var fields: [(name: String, value: String)] = [
            ("time", formatRFC3339(ms: time.wallMs(), allDigits: true)), ("level", name(of: event.level)),
        ]
        if !component.isEmpty { fields.append(("component", component)) }
        fields.append(("msg", event.message.description))
        let all = metadata.merging(event.metadata ?? [:]) { $1 }
        for (key, value) in all.sorted(by: { $0.key < $1.key }) { fields.append((key, value.description)) }
        writeToStandardError(line(fields))
    }

    func line(_ fields: [(name: String, value: String)]) -> [UInt8] {
        switch format {
        case .logfmt:
            let text = fields.map { "\($0.name)=\(needsQuotes($0.value) ? goQuoted($0.value) : $0.value)" }.joined(separator: " ")
            return Array(text.utf8) + [UInt8(ascii: "\n")]
        case .json:
            var json = JSONWriter()
            json.object { json in
                for (name, value) in fields {
                    json.key(name)
                    json.string(value)
                }
            }
            return json.bytes + [UInt8(ascii: "\n")]
        }
    }

    private func needsQuotes(_ value: String) -> Bool {
        value.isEmpty || value.unicodeScalars.contains { $0.value <= 0x20 || $0 == "\"" || $0 == "=" || $0 == "\\" || $0.value == 0x7F }
    }

    private func name(of level: Logger.Level) -> String {
        switch level {
        case .trace, .debug: "DEBUG"
        case .info, .notice: "INFO"
        case .warning: "WARN"
        case .error, .critical: "ERROR"
        }
    }
}

