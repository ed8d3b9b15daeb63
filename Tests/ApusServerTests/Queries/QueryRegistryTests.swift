import ApusBytes
import ApusModel
import ApusPromQL
import ApusStorage
import Foundation
import HTTPTypes
import Testing

@testable import ApusServer

/// A storage whose queries stop in `select` until they are let go.
private final class StoppingStorage: Queryable {
    let reached = DispatchSemaphore(value: 0)
    let go = DispatchSemaphore(value: 0)
    private let inner = MemoryStorage()

    func querier(minTimeMs: Int64, maxTimeMs: Int64) throws(StorageError) -> any Querier {
        reached.signal()
        go.wait()
        return try inner.querier(minTimeMs: minTimeMs, maxTimeMs: maxTimeMs)
    }
}

@Suite("Running and past queries") struct QueryRegistryTests {
    /// Waits for what another thread does soon.
    private func wait(_ isDone: @Sendable () -> Bool) async throws {
        for _ in 0..<2_000 where !isDone() { try await Task.sleep(for: .milliseconds(5)) }
        try #require(isDone())
    }

    @Test("are listed while they run and while they wait, and can be ended")
    func active() async throws {
        let queries = QueryRegistry()
        var options = EngineOptions()
        options.threads = 1
        options.tracker = queries
        // What ends them is the test, however long it waits for a core.
        options.timeoutMs = 3_600_000
        let engine = QueryEngine(options: options)
        let storage = StoppingStorage()
        let outcomes = Locked<[String]>([])
        for text: ByteString in ["first", "second"] {
            var own = QueryOptions()
            own.origin = .request(clientAddress: "10.0.0.1", method: "GET", path: "/api/v1/query")
            engine.submitInstant(text, atMs: 0, on: storage, options: own) { result in
                var text = "done"
                if case .failure(let error) = result { text = error.message }
                outcomes.withLock { [text] in $0.append(text) }
            }
        }
        storage.reached.wait()
        let active = queries.active()
        #expect(active.map(\.activity.query) == ["first", "second"])
        #expect(active.map { $0.activity.startedNs != nil } == [true, false])
        #expect(active.map(\.id) == [1, 2])

        // Both at once: the second while it waits, the first as soon as it looks.
        #expect(queries.cancel(2))
        try await wait { outcomes.withLock { $0.count } == 1 }
        #expect(outcomes.withLock { $0 } == ["query was canceled in query queue"])
        #expect(queries.cancel(1))
        storage.go.signal()
        try await wait { queries.active().isEmpty }
        try await wait { outcomes.withLock { $0.count } == 2 }
        #expect(outcomes.withLock { $0.last } == "query was canceled in expression evaluation")
        #expect(!queries.cancel(1))
    }

    @Test("a query whose time runs out behind others is answered in time")
    func queueTimeout() async throws {
        var options = EngineOptions()
        options.threads = 1
        let engine = QueryEngine(options: options)
        let storage = StoppingStorage()
        engine.submitInstant("first", atMs: 0, on: storage) { _ in }
        storage.reached.wait()
        await #expect {
            _ = try await engine.runInstant("second", atMs: 0, on: storage, options: QueryOptions(timeoutMs: 20))
        } throws: {
            ($0 as? QueryError)?.message == "query timed out in query queue"
        }
        storage.go.signal()
    }

    @Test("the API shows them, by what they took")
    func api() async throws {
        let server = try TestServer(change: { $0.isAdminEnabled = true })
        for target in ["query?query=up", "query?query=up", "query?query=sum(requests_total)", "query?query=sum("] {
            _ = await server.get("/api/v1/" + target)
        }
        #expect(await server.get("/api/v1/status/active_queries").text == #"{"status":"success","data":{"queries":[]}}"#)
        let top = await server.get("/api/v1/status/top_queries?topN=2").text
        #expect(top.hasPrefix(#"{"status":"success","data":{"topN":2,"maxLifetime":"10m","topByCount":[{"query":"up","timeRangeSeconds":0,"count":2,"failed":0,"#))
        #expect(top.contains(#""topBySamples":[{"query":"up","timeRangeSeconds":0,"count":2,"#))
        #expect(await server.get("/api/v1/status/top_queries?topN=0").status == .badRequest)
        let gone = await server.web.respond(to: ServerRequest(method: .delete, target: "/api/v1/query/77"))
        #expect(gone.status == .notFound)
        #expect(gone.text.contains(#"no query with id \"77\" is running"#))
        let closed = try TestServer()
        #expect(await closed.post("/api/v1/query/1", "").text.contains("admin APIs disabled"))
    }

    @Test("slow ones are logged")
    func slow() throws {
        let lines = Locked<[[String: String]]>([])
        let queries = QueryRegistry(slowSeconds: 1e-9) { fields in
            let line = Dictionary(uniqueKeysWithValues: fields.map { ($0.name, $0.value) })
            lines.withLock { $0.append(line) }
        }
        var options = EngineOptions()
        options.tracker = queries
        let engine = QueryEngine(options: options)
        var own = QueryOptions()
        own.origin = .rule(file: "a.yml", group: "g")
        _ = try engine.instant("1 + 1", atMs: 1_500, on: MemoryStorage(), options: own)
        let line = try #require(lines.withLock { $0.first })
        #expect(line["query"] == "1 + 1")
        #expect(line["start"] == "1970-01-01T00:00:01.5Z")
        #expect(line["group"] == "g")
        #expect(queries.counts.slowQueries == 1)
    }

    @Test("each is a line of the query log, which is opened anew when it was moved")
    func log() throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let path = directory.appendingPathComponent("query.log").path
        let queries = QueryRegistry()
        try queries.setLog(path: path)
        var options = EngineOptions()
        options.tracker = queries
        let engine = QueryEngine(options: options)
        var own = QueryOptions()
        own.origin = .request(clientAddress: "127.0.0.1", method: "POST", path: "/api/v1/query_range")
        _ = try engine.range("1 == bool 2", startMs: 0, endMs: 60_000, stepMs: 15_000, on: MemoryStorage(), options: own)
        try FileManager.default.moveItem(atPath: path, toPath: path + ".old")
        try queries.setLog(path: path)
        _ = try? engine.instant("sum(", atMs: 0, on: MemoryStorage())
        let old = try read(path + ".old")
        let new = try read(path)
        try #require(old.count == 1 && new.count == 1)
        let parameters = try #require(old[0]["params"] as? [String: Any])
        #expect(parameters["query"] as? String == "1 == bool 2")
        #expect(parameters["start"] as? String == "1970-01-01T00:00:00.000Z")
        #expect(parameters["step"] as? Int == 15)
        #expect(old[0]["msg"] as? String == "promql query logged")
        #expect((old[0]["httpRequest"] as? [String: String]) == ["clientIP": "127.0.0.1", "method": "POST", "path": "/api/v1/query_range"])
        #expect((old[0]["stats"] as? [String: Any])?["timings"] != nil)
        #expect((new[0]["error"] as? String)?.contains("unclosed left parenthesis") == true)
        #expect(queries.counts.isLogEnabled)
        #expect { try queries.setLog(path: directory.appendingPathComponent("no/such/query.log").path) } throws: { _ in true }
        try queries.setLog(path: "")
        #expect(!queries.counts.isLogEnabled)
    }

    private func read(_ path: String) throws -> [[String: Any]] {
        try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map { line in
            try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        }
    }

    @Test("the file of active queries tells what ran when a run came to its end")
    func activeFile() throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let path = directory.appendingPathComponent("queries.active").path
        #expect(ActiveQueryFile.unfinished(path: path) == nil)
        let file = try ActiveQueryFile(path: path, slots: 3)
        #expect(ActiveQueryFile.unfinished(path: path) == nil)
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)).count == 3_001)
        let first = try #require(file.insert("up", atSeconds: 7))
        let long = ByteString(Array(repeating: Array("é\"".utf8), count: 700).flatMap { $0 })
        let second = try #require(file.insert(long, atSeconds: 8))
        let third = try #require(file.insert("down", atSeconds: 9))
        #expect(file.insert("too many", atSeconds: 9) == nil)
        file.remove(third)
        let text = try #require(ActiveQueryFile.unfinished(path: path))
        let entries = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]])
        try #require(entries.count == 2)
        #expect(entries[0]["query"] as? String == "up")
        #expect(entries[0]["timestamp_sec"] as? Int == 7)
        let cut = try #require(entries[1]["query"] as? String)
        #expect(cut.utf8.count > 600 && "\(long)".hasPrefix(cut))
        file.remove(first)
        file.remove(second)
        #expect(ActiveQueryFile.unfinished(path: path) == nil)
    }
}
