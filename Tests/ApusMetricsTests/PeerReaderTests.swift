import ApusBytes
import ApusExposition
import ApusModel
import Foundation
import Testing

@testable import ApusMetrics

/// Pages as real readers take them. Each test is skipped where its reader is not installed: scripts/install-test-peers.
@Suite("Other readers of our pages", .serialized) struct PeerReaderTests {
    /// One metric of each kind, labels that need escaping, exemplars, timestamps, native buckets.
    private func makeRegistry() throws -> MetricRegistry {
        let registry = MetricRegistry(constantLabels: ["zone": "eu"])
        let requests = try registry.counter(
            "http_requests_total", help: "Requests \"answered\",\nwith \\ in it.", labels: .label("path", as: String.self))
        requests("/a\"b\\c\nd é").increment(by: 3)
        requests("/").increment(by: 2.5, exemplar: [("trace_id", "4bf92f3577b34da6")])
        try registry.gauge("temperature_celsius", help: "T.", unit: "celsius").set(-3.25)
        let latency = try registry.histogram("latency_seconds", help: "L.", unit: "seconds", buckets: [0.1, 1, 1e6], native: NativeBuckets())
        for value in [0.05, 0.5, 2] { latency.observe(value) }
        latency.observe(1e7, exemplar: [("trace_id", "a")])
        let size = try registry.summary("size_bytes", help: "S.", quantiles: [Quantile(0.5, error: 0.01)])
        for value in 1...9 { size.observe(Double(value)) }
        try registry.info("build_info", help: "B.", ["version": "1.2"])
        try registry.stateSet("worker_phase", help: "P.", of: TypeTests.Phase.self).set(.running)
        try registry.gaugeHistogram("queue_bytes", help: "Q.", buckets: [10, 100]).add(50)
        try registry.unknown("odd", help: "O.").set(.infinity)
        registry.collect { sink in
            sink.family("elsewhere", help: "E.", type: .gauge) { $0.sample(4, timestampMs: 1_700_000_000_250) }
        }
        registry.registerProcessMetrics()
        return registry
    }

    @Test("promtool reads the text format and finds no fault with it", .enabled(if: Readers.promtool != nil, "promtool is not installed"))
    func promtoolReads() throws {
        var page: [UInt8] = []
        try makeRegistry().render(into: &page)
        let (status, output) = try Readers.run(try #require(Readers.promtool), ["check", "metrics"], input: page)
        // What it complains of here is how the process collectors of all clients are named.
        let complaints = output.split(separator: "\n").filter { !$0.hasPrefix("process_") }
        #expect(complaints == [], "\(output)")
        #expect(status == 0 || status == 3)
    }

    @Test(
        "the Python client reads text and OpenMetrics, sample by sample",
        .enabled(if: Readers.python != nil, "no Python has prometheus_client"), arguments: [PageEncoding.text, .openMetrics])
    func pythonReads(encoding: PageEncoding) throws {
        let registry = try makeRegistry()
        var created = encoding
        created.writesCreatedSeries = true
        for encoding in [encoding, created] {
            var page: [UInt8] = []
            registry.render(into: &page, as: encoding)
            let module = encoding.format == .openMetrics ? "prometheus_client.openmetrics.parser" : "prometheus_client.parser"
            let script = """
                import sys
                from \(module) import text_string_to_metric_families
                for family in text_string_to_metric_families(sys.stdin.buffer.read().decode()):
                    for sample in family.samples:
                        print(family.type, sample.name, sorted(sample.labels.items()), float(sample.value), sample.exemplar is not None)
                """
            let (status, output) = try Readers.run(try #require(Readers.python), ["-c", script], input: page)
            #expect(status == 0, "\(output)")
            let lines = Set(output.split(separator: "\n").map(String.init))
            #expect(
                lines.contains(
                    #"counter http_requests_total [('path', '/a"b\\c\nd é'), ('zone', 'eu')] 3.0 False"#), "\(output)")
            #expect(lines.contains("gauge temperature_celsius [('zone', 'eu')] -3.25 False"))
            #expect(lines.contains("histogram latency_seconds_sum [('zone', 'eu')] 10000002.55 False"))
            #expect(lines.contains("summary size_bytes_count [('zone', 'eu')] 9.0 False"))
            if encoding.format == .openMetrics {
                #expect(lines.contains("counter http_requests_total [('path', '/'), ('zone', 'eu')] 2.5 True"))
                #expect(lines.contains("info build_info [('version', '1.2'), ('zone', 'eu')] 1.0 False"))
                #expect(lines.contains("stateset worker_phase [('worker_phase', 'running'), ('zone', 'eu')] 1.0 False"))
                #expect(lines.contains("gaugehistogram queue_bytes_gcount [('zone', 'eu')] 1.0 False"))
                #expect(lines.contains("histogram latency_seconds_bucket [('le', '+Inf'), ('zone', 'eu')] 4.0 True"))
            }
        }
    }

    @Test("our own OpenMetrics checker holds the page to all of the standard")
    func ownChecker() throws {
        var page: [UInt8] = []
        try makeRegistry().render(into: &page, as: .openMetrics)
        #expect(try OpenMetricsChecker.check(page.span).count >= 10)
    }

    @Test(
        "text and OpenMetrics come back from our own scanners as what was gathered",
        arguments: [PageEncoding.text, PageEncoding(.textUTF8), .openMetrics])
    func ownParsers(encoding: PageEncoding) throws {
        let registry = try makeRegistry()
        var page: [UInt8] = []
        registry.render(into: &page, as: encoding)
        var found: [LabelSet: Double] = [:]
        if encoding.format == .openMetrics {
            var parser = OpenMetricsParser()
            while let entry = try parser.next(page.span) {
                if case .series(let line) = entry { found[LabelSet(parser.labels(page.span))] = line.value }
            }
        } else {
            var parser = TextParser()
            while let entry = try parser.next(page.span) {
                if case .series(let line) = entry { found[LabelSet(parser.labels(page.span))] = line.value }
            }
        }
        #expect(found[["__name__": "http_requests_total", "path": "/a\"b\\c\nd é", "zone": "eu"]] == 3)
        #expect(found[["__name__": "latency_seconds_sum", "zone": "eu"]] == 10_000_002.55)
        #expect(found[["__name__": "worker_phase", "worker_phase": "running", "zone": "eu"]] == 1)
        #expect(found[["__name__": "odd", "zone": "eu"]] == .infinity)
    }
}

/// The readers that this machine has.
private enum Readers {
    static let promtool = find(["promtool"]) { _ in true }
    static let python = find(["python3"]) { python in
        (try? run(python, ["-c", "import prometheus_client"], input: []).status) == 0
    }

    /// The first program of one of these names that is good, where the machine has it.
    private static func find(_ names: [String], _ isGood: (URL) -> Bool) -> URL? {
        let environment = ProcessInfo.processInfo.environment
        let folders =
            (environment["APUS_PEERS"].map { [Substring($0)] } ?? []) + (environment["PATH"] ?? "").split(separator: ":") + ["/usr/bin"]
        for name in names {
            for folder in folders {
                let program = URL(filePath: "\(folder)/\(name)")
                if FileManager.default.isExecutableFile(atPath: program.path), isGood(program) { return program }
            }
        }
        return nil
    }

    static func run(_ program: URL, _ arguments: [String], input: [UInt8]) throws -> (status: Int32, output: String) {
        let file = FileManager.default.temporaryDirectory.appending(path: "apus-page-\(UUID().uuidString)")
        try Data(input).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        let process = Process()
        process.executableURL = program
        process.arguments = arguments
        process.standardInput = try FileHandle(forReadingFrom: file)
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, text)
    }
}
