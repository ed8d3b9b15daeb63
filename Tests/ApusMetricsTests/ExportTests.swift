import Foundation
import Testing

@testable import ApusMetrics

@Suite("Process, text files and the current registry") struct ExportTests {
    #if os(Linux)
        @Test(
            "the process under the names of swift-system-metrics, with what counts as counters",
            arguments: [
                ("process_thread_count", "gauge"), ("process_page_faults_minor_total", "counter"),
                ("process_page_faults_major_total", "counter"), ("process_block_input_operations_total", "counter"),
                ("process_block_output_operations_total", "counter"),
            ])
        func processNames(name: String, type: String) {
            let registry = MetricRegistry()
            registry.registerProcessMetrics(includesThreadCount: true)
            let page = String(decoding: registry.renderText(), as: UTF8.self)
            #expect(page.contains("# TYPE \(name) \(type)\n"))
            #expect(page.contains("\n\(name) "))
        }

        @Test("the process knows when it was started")
        func start() throws {
            let seconds = try #require(processStartTimeSeconds())
            #expect((Date.now.timeIntervalSince1970 - seconds) >= -1)
            #expect((Date.now.timeIntervalSince1970 - seconds) < 1e7)
        }
    #endif

    @Test("a text file is replaced as a whole, and nothing else is left in its folder")
    func textFile() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "apus-text-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let registry = MetricRegistry()
        let gauge = try registry.gauge("backup_bytes", help: "B.")
        let file = folder.appending(path: "backup.prom")
        for value in [1, 22] {
            gauge.set(value)
            try registry.writeTextFile(file.path)
            #expect(
                try String(contentsOf: file, encoding: .utf8)
                    == "# HELP backup_bytes B.\n# TYPE backup_bytes gauge\nbackup_bytes \(value)\n")
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["backup.prom"])
        #expect(throws: (any Error).self) { try registry.writeTextFile(folder.path + "/none/x.prom") }
    }

    @Test("the current registry is a task's own where it was given one")
    func current() async {
        let own = MetricRegistry()
        await MetricRegistry.$current.withValue(own) {
            #expect(MetricRegistry.current === own)
            await Task { #expect(MetricRegistry.current === own) }.value
            #expect(await Task.detached { MetricRegistry.current !== own }.value)
        }
        #expect(MetricRegistry.current !== own)
        #expect(MetricRegistry.current === MetricRegistry.current)
    }

    @Test("asynchronous collectors are known, also those of included registries")
    func asynchronous() {
        let (registry, other) = (MetricRegistry(), MetricRegistry())
        registry.collect { $0.gauge("a", help: "A.", 1) }
        #expect(!registry.hasAsyncCollectors)
        registry.include(other)
        let token = other.collectAsync { $0.gauge("b", help: "B.", 1) }
        #expect(registry.hasAsyncCollectors)
        other.remove(token)
        #expect(!registry.hasAsyncCollectors)
    }
}
