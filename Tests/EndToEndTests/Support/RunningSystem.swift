import Foundation

/// The whole thing as a user runs it: the server, the example service and, where it is installed, a node_exporter.
/// Started once for all tests that look at it.
final class RunningSystem: Sendable {
    static let shared = Result { try RunningSystem() }

    let folder: URL
    let apus: ChildProcess
    let shop: ChildProcess
    let node: ChildProcess?
    let address: String
    let jobs: [String]

    private init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "apus-e2e-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let port = Programs.freePort()
        let shopPort = Programs.freePort()
        address = "http://127.0.0.1:\(port)"
        shop = try ChildProcess(Programs.shopService, ["--host=127.0.0.1", "--port=\(shopPort)"], in: folder)
        var jobs = ["apus", "shop"]
        var nodeJob = ""
        if let program = Programs.nodeExporter {
            let nodePort = Programs.freePort()
            node = try ChildProcess(program, ["--web.listen-address=127.0.0.1:\(nodePort)"], in: folder)
            jobs.append("node")
            nodeJob = """
                  - job_name: node
                    static_configs:
                      - targets: ["127.0.0.1:\(nodePort)"]
                """
        } else {
            node = nil
        }
        self.jobs = jobs
        // The shop comes through a file, so that file discovery is part of the loop.
        try "[{\"targets\": [\"127.0.0.1:\(shopPort)\"], \"labels\": {\"team\": \"shop\"}}]"
            .write(to: folder.appending(path: "shop.json"), atomically: true, encoding: .utf8)
        try """
        global:
          scrape_interval: 1s
          scrape_timeout: 1s
        scrape_configs:
          - job_name: apus
            static_configs:
              - targets: ["127.0.0.1:\(port)"]
          - job_name: shop
            file_sd_configs:
              - files: [shop.json]
            metric_relabel_configs:
              - source_labels: [__name__]
                regex: shop_http_request_duration_seconds_sum
                target_label: rewritten
                replacement: "yes"
        \(nodeJob)
        """.write(to: folder.appending(path: "prometheus.yml"), atomically: true, encoding: .utf8)
        apus = try ChildProcess(
            Programs.apus,
            ["serve", "--config.file=prometheus.yml", "--web.listen-address=127.0.0.1:\(port)", "--web.enable-lifecycle"],
            in: folder)
        let address = address
        guard eventually({ request("GET", address + "/-/ready")?.status == 200 }) else {
            throw Failure("apus did not become ready:\n\(apus.output)")
        }
    }

    struct Failure: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    func get(_ path: String, _ parameters: [String: String] = [:]) -> Answer? {
        request("GET", address + path + (parameters.isEmpty ? "" : "?" + encoded(parameters)))
    }

    /// The series of an instant query: labels and value.
    func query(_ expression: String) -> [(labels: [String: String], value: Double)] {
        guard let answer = request("POST", address + "/api/v1/query", form: ["query": expression]) else { return [] }
        return answer.json["data"]["result"].list.map {
            (($0["metric"].value as? [String: String]) ?? [:], Double($0["value"][1].string ?? "") ?? .nan)
        }
    }
}
