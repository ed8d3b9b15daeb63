import Foundation
import Synchronization

/// A life of samples whose truth can be checked: each value is a function of its series and its time, so any sample that
/// comes back can be told right from wrong, and any that came back once must come back after every restart.
///
/// The target gives its own timestamps, of which it remembers the newest. Blocks are of ten seconds, so that compactions
/// happen while a test waits.
final class LifeTarget: Sendable {
    static let seriesCount = 20

    private let server: PageServer
    private let clock: Clock
    let startMs: Int
    let port: UInt16

    init() throws {
        let clock = Clock()
        self.clock = clock
        startMs = clock.advance()
        server = try PageServer { _ in Self.page(clock.advance(), late: clock.scrapes) }
        port = server.port
    }

    private final class Clock: Sendable {
        private let state = Mutex((nowMs: 0, scrapes: 0))
        var nowMs: Int { state.withLock { $0.nowMs } }
        var scrapes: Int { state.withLock { $0.scrapes } }
        func advance() -> Int {
            state.withLock { state in
                state.nowMs = max(state.nowMs + 1, Int(Date.now.timeIntervalSince1970 * 1000))
                state.scrapes += 1
                return state.nowMs
            }
        }
    }

    /// The newest time the target has given, ms.
    var nowMs: Int { clock.nowMs }
    /// How often it was scraped.
    var scrapes: Int { clock.scrapes }

    static func value(series: Int, timeMs: Int) -> Double { Double((timeMs % 1_000_000_007 * 7919 + series * 104_729) % 1_000_003) / 8 }

    private static func page(_ now: Int, late scrape: Int) -> String {
        var text = "# TYPE life gauge\n"
        for series in 0..<seriesCount { text += "life{series=\"\(series)\"} \(value(series: series, timeMs: now)) \(now)\n" }
        // Two to eight seconds late, in no order.
        let late = now - 2_000 - scrape % 31 * 200
        text += "# TYPE late gauge\nlate{series=\"0\"} \(value(series: 0, timeMs: late)) \(late)\n"
        // A label set that lives for three seconds.
        text += "# TYPE passing gauge\npassing{series=\"\(now / 3000)\"} \(value(series: now / 3000, timeMs: now)) \(now)\n"
        return text
    }
}

/// All samples of some series, as a server gives them back.
struct SampleHistory {
    var samples: [String: [Int: String]] = [:]
    var count: Int { samples.values.reduce(0) { $0 + $1.count } }

    /// All samples of the life target's series, up to its newest time.
    init(from address: String, of target: LifeTarget) throws {
        let now = target.nowMs
        let seconds = (now - target.startMs) / 1000 + 60
        let form = ["query": "{__name__=~\"life|late|passing\"}[\(seconds)s]", "time": "\(Double(now) / 1000)"]
        let answer = request("POST", address + "/api/v1/query", form: form)
        guard let answer, answer.status == 200 else { throw RunningSystem.Failure("no history: \(answer?.text ?? "no answer")") }
        for series in answer.json["data"]["result"].list {
            let labels = (series["metric"].value as? [String: String]) ?? [:]
            let name = "\(labels["__name__"] ?? "?")/\(labels["series"] ?? "?")"
            for sample in series["values"].list {
                guard let time = sample[0].number, let value = sample[1].string else { throw RunningSystem.Failure("not a sample: \(sample)") }
                samples[name, default: [:]][Int((time * 1000).rounded())] = value
            }
        }
    }

    /// What is wrong in it: samples with a value that the target never gave.
    var lies: [String] {
        var result: [String] = []
        for (name, column) in samples {
            let series = Int(name.split(separator: "/").last ?? "") ?? -1
            for (time, value) in column where Double(value) != LifeTarget.value(series: series, timeMs: time) {
                result.append("\(name) at \(time): \(value), not \(LifeTarget.value(series: series, timeMs: time))")
            }
        }
        return result
    }

    /// What was there in `before` and is here no longer.
    func losses(since before: SampleHistory) -> [String] {
        var result: [String] = []
        for (name, column) in before.samples {
            let mine = samples[name] ?? [:]
            let lost = column.keys.filter { mine[$0] == nil }.sorted()
            if let first = lost.first, let last = lost.last { result.append("\(name): \(lost.count) of \(column.count) from \(first) to \(last)") }
        }
        return result.sorted()
    }
}

/// A server of either kind over one data directory.
struct DirectoryServer {
    let process: ChildProcess
    let address: String

    /// Starts `program` on `folder`'s `data` and waits until it is ready.
    /// - Parameter blockSeconds: length of the shortest blocks, so that compaction happens within a test.
    init(_ program: URL, in folder: URL, target: LifeTarget, blockSeconds: Int = 10, arguments: [String] = []) throws {
        let port = Programs.freePort()
        address = "http://127.0.0.1:\(port)"
        try """
        global: {scrape_interval: 100ms, scrape_timeout: 100ms}
        storage: {tsdb: {out_of_order_time_window: 30s}}
        scrape_configs:
          - job_name: life
            honor_timestamps: true
            static_configs: [{targets: ["127.0.0.1:\(target.port)"]}]
        """.write(to: folder.appending(path: "prometheus.yml"), atomically: true, encoding: .utf8)
        let isApus = program.lastPathComponent == "apus"
        process = try ChildProcess(
            program,
            (isApus ? ["serve"] : []) + [
                "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address=127.0.0.1:\(port)",
                "--storage.tsdb.min-block-duration=\(blockSeconds)s", "--storage.tsdb.max-block-duration=\(blockSeconds * 9)s",
                "--storage.tsdb.retention.time=100y",
            ] + arguments, in: folder)
        let (address, process) = (address, process)
        guard eventually(within: 60, { !process.isRunning || request("GET", address + "/-/ready")?.status == 200 }), process.isRunning else {
            throw RunningSystem.Failure("\(program.lastPathComponent) did not become ready:\n\(process.output)")
        }
    }

    /// Waits until the target was scraped so many times more.
    func live(_ scrapes: Int, of target: LifeTarget) -> Bool {
        let goal = target.scrapes + scrapes
        return eventually(within: 60) { target.scrapes >= goal }
    }

    func history(of target: LifeTarget) throws -> SampleHistory { try SampleHistory(from: address, of: target) }

    /// No time to say goodbye.
    func kill() -> Bool {
        process.signal(SIGKILL)
        return process.exitStatus() != nil
    }
}
