import Foundation
import Testing

/// What people and targets get wrong, tried on the built server: a clear answer, and nothing else breaks.
@Suite("Bad input") struct BadInputTests {
    private func folder() throws -> URL {
        let folder = FileManager.default.temporaryDirectory.appending(path: "apus-bad-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        return folder
    }

    @Test(
        "a broken configuration ends the start and says where",
        arguments: [
            (
                "scrape_configs:\n  - job_name: x\n    scrape_intervall: 5s\n",
                ["bad.yml:3:5", "scrape_intervall", "scrape_interval"]
            ),
            ("scrape_configs: [\n", ["bad.yml"]),
            ("global:\n  scrape_interval: soon\n", ["bad.yml:2", "soon"]),
        ])
    func configuration(_ yaml: String, expected: [String]) throws {
        let folder = try folder()
        try yaml.write(to: folder.appending(path: "bad.yml"), atomically: true, encoding: .utf8)
        let apus = try ChildProcess(
            Programs.apus, ["serve", "--config.file=bad.yml", "--web.listen-address=127.0.0.1:0"], in: folder)
        #expect((apus.exitStatus() ?? 0) != 0)
        for part in expected { #expect(apus.output.contains(part), "\(apus.output)") }
    }

    @Test(
        "a flag with a wrong value ends the start and is named, with what it may be",
        arguments: [
            ("--scrape.quick-limit-us=-1", "--scrape.quick-limit-us must not be negative"),
            ("--query.quick-limit-us=-1", "--query.quick-limit-us must not be negative"),
            ("--scrape.max-body-size=0", "--scrape.max-body-size must be greater than 0"),
            ("--query.max-concurrency=0", "--query.max-concurrency must be greater than 0"),
            ("--web.max-connections=0", "--web.max-connections must be greater than 0"),
            ("--storage.head.max-series=-1", "--storage.head.max-series must not be negative"),
        ])
    func flags(_ flag: String, expected: String) throws {
        let apus = try ChildProcess(Programs.apus, ["serve", flag], in: try folder())
        #expect(apus.exitStatus() == 64)
        #expect(apus.output.contains(expected), "\(apus.output)")
    }

    @Test("a port in use is named, with the flag that changes it")
    func portInUse() throws {
        let system = try RunningSystem.shared.get()
        let folder = try folder()
        try "global: {}\n".write(to: folder.appending(path: "prometheus.yml"), atomically: true, encoding: .utf8)
        let taken = system.address.replacingOccurrences(of: "http://", with: "")
        let apus = try ChildProcess(Programs.apus, ["serve", "--web.listen-address=\(taken)"], in: folder)
        #expect((apus.exitStatus() ?? 0) != 0)
        #expect(apus.output.contains(taken) && apus.output.contains("--web.listen-address"), "\(apus.output)")
    }

    @Test(
        "a query that cannot be answered gets a status, a type and a reason",
        arguments: [
            ("rate(up)", 400, "bad_data", "expected type range vector"),
            ("up{", 400, "bad_data", "parse error"),
            (String(repeating: "(", count: 10_000) + "1" + String(repeating: ")", count: 10_000), 400, "bad_data", "limit"),
        ])
    func query(_ expression: String, status: Int, type: String, reason: String) throws {
        let system = try RunningSystem.shared.get()
        let answer = try #require(request("POST", system.address + "/api/v1/query", form: ["query": expression]))
        #expect(answer.status == status)
        #expect(answer.json["errorType"].string == type)
        #expect(answer.json["error"].string?.contains(reason) == true, "\(answer.text.prefix(500))")
    }

    @Test("a sum of 200,000 terms is answered or refused by a named limit")
    func longSum() throws {
        let system = try RunningSystem.shared.get()
        let expression = Array(repeating: "1", count: 200_000).joined(separator: "+")
        let answer = try #require(request("POST", system.address + "/api/v1/query", form: ["query": expression]))
        if answer.status == 200 {
            #expect(answer.json["data"]["result"][1].string == "200000")
        } else {
            #expect(answer.json["error"].string?.contains("limit") == true, "\(answer.text.prefix(500))")
        }
    }

    @Test("more than 11,000 points are refused in Prometheus's words")
    func resolution() throws {
        let system = try RunningSystem.shared.get()
        let answer = try #require(
            system.get("/api/v1/query_range", ["query": "up", "start": "0", "end": "11001", "step": "1"]))
        #expect(answer.status == 400)
        #expect(
            answer.json["error"].string
                == "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)")
    }

    @Test("a server that is told to stop stops, with status 0")
    func stops() throws {
        let folder = try folder()
        try "global: {}\n".write(to: folder.appending(path: "prometheus.yml"), atomically: true, encoding: .utf8)
        let port = Programs.freePort()
        let apus = try ChildProcess(
            Programs.apus, ["--config.file=prometheus.yml", "--web.listen-address=127.0.0.1:\(port)"], in: folder)
        #expect(eventually { request("GET", "http://127.0.0.1:\(port)/-/ready")?.status == 200 }, "\(apus.output)")
        #expect(apus.stop() == 0, "\(apus.output)")
    }
}
