import ApusBytes
import ApusModel
import ArgumentParser

/// `apus explain EXPR`: what a query does on a server, as a tree, and why parts of it are empty.
struct Explain: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a query on a server and show what each part of it did, and why parts are empty.",
        discussion: """
            Each line is an operation with what came out of it; its operands stand below it, indented. A line with → says why
            nothing came out. The server must be an Apus.

              apus explain 'sum by (job) (rate(http_requests_total{code="500"}[15s]))'
              apus explain --start=-1h --step=30s 'up == 0'

            A time may be given as Unix seconds, as RFC 3339, or as -DURATION before now.
            """)

    @Option(name: .customLong("url"), help: "The server.") var url = "http://localhost:9090"
    @Option(name: .customLong("time"), help: "The moment. Default: now.") var time: String?
    @Option(name: .customLong("start"), help: "Start of a range.") var start: String?
    @Option(name: .customLong("end"), help: "End of a range. Default: now.") var end: String?
    @Option(name: .customLong("step"), help: "Time between two steps of a range. Default: a 250th of it, a second at least.") var step: DurationFlag?
    @Option(name: .customLong("header"), help: "A header for the server, name=value. May be repeated.") var headers: [String] = []
    @Flag(name: .customLong("json"), help: "Print the explanation as the server gives it.") var printsJSON = false
    @Argument(help: "The expression.") var expression: String

    func run() throws {
        try asking {
            var form = [("query", expression)]
            if start != nil || end != nil || step != nil {
                let range = try TimeRange(start: try absolute(start), end: try absolute(end), defaultMs: 3_600_000)
                let stepMs = step?.ms ?? max(1_000, (range.endMs - range.startMs) / 250 / 1_000 * 1_000)
                form += [("start", seconds(range.startMs)), ("end", seconds(range.endMs)), ("step", seconds(stepMs))]
            } else if let time = try absolute(time) {
                form.append(("time", time))
            }
            let answer = try APIClient(url, headers: headers).ask("/api/v1/query_explain", form)
            tell(answer)
            guard let explanation = answer.data["explanation"] else {
                throw ClientError("\(url) does not explain queries; it must be an Apus")
            }
            if printsJSON { return printJSON(explanation) }
            print(ExplanationTree(explanation).text, terminator: "")
            if let stats = answer.data["stats"] { print(summary(stats)) }
        }
    }

    /// `-1h` is an hour before now.
    private func absolute(_ text: String?) throws -> String? {
        guard let text, text.hasPrefix("-"), let back = DurationFlag(argument: String(text.dropFirst())) else { return text }
        return seconds(SystemTime().wallMs() - back.ms)
    }

    private func summary(_ stats: JSONValue) -> String {
        let samples = stats["samples"]
        let total = stats["timings"]?["execTotalTime"]?.double ?? 0
        return
            "\nin all \(shownTime(total)); \(samples?["samplesRead"]?.digits ?? "0") samples read, "
            + "\(samples?["totalQueryableSamples"]?.digits ?? "0") looked at, \(samples?["peakSamples"]?.digits ?? "0") held at most"
    }
}

/// `0.3 ms`, `1.2 s`
private func shownTime(_ seconds: Double) -> String {
    let (value, unit) = seconds >= 1 ? (seconds, "s") : (seconds * 1_000, "ms")
    return "\((value * 1_000).rounded() / 1_000) \(unit)"
}

/// Draws the nodes of an explanation:
///
///     / on (job)                                    0 series       0 samples    0.012 ms
///     → 1 of 1 series on the left and 2 of 2 on the right found no partner
///       sum by (job)                                1 series       1 sample     0.004 ms
///         rate                                      3 series       3 samples    0.02 ms
struct ExplanationTree {
    private let nodes: [JSONValue]
    private let isTruncated: Bool

    init(_ explanation: JSONValue) {
        nodes = explanation["nodes"]?.elements ?? []
        isTruncated = explanation["truncated"] == .bool(true)
    }

    /// Further in, lines no longer move to the right.
    private static let maxIndent = 40
    /// A longer operation pushes its figures to the right.
    private static let maxWidth = 80

    var text: String {
        let heads = nodes.map { node in
            String(repeating: "  ", count: Int(clamping: min(max(node["depth"]?.int64 ?? 0, 0), Int64(Self.maxIndent)))) + (node["operation"]?.text ?? "")
        }
        let width = min(heads.map(\.count).max() ?? 0, Self.maxWidth)
        var lines = ""
        for (node, head) in zip(nodes, heads) {
            lines += head
            if let figures = figures(of: node) { lines += String(repeating: " ", count: max(0, width - head.count)) + "  " + figures }
            lines += "\n"
            let indent = head.prefix { $0 == " " }
            for reason in node["reasons"].texts { lines += "\(indent)→ \(reason)\n" }
        }
        if isTruncated { lines += "… and more nodes\n" }
        return lines
    }

    private func figures(of node: JSONValue) -> String? {
        guard let evaluations = node["evaluations"]?.int64, evaluations > 0 else { return nil }
        let type = node["type"]?.text ?? ""
        var text = "\(padded(node["series"], 7)) series \(padded(node["samples"], 9)) samples \(shownTime(node["selfSeconds"]?.double ?? 0))"
        if type.hasSuffix("Selector") {
            text += "  (from the storage: \(node["seriesIn"]?.digits ?? "0") series, \(node["samplesIn"]?.digits ?? "0") samples)"
        }
        if evaluations > 1 { text += "  (\(evaluations) times)" }
        return text
    }

    private func padded(_ number: JSONValue?, _ width: Int) -> String {
        let digits = number?.digits ?? "0"
        return String(repeating: " ", count: max(0, width - digits.count)) + digits
    }
}
