import Foundation
import Testing

/// Queries from outside: the commands that ask a server, and what the server does when somebody hangs up or it is killed.
@Suite("Queries from outside") struct QueryToolTests {
    private let folder: URL
    private let port = Programs.freePort()
    private var address: String { "http://127.0.0.1:\(port)" }

    /// 2024-01-01T00:00:00Z; a sample every 15 s for an hour.
    private static let start = 1_704_067_200
    /// Computes for minutes.
    private static let heavy = "sum(max_over_time(rate(hits_total[50m])[50m:1s]))"

    init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "apus-query-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        var page = "# TYPE hits counter\n"
        for series in 0..<10 {
            for step in 0...240 {
                page += "hits_total{job=\"api\",pod=\"p\(series)\"} \(step * (series + 1)) \(Self.start + step * 15)\n"
            }
        }
        page += "# TYPE limit gauge\nlimit{job=\"db\"} 7 \(Self.start + 3_600)\n# EOF\n"
        try page.write(to: folder.appending(path: "in.txt"), atomically: true, encoding: .utf8)
        try "global: {query_log_file: queries.log}\n".write(
            to: folder.appending(path: "prometheus.yml"), atomically: true, encoding: .utf8)
        try """
        groups:
          - name: g
            interval: 1m
            rules:
              - {record: "job:hits:rate", expr: "sum by (job) (rate(hits_total[2m]))", labels: {site: x}}
              - {alert: Down, expr: "up == 0"}
        """.write(to: folder.appending(path: "rules.yml"), atomically: true, encoding: .utf8)
        try #require(run("tsdb", "create-blocks-from", "openmetrics", "-q", "in.txt", "data").status == 0)
    }

    private func run(_ arguments: String...) -> (status: Int32?, output: String) {
        guard let process = try? ChildProcess(Programs.apus, arguments, in: folder) else { return (nil, "") }
        let status = process.exitStatus(within: 60)
        return (status, process.output)
    }

    private func serve() throws -> ChildProcess {
        let server = try ChildProcess(
            Programs.apus,
            [
                "serve", "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--storage.tsdb.retention.time=100y",
                "--web.listen-address=127.0.0.1:\(port)", "--web.enable-admin-api", "--query.log-slow=1ms",
            ], in: folder)
        guard eventually({ request("GET", address + "/-/ready")?.status == 200 }) else {
            throw RunningSystem.Failure("apus did not become ready:\n\(server.output)")
        }
        return server
    }

    /// A client of its own process that asks for what takes minutes.
    private func startHeavyQuery() throws -> ChildProcess {
        let client = try ChildProcess(
            Programs.apus,
            ["query", "range", "--start=\(Self.start)", "--end=\(Self.start + 3_600)", "--step=1s", address, Self.heavy], in: folder)
        guard eventually({ active.contains { $0["state"].string == "running" && ($0["samples"].number ?? 0) > 0 } }) else {
            throw RunningSystem.Failure("no heavy query runs: \(client.output)")
        }
        return client
    }

    private var active: [JSON] { request("GET", address + "/api/v1/status/active_queries")?.json["data"]["queries"].list ?? [] }

    @Test("the commands print what promtool prints, and why a query is empty") func commands() throws {
        let server = try serve()
        defer { server.stop() }
        let end = String(Self.start + 3_600)
        let instant = run("query", "instant", "--time=\(end)", address, "hits_total{pod=\"p1\"}")
        #expect(instant.status == 0)
        #expect(instant.output == "hits_total{job=\"api\", pod=\"p1\"} => 480 @[\(end)]\n")
        let range = run("query", "range", "--start=\(Self.start + 3_585)", "--end=\(end)", "--step=15s", address, "limit or sum(hits_total)")
        #expect(range.output == "{} =>\n13145 @[\(Self.start + 3_585)]\n13200 @[\(end)]\nlimit{job=\"db\"} =>\n7 @[\(end)]\n")
        #expect(run("query", "series", "--match=limit", "--start=\(Self.start)", "--end=\(end)", address).output == "{__name__=\"limit\", job=\"db\"}\n")
        #expect(run("query", "labels", "--start=\(Self.start)", "--end=\(end)", address, "job").output == "api\ndb\n")
        let wrong = run("query", "instant", address, "sum(")
        #expect(wrong.status == 1)
        #expect(wrong.output == "apus: query error: bad_data: invalid parameter \"query\": 1:5: parse error: unclosed left parenthesis\n")
        #expect(run("query", "instant", "http://127.0.0.1:1", "up").status == 1)

        let explained = run("explain", "--url=\(address)", "--time=\(end)", "rate(hits_total[10s]) / limit")
        #expect(explained.status == 0)
        #expect(explained.output.contains("→ its left operand is empty"), "\(explained.output)")
        #expect(explained.output.contains("they are about 15s apart, and the range is shorter than two intervals; ask for [1m], or [30s] at least"))
        #expect(explained.output.contains("10 samples"), "\(explained.output)")

        #expect(run("promql", "format", "sum(a)by(x)").output == "sum by (x) (a)\n")
        #expect(run("promql", "label-matchers", "set", "-t", "=~", "a/b{x='1'}", "x", "2|3").output == "a{x=~\"2|3\"} / b{x=~\"2|3\"}\n")
        #expect(run("promql", "label-matchers", "delete", "a{x='1',y='2'}", "x").output == "a{y=\"2\"}\n")

        let made = run(
            "tsdb", "create-blocks-from", "rules", "-q", "--url=\(address)", "--start=\(Self.start)", "--end=\(end)", "--output-dir=out",
            "rules.yml")
        #expect(made.status == 0, "\(made.output)")
        let dumped = run("tsdb", "dump", "out").output.split(separator: "\n")
        // A minute apart; the first two windows are not yet full.
        #expect(dumped.count == 60 && dumped.allSatisfy { $0.hasPrefix("{__name__=\"job:hits:rate\", job=\"api\", site=\"x\"} ") }, "\(dumped)")
        #expect(dumped.dropFirst(2).allSatisfy { $0.contains(" 3.6666666666666665 ") })
    }

    @Test("a query ends with its client, and when somebody ends it") func cancellation() throws {
        let server = try serve()
        defer { server.stop() }
        let client = try startHeavyQuery()
        client.signal(SIGKILL)
        #expect(eventually(within: 10) { active.isEmpty })
        _ = client.exitStatus()

        let second = try startHeavyQuery()
        let id = try #require(active.first?["id"].string)
        #expect(request("DELETE", address + "/api/v1/query/" + id)?.status == 204)
        #expect(second.exitStatus() == 1)
        #expect(second.output == "apus: query error: canceled: query was canceled in expression evaluation\n")
        #expect(request("DELETE", address + "/api/v1/query/" + id)?.status == 404)
        let log = try String(contentsOf: folder.appending(path: "queries.log"), encoding: .utf8)
        #expect(log.split(separator: "\n").filter { $0.contains("query was canceled in expression evaluation") }.count == 2)
        #expect(eventually { server.output.contains("msg=\"Slow query\"") })
    }

    @Test("a start tells which queries ran when the last run came to its end") func crash() throws {
        let server = try serve()
        let client = try startHeavyQuery()
        server.signal(SIGKILL)
        _ = server.exitStatus()
        _ = client.exitStatus()
        let next = try serve()
        #expect(next.output.contains("These queries did not finish in the last run"))
        #expect(next.output.contains("max_over_time(rate(hits_total[50m])[50m:1s])"))
        next.stop()
        let last = try serve()
        #expect(!last.output.contains("These queries did not finish"))
        last.stop()
    }
}
