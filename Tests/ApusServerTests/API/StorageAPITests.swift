import ApusModel
import ApusTSDB
import HTTPTypes
import Testing

@testable import ApusServer

@Suite("The API about the storage") struct StorageAPITests {
    static let never = Lifecycle(startedMs: 0, isReady: { false }, reload: { nil }, quit: {})

    @Test(
        "until the storage is open, everything that needs it is unavailable",
        arguments: ["/api/v1/query?query=1", "/api/v1/labels", "/api/v1/status/tsdb", "/api/v1/targets", "/federate?match[]=up", "/-/ready"])
    func notReady(_ path: String) async throws {
        let server = try TestServer(lifecycle: Self.never, gate: DatabaseGate())
        let answer = await server.get(path)
        #expect(answer.status == .serviceUnavailable && answer.text == "Service Unavailable")
        #expect(answer.headers[.xPrometheusStopping] == "false")
    }

    @Test("what tells of the start itself is answered before") func startIsVisible() async throws {
        let gate = DatabaseGate()
        let server = try TestServer(lifecycle: Self.never, gate: gate)
        for path in ["/-/healthy", "/metrics", "/api/v1/notifications"] { #expect(await server.get(path).status == .ok) }
        func replay() async -> String { await server.get("/api/v1/status/walreplay").text }
        #expect(await replay() == #"{"status":"success","data":{"min":0,"max":0,"current":0,"state":"waiting"}}"#)
        gate.observe(ReplayProgress(firstSegment: 3, lastSegment: 9, currentSegment: 4, bytesRead: 100))
        #expect(await replay() == #"{"status":"success","data":{"min":3,"max":9,"current":4,"state":"in progress"}}"#)
        gate.open(server.database)
        #expect(await replay() == #"{"status":"success","data":{"min":3,"max":9,"current":4,"state":"done"}}"#)
    }

    @Test("the admin API is off unless asked for", arguments: ["delete_series", "clean_tombstones", "snapshot"])
    func adminIsOff(_ name: String) async throws {
        let answer = await (try TestServer()).post("/api/v1/admin/tsdb/\(name)", "match[]=up")
        #expect(answer.status == .internalServerError)
        #expect(answer.text == #"{"status":"error","errorType":"unavailable","error":"admin APIs disabled"}"#)
    }

    @Test("the admin API says what is wrong with a request") func adminErrors() async throws {
        let server = try TestServer(change: { $0.isAdminEnabled = true })
        let none = await server.post("/api/v1/admin/tsdb/delete_series", "")
        #expect(none.text == #"{"status":"error","errorType":"bad_data","error":"no match[] parameter provided"}"#)
        let bad = await server.post("/api/v1/admin/tsdb/delete_series", "match[]={")
        #expect(bad.status == .badRequest && bad.text.contains(#"invalid parameter \"match[]\""#))
        let time = await server.post("/api/v1/admin/tsdb/delete_series", "match[]=up&start=x")
        #expect(time.status == .badRequest && time.text.contains(#"invalid time value for 'start'"#))
        let flag = await server.post("/api/v1/admin/tsdb/snapshot", "skip_head=maybe")
        #expect(flag.status == .badRequest && flag.text.contains(#"invalid parameter \"skip_head\""#))
        // Nothing to be linked in a database without a directory.
        #expect(await server.post("/api/v1/admin/tsdb/snapshot", "").status == .internalServerError)
        #expect(await server.get("/api/v1/admin/tsdb/snapshot").status == .methodNotAllowed)
    }

    @Test("deletes series of a database in memory, too") func deletes() async throws {
        let server = try TestServer(change: { $0.isAdminEnabled = true })
        let deleted = await server.post("/api/v1/admin/tsdb/delete_series", "match[]=up{instance=\"a:1\"}")
        #expect(deleted.status == .noContent && deleted.body.isEmpty)
        let left = await server.post("/api/v1/query", "query=up&time=\(TestServer.endMs / 1000)")
        #expect(left.text.contains("b:1") && !left.text.contains("a:1"))
    }

    @Test("lists no blocks where there are none") func blocks() async throws {
        #expect(await (try TestServer()).get("/api/v1/status/tsdb/blocks").text == #"{"status":"success","data":{"blocks":[]}}"#)
    }
}
