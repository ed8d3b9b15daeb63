import ApusBytes
import ApusModel
import ApusPromQL
import ApusStorage
import ApusTSDB
import HTTPTypes
import Testing

@testable import ApusServer

@Suite("The budget of memory") struct MemoryBudgetTests {
    typealias Stage = MemoryBudget.Stage

    @Test(
        "takes steps as use grows, and leaves them when it has clearly fallen",
        arguments: [
            (0, Stage.normal, Stage.normal), (79, .normal, .normal), (80, .normal, .sealing), (91, .normal, .refusingQueries),
            (95, .normal, .refusingSeries), (200, .sealing, .refusingSeries), (94, .refusingSeries, .refusingSeries),
            (90, .refusingSeries, .refusingSeries), (89, .refusingSeries, .refusingQueries), (84, .refusingQueries, .sealing),
            (76, .sealing, .sealing), (74, .sealing, .normal), (10, .refusingSeries, .normal),
        ])
    func stages(_ use: Int, _ before: Stage, _ expected: Stage) {
        #expect(MemoryBudget.stage(useBytes: use, limitBytes: 100, from: before) == expected)
    }

    /// What a budget did, in order.
    private final class Record: Sendable {
        private let state = Locked((actions: [String](), head: 0))
        var actions: [String] { state.withLock { $0.actions } }
        var head: Int { state.withLock { $0.head } }
        func add(_ action: String) { state.withLock { $0.actions.append(action) } }
        func setHead(_ bytes: Int) { state.withLock { $0.head = bytes } }

        func attach(to budget: MemoryBudget) {
            budget.attach(
                MemoryBudget.Actions(
                    use: { MemoryUse(head: self.head) }, sealChunks: { self.add("seal") },
                    refuseSeries: { self.add($0 == nil ? "take" : "refuse") },
                    log: { isWarning, message, fields in self.add("\(isWarning ? "warn" : "info") \(fields.first?.value ?? "")") }))
        }
    }

    @Test("seals, then refuses queries, then series; and takes it all back") func order() {
        let budget = MemoryBudget(limitBytes: 1_000_000, time: FixedTime(ms: 1000))
        let record = Record()
        record.attach(to: budget)
        for use in [500_000, 810_000, 910_000, 960_000, 990_000, 100_000] {
            record.setHead(use)
            budget.measure()
        }
        #expect(
            record.actions == ["warn seal_chunks", "seal", "warn refuse_queries", "warn refuse_series", "refuse", "info none", "take"])
        #expect(budget.statistics().entered == [0, 1, 1, 1])
        #expect(budget.statistics().stage == .normal)
    }

    @Test("lends queries what is left, and takes it back") func queries() {
        let budget = MemoryBudget(limitBytes: 1_000_000, time: FixedTime(ms: 1000))
        let record = Record()
        record.attach(to: budget)
        record.setHead(500_000)
        budget.measure()
        #expect(budget.reserve(300_000) == nil)
        let refusal = budget.reserve(300_000)
        #expect(refusal?.contains("(--memory.limit) are in use, 293KiB of it by queries") == true, "\(refusal ?? "")")
        budget.release(300_000)
        #expect(budget.reserve(300_000) == nil)
        budget.release(300_000)
        record.setHead(910_000)
        budget.measure()
        // Nothing beyond the little that is free at this step, though there is room.
        #expect(budget.reserve(1) != nil)
        #expect(budget.statistics().queriesRefused == 2)
    }

    /// A server whose database has a budget, wired as the program wires it.
    private struct Bounded {
        let server: TestServer
        let budget: MemoryBudget
        let gate: DatabaseGate

        init(limitBytes: Int) throws {
            let time = FixedTime(ms: TestServer.endMs)
            let budget = MemoryBudget(limitBytes: limitBytes, time: time)
            let gate = DatabaseGate(budget: budget)
            var options = EngineOptions()
            options.memory = budget
            server = try TestServer(engine: options, gate: gate)
            let database = server.database
            gate.open(database)
            budget.attach(
                MemoryBudget.Actions(
                    use: { MemoryUse(head: database.head.memoryBytes) }, sealChunks: { database.head.sealOpenChunks() },
                    refuseSeries: { database.head.refuseNewSeries($0) }, log: { _, _, _ in }))
            self.budget = budget
            self.gate = gate
        }

        /// Adds series until one is refused; how many were taken, and why no more.
        func bomb(atMost limit: Int) throws -> (taken: Int, refusal: String?) {
            for number in 0..<limit {
                let labels: LabelSet = ["__name__": "bomb", "id": ByteString("\(number)-a-rather-long-value-as-bombs-have")]
                do throws(AppendError) {
                    let ref = try gate.seriesRef(for: labels)
                    var batch = SampleBatch()
                    for step in 0..<20 { batch.append(ref, timestampMs: TestServer.endMs - 20 + Int64(step), value: Double(number)) }
                    _ = try gate.append(batch)
                } catch {
                    guard case .limit(let text) = error else { throw error }
                    return (number, text)
                }
            }
            return (limit, nil)
        }
    }

    @Test("a cardinality bomb ends at the limit, series that are there go on") func cardinalityBomb() async throws {
        let limit = 16 << 20
        let bounded = try Bounded(limitBytes: limit)
        let (taken, refusal) = try bounded.bomb(atMost: 200_000)
        #expect(refusal?.contains("no new series are taken") == true && refusal?.contains("--memory.limit") == true)
        #expect(taken > 1000)
        #expect(bounded.server.head.memoryBytes <= limit)
        #expect(bounded.budget.statistics().entered[Stage.sealing.rawValue] == 1)
        // The ones that were there are found and take samples.
        let known = try bounded.gate.seriesRef(for: ["__name__": "bomb", "id": "0-a-rather-long-value-as-bombs-have"])
        var batch = SampleBatch()
        batch.append(known, timestampMs: TestServer.endMs + 1, value: 1)
        #expect(try bounded.gate.append(batch).appended == 1)
        let metrics = await bounded.server.get("/metrics").text
        #expect(metrics.contains("apus_memory_step{step=\"refuse_series\"} 1\n"))
        #expect(metrics.contains("apus_memory_limit_bytes \(limit)\n"))
    }

    @Test("a query of death is refused with 422 and the reason, a small one is answered") func queryOfDeath() async throws {
        let bounded = try Bounded(limitBytes: 16 << 20)
        _ = try bounded.bomb(atMost: 20_000)
        let death = await bounded.server.post("/api/v1/query", "query=bomb[1h]&time=\(TestServer.endMs / 1000)")
        #expect(death.status.code == 422)
        #expect(death.text.contains("query needs more memory than there is"), "\(death.text.prefix(300))")
        let small = await bounded.server.post("/api/v1/query", "query=count(bomb)&time=\(TestServer.endMs / 1000)")
        #expect(small.status == .ok)
        // What the refused query had is given back.
        #expect(bounded.budget.statistics().use.queries == 0)
    }
}
