import ApusBytes
import ApusConfig
import ApusMetrics
import ApusModel
import ApusPromQL
import ApusScrape
import ApusStorage
import ApusTSDB
import HTTPTypes

@testable import ApusServer

/// A clock that stands still.
struct FixedTime: TimeSource {
    let ms: Int64
    func wallMs() -> Int64 { ms }
    func monotonicNs() -> UInt64 { UInt64(clamping: ms) &* 1_000_000 }
}

/// A server without connections, over a small head:
///
///     up{instance="a:1",job="api"}   1 every 15 s from 1,000,000 s to 1,000,300 s
///     up{instance="b:1",job="api"}   0 at the same times
///     requests_total{code="200"}     0, 15, 30, … at the same times
///     requests_total{code="500"}     one sample, at the start, then the series ends
///     "a.b"{"c d"="é"}               0.1 at the end
struct TestServer {
    static let startMs: Int64 = 1_000_000_000
    static let endMs: Int64 = 1_000_300_000

    let web: WebServer
    let database: Database
    let head: Head
    let metrics = MetricRegistry()
    let configuration = ConfigurationState()
    let queries: QueryRegistry

    init(
        nowMs: Int64 = endMs, engine engineOptions: EngineOptions = EngineOptions(), change: (inout ServerOptions) -> Void = { _ in },
        lifecycle: Lifecycle? = nil, gate: DatabaseGate? = nil, queries: QueryRegistry = QueryRegistry()
    ) throws {
        self.queries = queries
        var engineOptions = engineOptions
        engineOptions.tracker = queries
        let time = FixedTime(ms: nowMs)
        database = Database.inMemory(options: DatabaseOptions(), time: time)
        head = database.head
        try Self.fill(head)
        var options = ServerOptions(build: BuildInfo(revision: "test", languageVersion: "swift6.3"))
        options.flags = ["b": "2", "a": "1"]
        options.listenAddresses = [ListenAddress(host: "127.0.0.1", port: 0)]
        change(&options)
        web = try WebServer(
            components: ServerComponents(
                storage: gate ?? DatabaseGate(database), engine: QueryEngine(options: engineOptions, time: time),
                queries: queries,
                scrape: ScrapeManager(store: head, time: time), metrics: metrics, configuration: configuration,
                lifecycle: lifecycle ?? Lifecycle(startedMs: nowMs, isReady: { true }, reload: { nil }, quit: {}), time: time),
            options: options)
    }

    private static func fill(_ head: Head) throws {
        let up = try head.seriesRef(for: ["__name__": "up", "instance": "a:1", "job": "api"])
        let down = try head.seriesRef(for: ["__name__": "up", "instance": "b:1", "job": "api"])
        let good = try head.seriesRef(for: ["__name__": "requests_total", "code": "200"])
        let bad = try head.seriesRef(for: ["__name__": "requests_total", "code": "500"])
        let odd = try head.seriesRef(for: ["__name__": "a.b", "c d": "é"])
        for step in 0...20 {
            let ms = startMs + Int64(step) * 15_000
            var batch = SampleBatch()
            batch.append(up, timestampMs: ms, value: 1)
            batch.append(down, timestampMs: ms, value: 0)
            batch.append(good, timestampMs: ms, value: Double(step) * 15)
            if step == 0 { batch.append(bad, timestampMs: ms, value: 3) }
            if step == 1 { batch.append(bad, timestampMs: ms, value: StaleNaN.value) }
            if step == 20 { batch.append(odd, timestampMs: ms, value: 0.1) }
            _ = try head.append(batch)
        }
    }

    func get(_ target: String, headers: HTTPFields = [:]) async -> ServerResponse {
        await web.respond(to: ServerRequest(method: .get, target: target, headers: headers))
    }

    func post(_ path: String, _ form: String) async -> ServerResponse {
        await web.respond(
            to: ServerRequest(
                method: .post, target: path, headers: [.contentType: "application/x-www-form-urlencoded"], body: Array(form.utf8)))
    }
}

extension ServerResponse {
    var text: String { String(decoding: body, as: UTF8.self) }
}
