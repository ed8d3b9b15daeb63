import Foundation
import Testing

/// Protobuf and OpenMetrics, from the target to the query, and on to a Prometheus over the same directory.
@Suite("Formats of targets") struct FormatTests {
    private let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "apus-formats-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    // MARK: A page of protobuf

    private static func uvarint(_ value: UInt64) -> [UInt8] {
        value < 0x80 ? [UInt8(value)] : [UInt8(value & 0x7F) | 0x80] + uvarint(value >> 7)
    }
    private static func zigzag(_ value: Int64) -> [UInt8] { uvarint(UInt64(bitPattern: value << 1) ^ UInt64(bitPattern: value >> 63)) }
    private static func number(_ field: UInt64, _ value: UInt64) -> [UInt8] { uvarint(field << 3) + uvarint(value) }
    private static func double(_ field: UInt64, _ value: Double) -> [UInt8] {
        uvarint(field << 3 | 1) + (0..<8).map { UInt8(truncatingIfNeeded: value.bitPattern >> UInt64(8 * $0)) }
    }
    private static func message(_ field: UInt64, _ content: [UInt8]) -> [UInt8] { uvarint(field << 3 | 2) + uvarint(UInt64(content.count)) + content }
    private static func text(_ field: UInt64, _ content: String) -> [UInt8] { message(field, Array(content.utf8)) }
    private static func span(_ field: UInt64, _ offset: Int64, _ length: UInt64) -> [UInt8] {
        message(field, uvarint(1 << 3) + zigzag(offset) + number(2, length))
    }

    /// One native histogram that grows with each scrape, with an exemplar of now.
    private static func page(_ scrape: Int) -> [UInt8] {
        let growth = UInt64(scrape + 1)
        let now = UInt64(Date.now.timeIntervalSince1970)
        let exemplar = message(1, text(1, "trace_id") + text(2, "t\(scrape)")) + double(2, 1.5) + message(3, number(1, now))
        // 2n + n + 3n in the buckets, n at zero.
        var histogram = number(1, 7 * growth) + double(2, 9.5 * Double(growth)) + uvarint(5 << 3) + zigzag(1) + double(6, 0.001)
        histogram += number(7, growth) + span(12, 0, 2) + span(12, 1, 1)
        let n = Int64(growth)
        histogram += message(13, zigzag(2 * n) + zigzag(-n) + zigzag(2 * n)) + message(16, exemplar)
        let metric = message(1, text(1, "path") + text(2, "/")) + message(7, histogram)
        let family = text(1, "took_seconds") + text(2, "How long.") + number(3, 4) + message(4, metric)
        return uvarint(UInt64(family.count)) + family
    }

    private static func openMetrics(_ scrape: Int) -> String {
        """
        # TYPE jobs counter
        jobs_total{queue="a"} \(scrape) # {trace_id="j\(scrape)"} 1
        # TYPE size histogram
        size_bucket{le="1.0"} \(scrape)
        size_bucket{le="+Inf"} \(scrape * 2)
        size_count \(scrape * 2)
        size_sum \(scrape * 3)
        # EOF

        """
    }

    private func query(_ address: String, _ expression: String) -> [JSON] {
        request("POST", address + "/api/v1/query", form: ["query": expression])?.json["data"]["result"].list ?? []
    }

    /// With the members of objects in order.
    private func canonical(_ json: JSON) -> String {
        let data = try? JSONSerialization.data(withJSONObject: json.value, options: [.sortedKeys, .fragmentsAllowed])
        return data.map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    @Test("native histograms and exemplars reach queries, and a Prometheus that takes the directory over") func wholeWay() throws {
        let proto = try PageServer(contentType: "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited") {
            Self.page($0)
        }
        let text = try PageServer(contentType: "application/openmetrics-text; version=1.0.0") { Array(Self.openMetrics($0).utf8) }
        let port = Programs.freePort()
        let address = "http://127.0.0.1:\(port)"
        try """
        global: {scrape_interval: 200ms, scrape_timeout: 200ms}
        storage: {exemplars: {max_exemplars: 1000}}
        scrape_configs:
          - job_name: proto
            scrape_native_histograms: true
            static_configs: [{targets: ["127.0.0.1:\(proto.port)"]}]
          - job_name: text
            convert_classic_histograms_to_nhcb: true
            static_configs: [{targets: ["127.0.0.1:\(text.port)"]}]
        """.write(to: folder.appending(path: "prometheus.yml"), atomically: true, encoding: .utf8)
        let options = ["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address=127.0.0.1:\(port)"]
        let apus = try ChildProcess(Programs.apus, ["serve"] + options, in: folder)
        #expect(
            eventually {
                (query(address, "histogram_count(took_seconds{job=\"proto\"})").first?["value"][1].string.flatMap { Double($0) } ?? 0) >= 35
            }, "\(apus.output)")
        // Seven observations for 9.5 seconds.
        let average = query(address, "histogram_avg(took_seconds)").first?["value"][1].string.flatMap { Double($0) }
        #expect(average.map { abs($0 - 9.5 / 7) < 1e-9 } == true)
        let shown = query(address, "took_seconds").first?["histogram"][1]
        #expect(shown?["buckets"].list.count == 4 && shown?["sum"].string != nil, "\(shown?.description ?? "none")")
        #expect(query(address, "histogram_fraction(0, 1, size)").first?["value"][1].string == "0.5")
        #expect(query(address, "size_bucket").isEmpty && !query(address, "jobs_total").isEmpty)
        let start = Date.now.timeIntervalSince1970 - 100
        let exemplars = request(
            "POST", address + "/api/v1/query_exemplars", form: ["query": "{job=~\".+\"}", "start": "\(start)", "end": "\(start + 200)"])?.json["data"]
        let names = Set(exemplars?.list.compactMap { $0["seriesLabels"]["__name__"].string } ?? [])
        #expect(names == ["took_seconds", "jobs_total"], "\(exemplars?.description ?? "none")")

        let before = try #require(query(address, "took_seconds[10m]").first?["histograms"].list.map(canonical))
        #expect(before.count >= 5)
        #expect(apus.stop() == 0, "\(apus.output)")
        guard let prometheus = Programs.prometheus else { return }
        try "scrape_configs: []\n".write(to: folder.appending(path: "prometheus.yml"), atomically: true, encoding: .utf8)
        let peer = try ChildProcess(prometheus, options, in: folder)
        #expect(eventually { request("GET", address + "/-/ready")?.status == 200 }, "\(peer.output)")
        let after = query(address, "took_seconds[10m]").first?["histograms"].list.map(canonical) ?? []
        #expect(Array(after.prefix(before.count)) == before, "\(peer.output)")
        #expect(peer.stop() == 0)
    }
}
