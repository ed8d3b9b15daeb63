import Foundation
import Testing

/// `apus tsdb` as one calls it.
@Suite("apus tsdb") struct TSDBToolTests {
    private let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "apus-tsdb-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    /// Runs a command to its end: exit status and all that it printed.
    private func run(_ arguments: String...) throws -> (status: Int32?, output: String) {
        let process = try ChildProcess(Programs.apus, ["tsdb"] + arguments, in: folder)
        let status = process.exitStatus(within: 60)
        return (status, process.output)
    }

    private func write(_ name: String, _ text: String) throws {
        try text.write(to: folder.appending(path: name), atomically: true, encoding: .utf8)
    }

    private func blocks() throws -> [URL] {
        try FileManager.default.contentsOfDirectory(at: folder.appending(path: "out"), includingPropertiesForKeys: nil)
            .sorted { $0.path < $1.path }
    }

    /// Two series in two blocks: the second series and the later samples first, so that order is the import's work.
    private static let page = """
        # TYPE requests counter
        requests_total{code="500"} 7 1704074400
        requests_total{code="500"} 5 1704067200
        requests_total{code="200"} 1 1704067200
        requests_total{code="200"} 2.5 1704067215.5
        # TYPE temperature gauge
        {"temp.celsius",room="a b"} -3e-7 1704067200
        # EOF

        """

    @Test("makes blocks of OpenMetrics text, and finds them in good order") func importAndVerify() throws {
        try write("in.txt", Self.page)
        let made = try run("create-blocks-from", "openmetrics", "--label=site=x", "in.txt", "out")
        #expect(made.status == 0, "\(made.output)")
        let lines = made.output.split(separator: "\n")
        #expect(lines.count == 3 && lines[0].hasPrefix("BLOCK ULID                  MIN TIME       MAX TIME       DURATION"))
        #expect(lines[1].contains("1704067200000  1704067215501  15.501s      4            3            3 "), "\(lines)")
        #expect(lines[2].contains("1704074400000  1704074400001  1ms          1            1            1 "))
        // What came to the spool is gone, and nothing but blocks is there.
        #expect(try blocks().count == 2)
        let listed = try run("list", "out")
        #expect(listed.status == 0 && listed.output == made.output)
        let verified = try run("verify", "out")
        #expect(verified.status == 0 && verified.output.contains("3 series, 3 chunks, 4 samples"), "\(verified.output)")
    }

    @Test("imports the same through a spool that holds three samples") func spool() throws {
        try write("in.txt", Self.page)
        #expect(try run("create-blocks-from", "openmetrics", "-q", "--max-memory-samples=3", "in.txt", "out").status == 0)
        #expect(try run("create-blocks-from", "openmetrics", "-q", "in.txt", "out").status == 0)
        let chunks = try blocks().map { try Data(contentsOf: $0.appending(path: "chunks/000001")) }
        #expect(chunks.count == 4 && chunks[0] == chunks[2] && chunks[1] == chunks[3])
    }

    @Test("says where a file is wrong") func badImport() throws {
        try write("in.txt", "a 1 1\nb{ 2 2\n# EOF\n")
        let wrong = try run("create-blocks-from", "openmetrics", "in.txt", "out")
        #expect(wrong.status == 1 && wrong.output.contains("in.txt:2:3: expected label name"), "\(wrong.output)")
        try write("in.txt", "a 1\n# EOF\n")
        let timeless = try run("create-blocks-from", "openmetrics", "in.txt", "out")
        #expect(timeless.status == 1 && timeless.output.contains("expected timestamp for series a"))
        #expect(try blocks().isEmpty)
    }

    @Test("analyzes a block") func analyze() throws {
        try write("in.txt", Self.page)
        _ = try run("create-blocks-from", "openmetrics", "-q", "in.txt", "out")
        let block = try #require(try blocks().first).lastPathComponent
        let all = try run("analyze", "--extended", "out", block)
        for line in [
            "Block ID: \(block)", "Duration: 15.501s", "Total Series: 3", "Label names: 3", "Postings (unique label pairs): 5",
            "Postings entries (total label pairs): 6", "2 __name__", "2 requests_total", "samples per float chunk (min/avg/max): 1/1/2",
            "samples per histogram chunk: N/A",
        ] {
            #expect(all.output.contains(line + "\n"), "\(line) is missing in\n\(all.output)")
        }
        let some = try run("analyze", "--match={code=\"200\"}", "out", block)
        #expect(some.output.contains("Matcher: {code=\"200\"}\n") && some.output.contains("Matched series: 1\n"))
        let unknown = try run("analyze", "out", "01M83RVXQ0BJ8EJFN0492PXXTH")
        #expect(unknown.status == 1 && unknown.output.contains("invalid block ID"))
    }

    @Test("finds a flipped bit, a missing file and a wrong count", arguments: ["chunks/000001", "index", "meta.json"])
    func damage(_ file: String) throws {
        try write("in.txt", Self.page)
        _ = try run("create-blocks-from", "openmetrics", "-q", "in.txt", "out")
        let path = try #require(try blocks().first).appending(path: file)
        var bytes = try Data(contentsOf: path)
        if file == "meta.json" {
            let text = String(decoding: bytes, as: UTF8.self).replacingOccurrences(of: "\"numSamples\": 4", with: "\"numSamples\": 5")
            bytes = Data(text.utf8)
        } else {
            bytes[bytes.count - 5] ^= 0x10
        }
        try bytes.write(to: path)
        let result = try run("verify", "out")
        #expect(result.status == 1 && result.output.contains("DAMAGED  out/") && result.output.contains("ok       out/"), "\(result.output)")
        try FileManager.default.removeItem(at: path)
        #expect(try run("verify", "out").status == 1)
    }

    @Test("dumps what was imported, and takes it back") func roundTrip() throws {
        try write("in.txt", Self.page)
        _ = try run("create-blocks-from", "openmetrics", "-q", "in.txt", "out")
        let prom = try run("dump", "out")
        #expect(
            prom.output == """
                {__name__="requests_total", code="200"} 1 1704067200000
                {__name__="requests_total", code="200"} 2.5 1704067215500
                {__name__="requests_total", code="500"} 5 1704067200000
                {__name__="requests_total", code="500"} 7 1704074400000
                {__name__="temp.celsius", room="a b"} -3e-07 1704067200000

                """)
        let exact = try run("dump", "--format=exact", "--match=temp.celsius", "--match={code=\"200\"}", "--max-time=1704067200000", "out")
        #expect(exact.status != 0, "a dot needs quotes in a selector")
        let quoted = try run(
            "dump", "--format=exact", "--match={\"temp.celsius\"}", "--match={code=\"200\"}", "--max-time=1704067200000", "out")
        #expect(
            quoted.output == """
                {"__name__":"requests_total","code":"200"} 1704067200000 1.0
                {"__name__":"temp.celsius","room":"a b"} 1704067200000 -3e-07

                """, "\(quoted.output)")
        let text = try run("dump-openmetrics", "out")
        try write("again.txt", text.output)
        #expect(text.output.contains("{\"temp.celsius\",room=\"a b\"} -3e-07 1704067200.000\n"))
        #expect(try run("create-blocks-from", "openmetrics", "-q", "again.txt", "again").status == 0)
        #expect(try run("dump", "again").output == prom.output)
    }
}
