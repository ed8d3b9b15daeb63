import ApusBytes
import ApusModel
import ApusStorage
import Synchronization
import Testing

@testable import ApusPromQL

/// Time that passes by itself, as much as is asked, with every look at the clock.
private final class SteppingTime: TimeSource {
    private let now = Atomic<UInt64>(1)
    let stepNs = Atomic<UInt64>(1)
    func wallMs() -> Int64 { 0 }
    func monotonicNs() -> UInt64 { now.add(stepNs.load(ordering: .relaxed), ordering: .relaxed).newValue }
}

@Suite("Quick queries") struct QuickQueriesTests {
    private static func storage(_ series: Int = 3) throws -> MemoryStorage {
        let storage = MemoryStorage()
        for index in 0..<series {
            for sample in 0..<20 {
                try storage.append(["__name__": "m", "i": ByteString("\(index)")], timestampMs: Int64(sample) * 1000, value: Double(index))
            }
        }
        return storage
    }

    /// Submits, and tells whether the answer was there before `submit` returned.
    private static func ask(
        _ engine: QueryEngine, _ query: ByteString, _ storage: MemoryStorage, options: QueryOptions = QueryOptions()
    ) async throws -> (text: String, wasHere: Bool) {
        let isDone = Locked(false)
        let wasHere = Locked(false)
        let text = await withCheckedContinuation { continuation in
            engine.submitRange(query, startMs: 0, endMs: 15_000, stepMs: 1000, on: storage, options: options) { result in
                isDone.withLock { $0 = true }
                switch result {
                case .success(let result): continuation.resume(returning: "\(result.value)")
                case .failure(let error): continuation.resume(returning: error.message)
                }
            }
            wasHere.withLock { $0 = isDone.withLock { $0 } }
        }
        return (text, wasHere.withLock { $0 })
    }

    /// An engine's thread notes how long a query took after it has answered.
    private static func isQuick(_ engine: QueryEngine, _ query: ByteString, _ storage: MemoryStorage, becomes expected: Bool) async throws -> Bool {
        for _ in 0..<10_000 {
            if engine.triesHere(query, storage, QueryOptions()) == expected { return true }
            try await Task.sleep(for: .milliseconds(1))
        }
        return false
    }

    private static func engine(_ time: any TimeSource, limitUs: Int = 500) -> QueryEngine {
        var options = EngineOptions()
        options.quickLimitUs = limitUs
        options.threads = 2
        return QueryEngine(options: options, time: time)
    }

    @Test("one that was quick is answered by who asks, with the same answer")
    func quick() async throws {
        let storage = try Self.storage()
        let engine = Self.engine(SteppingTime())
        let first = try await Self.ask(engine, "sum(m)", storage)
        #expect(try await Self.isQuick(engine, "sum(m)", storage, becomes: true))
        let second = try await Self.ask(engine, "sum(m)", storage)
        #expect(second.wasHere && second.text == first.text)
        #expect(engine.statistics().queriesFinished == 2 && engine.statistics().runningQueries == 0)
    }

    @Test("errors are, too")
    func errors() async throws {
        let engine = Self.engine(SteppingTime())
        let first = try await Self.ask(engine, "sum(m", Self.storage())
        let second = try await Self.ask(engine, "sum(m", Self.storage())
        #expect(first.text == second.text && second.text.contains("parse error"))
        #expect(engine.statistics().queriesFailed == 2)
    }

    @Test("one that was slow is not, nor any without a limit, nor one that may nest deep, nor one to be explained")
    func others() async throws {
        let storage = try Self.storage()
        let slow = SteppingTime()
        slow.stepNs.store(300_000, ordering: .relaxed)
        let nested = ByteString(String(repeating: "(", count: 101) + "m" + String(repeating: ")", count: 101))
        var explaining = QueryOptions()
        explaining.explains = true
        for (engine, query, options) in [
            (Self.engine(slow), "sum(m)", QueryOptions()), (Self.engine(SteppingTime(), limitUs: 0), "sum(m)", QueryOptions()),
            (Self.engine(SteppingTime()), nested, QueryOptions()), (Self.engine(SteppingTime()), "m", explaining),
        ] as [(QueryEngine, ByteString, QueryOptions)] {
            _ = try await Self.ask(engine, query, storage, options: options)
            // Whether an engine's thread is through before `submit` returns is luck: what counts is whom it asked.
            #expect(engine.triesHere(query, storage, options) == false, "\(query)")
        }
    }

    @Test("one that takes longer than it did is given up and answered by the engine, once")
    func overrun() async throws {
        let storage = try Self.storage(2_000)
        let time = SteppingTime()
        let engine = Self.engine(time)
        let first = try await Self.ask(engine, "sum by (i) (m)", storage)
        #expect(try await Self.isQuick(engine, "sum by (i) (m)", storage, becomes: true))
        time.stepNs.store(3_000_000, ordering: .relaxed)
        let second = try await Self.ask(engine, "sum by (i) (m)", storage)
        #expect(second.text == first.text)
        #expect(engine.statistics().queriesFinished == 2 && engine.statistics().queriesFailed == 0)
        #expect(try await Self.isQuick(engine, "sum by (i) (m)", storage, becomes: false))
    }
}

extension QueryEngine {
    /// Whether the next such range query would be tried by who asks for it.
    fileprivate func triesHere(_ query: ByteString, _ storage: MemoryStorage, _ options: QueryOptions) -> Bool {
        isQuick(QueryRequest(query, Steps(startMs: 0, stepMs: 1000, count: 16), isInstant: false, storage, options))
    }
}
