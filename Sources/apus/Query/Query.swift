import ApusBytes
import ApusModel
import ArgumentParser

/// `apus query`: ask a server. The commands and what they print are promtool's.
struct Query: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "query", abstract: "Ask a server, Apus or Prometheus.",
        subcommands: [QueryInstant.self, QueryRange.self, QuerySeries.self, QueryLabels.self])
}

enum QueryFormat: String, ExpressibleByArgument, CaseIterable {
    case promql
    case json
}

/// What all of `apus query` take.
struct QueryOptionsGroup: ParsableArguments {
    @Option(name: [.customShort("o"), .customLong("format")], help: "Form of the output.")
    var format = QueryFormat.promql

    @Option(name: .customLong("header"), help: "A header for the server, name=value. May be repeated.")
    var headers: [String] = []
}

struct QueryInstant: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "instant", abstract: "Evaluate an expression at one moment.")
    @OptionGroup var common: QueryOptionsGroup
    @Option(name: .customLong("time"), help: "The moment: RFC 3339 or Unix seconds. Default: now.") var time: String?
    @Argument(help: "The server, such as http://localhost:9090.") var server: String
    @Argument(help: "The expression.") var expression: String

    func run() throws {
        try asking {
            let client = try APIClient(server, headers: common.headers)
            let now = String(Double(SystemTime().wallMs()) / 1_000)
            let answer = try client.ask("/api/v1/query", [("query", expression), ("time", time ?? now)])
            try show(answer, common.format)
        }
    }
}

struct QueryRange: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "range", abstract: "Evaluate an expression over a range of time.")
    @OptionGroup var common: QueryOptionsGroup
    @Option(name: .customLong("start"), help: "Start: RFC 3339 or Unix seconds. Default: five minutes before the end.") var start: String?
    @Option(name: .customLong("end"), help: "End: RFC 3339 or Unix seconds. Default: now.") var end: String?
    @Option(name: .customLong("step"), help: "Time between two values. Default: a 250th of the range, a second at least.") var step: DurationFlag?
    @Argument(help: "The server, such as http://localhost:9090.") var server: String
    @Argument(help: "The expression.") var expression: String

    func run() throws {
        try asking {
            let range = try TimeRange(start: start, end: end, defaultMs: 300_000)
            let stepMs = step?.ms ?? max(1_000, (range.endMs - range.startMs) / 250 / 1_000 * 1_000)
            guard stepMs > 0 else { throw ClientError("--step must be greater than 0") }
            let client = try APIClient(server, headers: common.headers)
            let answer = try client.ask(
                "/api/v1/query_range",
                [("query", expression), ("start", seconds(range.startMs)), ("end", seconds(range.endMs)), ("step", seconds(stepMs))])
            try show(answer, common.format)
        }
    }
}

struct QuerySeries: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "series", abstract: "Find series.")
    @OptionGroup var common: QueryOptionsGroup
    @Option(name: .customLong("match"), help: "A selector. May be repeated.") var matches: [String]
    @Option(name: .customLong("start"), help: "Start: RFC 3339 or Unix seconds. Default: five minutes before the end.") var start: String?
    @Option(name: .customLong("end"), help: "End: RFC 3339 or Unix seconds. Default: now.") var end: String?
    @Argument(help: "The server, such as http://localhost:9090.") var server: String

    func run() throws {
        try asking {
            let range = try TimeRange(start: start, end: end, defaultMs: 300_000)
            let client = try APIClient(server, headers: common.headers)
            let form = matches.map { ("match[]", $0) } + [("start", seconds(range.startMs)), ("end", seconds(range.endMs))]
            let answer = try client.ask("/api/v1/series", form)
            tell(answer)
            switch common.format {
            case .promql: for series in answer.data.elements { print(labelSet(of: series)) }
            case .json: printJSON(answer.data)
            }
        }
    }
}

struct QueryLabels: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "labels", abstract: "List the values of a label.")
    @OptionGroup var common: QueryOptionsGroup
    @Option(name: .customLong("start"), help: "Start: RFC 3339 or Unix seconds. Default: five minutes before the end.") var start: String?
    @Option(name: .customLong("end"), help: "End: RFC 3339 or Unix seconds. Default: now.") var end: String?
    @Option(name: .customLong("match"), help: "A selector. May be repeated.") var matches: [String] = []
    @Argument(help: "The server, such as http://localhost:9090.") var server: String
    @Argument(help: "The label.") var label: String

    func run() throws {
        try asking {
            guard !label.isEmpty, label.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") }) else {
                throw ClientError("\(label) is not a label name")
            }
            let range = try TimeRange(start: start, end: end, defaultMs: 300_000)
            let client = try APIClient(server, headers: common.headers)
            let form = matches.map { ("match[]", $0) } + [("start", seconds(range.startMs)), ("end", seconds(range.endMs))]
            let answer = try client.ask("/api/v1/label/\(label)/values", form, posts: false)
            tell(answer)
            switch common.format {
            case .promql: for value in answer.data.elements { print(value.text ?? "") }
            case .json: printJSON(answer.data)
            }
        }
    }
}
