import ApusBytes
import ApusConfig
import ApusModel
import Testing

@testable import ApusScrape

@Suite struct TargetTests {
    private func make(
        _ own: LabelSet, group: LabelSet = .empty, _ configure: (inout ScrapeConfig) -> Void = { _ in }
    ) -> Target? {
        var config = ScrapeConfig(jobName: "job")
        configure(&config)
        if case .active(let target) = Target.make(own, group: group, config: config) { return target }
        return nil
    }

    @Test func ownLabelsBeatTheGroupsAndConfigurationFillsTheRest() throws {
        let target = try #require(
            make(["__address__": "h:80", "env": "own"], group: ["env": "group", "zone": "z", "__meta_x": "y", "job": "mine"]))
        #expect(target.publicLabels == ["env": "own", "zone": "z", "job": "mine", "instance": "h:80"])
        #expect(target.discoveredLabels["__meta_x"] == "y")
        #expect(target.labels["__meta_x"] == nil)
        #expect(target.labels["__scrape_interval__"] == "1m")
        #expect(target.url == "http://h:80/metrics")
        #expect(target.intervalMs == 60_000 && target.timeoutMs == 10_000)
    }

    @Test func labelsDirectTheScrape() throws {
        let target = try #require(
            make([
                "__address__": "h", "__scheme__": "https", "__metrics_path__": "p/a b", "__param_q": "from label",
                "__scrape_interval__": "5s", "__scrape_timeout__": "1500ms", "instance": "named",
            ]) { $0.params = ["q": ["x", "y&z"], "a": ["1"]] })
        #expect(target.url == "https://h/p/a%20b?a=1&q=from+label&q=y%26z")
        #expect(target.intervalMs == 5000 && target.timeoutMs == 1500)
        #expect(target.publicLabels == ["instance": "named", "job": "job"])
    }

    @Test(arguments: [
        Failure(["a": "b"], "no address"),
        Failure(["__address__": "http://h/"], "\"http://h/\" is not a valid hostname"),
        Failure(["__address__": "h", "__scrape_interval__": "x"], "error parsing scrape interval: not a valid duration string: \"x\""),
        Failure(["__address__": "h", "__scrape_interval__": "0s"], "scrape interval cannot be 0"),
        Failure(["__address__": "h", "__scrape_timeout__": "0s"], "scrape timeout cannot be 0"),
        Failure(
            ["__address__": "h", "__scrape_interval__": "1s", "__scrape_timeout__": "2s"],
            "scrape timeout cannot be greater than scrape interval (\"2s\" > \"1s\")"
        ),
    ])
    func errorsInPrometheussWords(_ failure: Failure) {
        guard case .failed(let reason) = Target.make(failure.labels, group: .empty, config: ScrapeConfig(jobName: "j")) else {
            Issue.record("\(failure.labels) must fail")
            return
        }
        #expect(reason == failure.reason)
    }

    struct Failure: Sendable {
        let labels: LabelSet
        let reason: String
        init(_ labels: LabelSet, _ reason: String) {
            self.labels = labels
            self.reason = reason
        }
    }

    @Test func duplicatesCollapseAndDroppedTargetsAreKeptUpToTheirLimit() throws {
        var config = ScrapeConfig(jobName: "j")
        var rule = RelabelRule(action: .drop, regex: try .init("drop.*"))
        rule.sourceLabels = ["__address__"]
        config.relabelRules = [rule]
        config.limits.keepDroppedTargets = 1
        let addresses: [ByteString] = ["a", "b", "a", "drop1", "drop2", "bad/address"]
        let set = TargetSet(groups: [TargetGroup(targets: addresses.map { ["__address__": $0] }, source: "0")], config: config)
        #expect(set.active.map(\.url) == ["http://a/metrics", "http://b/metrics"])
        #expect(set.dropped.count == 1 && set.droppedCount == 2)
        #expect(set.failures == ["instance 5 in group 0: \"bad/address\" is not a valid hostname"])
    }

    @Test func acceptHeaders() {
        #expect(makeAcceptHeader(ScrapeProtocol.defaults, escaping: .allowUTF8)
            == "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,"
            + "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2")
        #expect(makeAcceptHeader([.text004], escaping: .allowUTF8) == "text/plain;version=0.0.4;q=0.6,*/*;q=0.5")
        #expect(makeAcceptHeader([.protobuf], escaping: .allowUTF8) == "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,*/*;q=0.5")
    }

    @Test func credentials() throws {
        var client = HTTPClientConfig()
        client.authorization = HTTPClientConfig.Authorization()
        client.authorization?.credentials = "tok"
        #expect(try makePrivateHeaders(client) == ["Authorization: Bearer tok"])
        client.authorization?.credentials = "a\r\nX-Evil: 1"
        #expect(throws: CredentialError.self) { try makePrivateHeaders(client) }
        client.authorization?.credentialsFile = "/nonexistent/token"
        do { _ = try makePrivateHeaders(client) } catch {
            #expect(error.description.hasSuffix("open /nonexistent/token: no such file or directory"))
        }
        for (text, encoded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            #expect(base64(Array(text.utf8)) == encoded)
        }
    }

    @Test func fileGroups() throws {
        let json = "[{\"targets\": [\"a:1\", \"b:2\"], \"labels\": {\"env\": \"x\"}}]"
        let yaml = "- targets: ['a:1', 'b:2']\n  labels:\n    env: x\n"
        for text in [json, yaml] {
            let groups = try FileDiscovery.parse(Array(text.utf8), path: "/f")
            #expect(groups == [
                TargetGroup(targets: [["__address__": "a:1"], ["__address__": "b:2"]], labels: ["env": "x", "__meta_filepath": "/f"], source: "/f:0")
            ])
        }
        #expect(try FileDiscovery.parse([], path: "/f") == [])
        for bad in ["{", "a: 1", "- [1]", "- targets: x", "- target: [a]", "- targets: [[a]]"] {
            #expect(throws: FileDiscovery.FileError.self, "\(bad)") { try FileDiscovery.parse(Array(bad.utf8), path: "/f") }
        }
    }
}
