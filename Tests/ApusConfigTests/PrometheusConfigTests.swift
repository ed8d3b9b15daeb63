import ApusBytes
@testable import ApusConfig
import ApusModel
import Testing

@Suite("The configuration file") struct PrometheusConfigTests {
    static func message(_ yaml: String) -> String? {
        do throws(ConfigError) {
            _ = try PrometheusConfig.parse(yaml: yaml)
            return nil
        } catch {
            return error.description
        }
    }

    @Test("may be empty", arguments: ["", "global:\n", "{}", "# nothing\n", "---\n"]) func empty(_ yaml: String) throws {
        let config = try PrometheusConfig.parse(yaml: yaml)
        #expect(config.global == GlobalConfig())
        #expect(config.scrapeConfigs.isEmpty)
    }

    @Test("gives jobs what they do not set from global") func inheritance() throws {
        let config = try PrometheusConfig.parse(
            yaml: """
                global: {scrape_interval: 15s, sample_limit: 5, scrape_native_histograms: true, external_labels: {host: "$HOST-$$-${NONE}."}}
                rule_files: [rules/*.yml]
                scrape_configs:
                - job_name: a
                  static_configs: [{targets: ["x:1", "y:2"], labels: {env: prod}}]
                  params: {module: [one, two]}
                - job_name: b
                  scrape_interval: 5s
                  sample_limit: 7
                  scrape_native_histograms: false
                  metrics_path: /m
                  file_sd_configs: [{files: [t/*.json], refresh_interval: 1m}]
                  bearer_token: abc
                """, baseDirectory: "/etc/apus", options: options(["HOST": "h1"]))
        let (a, b) = (config.scrapeConfigs[0], config.scrapeConfigs[1])
        #expect(a.scrapeIntervalMs == 15_000 && a.scrapeTimeoutMs == 10_000 && a.limits.samples == 5)
        #expect(a.scrapeProtocols == ScrapeProtocol.defaultsWithNativeHistograms)
        #expect(a.params == ["module": ["one", "two"]])
        #expect(a.staticConfigs == [TargetGroup(targets: [["__address__": "x:1"], ["__address__": "y:2"]], labels: ["env": "prod"], source: "0")])
        #expect(b.scrapeIntervalMs == 5_000 && b.scrapeTimeoutMs == 5_000 && b.limits.samples == 7 && b.metricsPath == "/m")
        #expect(b.scrapeProtocols == ScrapeProtocol.defaults)
        #expect(b.fileSDConfigs.map(\.files) == [["/etc/apus/t/*.json"]] && b.fileSDConfigs[0].refreshIntervalMs == 60_000)
        #expect(b.http.authorization?.credentials == "abc" && b.http.authorization?.type == "Bearer")
        #expect(config.global.externalLabels == ["host": "h1-$-."])
        #expect(config.ruleFiles == ["/etc/apus/rules/*.yml"])
        #expect(config.inactiveSections == ["rule_files"])
    }

    private func options(_ environment: [String: String]) -> PrometheusConfig.LoadOptions {
        var options = PrometheusConfig.LoadOptions()
        options.environment = { environment[$0] }
        return options
    }

    @Test("tells what the storage section sets from what it leaves to the flags") func storage() throws {
        let empty = try PrometheusConfig.parse(yaml: "storage: {tsdb: {out_of_order_time_window: 1h}}").storage
        #expect(empty.retentionMs == nil && empty.retentionSizeBytes == nil && empty.retentionPercentage == nil && empty.maxExemplars == nil)
        #expect(empty.outOfOrderTimeWindowMs == 3_600_000 && empty.usesXOR2Chunks == nil)
        let full = try PrometheusConfig.parse(
            yaml: """
                storage:
                  exemplars: {max_exemplars: 5000}
                  tsdb:
                    chunk_encoding: {floats: xor2}
                    retention:
                      time: 0s
                      size: 1GB
                      percentage: 12.5
                      rules:
                      - match: '{job="debug"}'
                        time: 2h
                """
        ).storage
        #expect(full.retentionMs == 0 && full.retentionSizeBytes == 1 << 30 && full.retentionPercentage == 12.5)
        #expect(full.maxExemplars == 5000 && full.usesXOR2Chunks == true)
        #expect(full.retentionRules.map(\.match) == [#"{job="debug"}"#] && full.retentionRules.map(\.timeMs) == [7_200_000])
        #expect(full.retentionRules[0].position == ConfigPosition(line: 10, column: 9))
        #expect(try PrometheusConfig.parse(yaml: "storage: {exemplars: {}}").storage.maxExemplars == 100_000)
        #expect(Self.message("storage: {tsdb: {retention: {rules: [{time: 1h}]}}}")?.contains("needs a selector in 'match'") == true)
        #expect(Self.message("storage: {tsdb: {retention: {rules: [{match: up}]}}}")?.contains("needs a 'time' greater than 0") == true)
        #expect(Self.message("storage: {tsdb: {retention: {percentage: 101}}}")?.contains("must be in the range [0, 100], got 101") == true)
    }

    @Test(
        "is refused with Prometheus's text, the place, and what was perhaps meant",
        arguments: [
            (
                "global:\n  scrape_intervall: 1m\n",
                "parsing YAML file prometheus.yml: yaml: unmarshal errors:\n  line 2: field scrape_intervall not found in type config.plain (prometheus.yml:2:3, did you mean \"scrape_interval\"?)"
            ),
            (
                "scrape_configs:\n- job_name: a\n  honor_labels: 7\n  zzzzzzz: 1\n",
                "parsing YAML file prometheus.yml: yaml: unmarshal errors:\n  line 3: cannot unmarshal !!int `7` into bool (prometheus.yml:3:17)\n  line 4: field zzzzzzz not found in type config.ScrapeConfig (prometheus.yml:4:3)"
            ),
            (
                "scrape_configs:\n- job_name: x\n  scrape_interval: 1s\n  scrape_timeout: 2s\n",
                "parsing YAML file prometheus.yml: scrape timeout greater than scrape interval for scrape config with job name \"x\" (prometheus.yml:4:3)"
            ),
            (
                "scrape_configs: [{job_name: x}, {job_name: x}]",
                "parsing YAML file prometheus.yml: found multiple scrape configs with job name \"x\" (prometheus.yml:1:34)"
            ),
            ("scrape_configs:\n-\n", "parsing YAML file prometheus.yml: empty or null scrape config section (prometheus.yml:2:2)"),
            ("global: {scrape_interval: 5}", "parsing YAML file prometheus.yml: not a valid duration string: \"5\" (prometheus.yml:1:27)"),
            (
                "scrape_configs: [{job_name: x, static_configs: [{targets: ['http://a']}]}]",
                "parsing YAML file prometheus.yml: \"http://a\" is not a valid hostname (prometheus.yml:1:50)"
            ),
            ("a: 1\na: 2\n", "parsing YAML file prometheus.yml: yaml: line 2: key \"a\" already set in map (prometheus.yml:2:1)"),
        ])
    func refused(_ yaml: String, _ message: String) {
        let found = Self.message(yaml)
        if yaml.hasPrefix("a: 1") {
            // The library reports one of the two places.
            #expect(found?.contains("key \"a\" already set in map") == true)
        } else {
            #expect(found == message)
        }
    }

    @Test("stands up to aliases of aliases and deep nesting") func bombs() {
        var yaml = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1..<12 { yaml += "a\(level): &a\(level) [\(Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", "))]\n" }
        #expect(Self.message(yaml)?.contains("excessive aliasing") == true)
        #expect(Self.message(String(repeating: "[", count: 100_000)) != nil)
        #expect(Self.message(String(repeating: "- ", count: 100_000)) != nil)
        #expect(Self.message(String(repeating: "{a: ", count: 100_000)) != nil)
    }

    @Test("refuses in agent mode what an agent has not") func agent() {
        var options = PrometheusConfig.LoadOptions()
        options.agentMode = true
        #expect { try PrometheusConfig.parse(yaml: "rule_files: [a]", options: options) } throws: {
            ($0 as? ConfigError)?.problems.first?.message == "field rule_files is not allowed in agent mode"
        }
    }

    @Test("is shown with all defaults and without secrets") func effective() throws {
        let config = try PrometheusConfig.parse(
            yaml: """
                global: {external_labels: {n: "1"}}
                scrape_configs:
                - job_name: a
                  basic_auth: {username: u, password: hunter2}
                  params: {"match[]": ['{a="b"}']}
                  relabel_configs: [{source_labels: [x, y], target_label: z, separator: ""}]
                  static_configs: [{targets: ["x:1"]}]
                """)
        #expect(
            config.effectiveYAML() == """
                global:
                  scrape_interval: 1m
                  scrape_timeout: 10s
                  scrape_protocols:
                  - OpenMetricsText1.0.0
                  - OpenMetricsText0.0.1
                  - PrometheusText1.0.0
                  - PrometheusText0.0.4
                  evaluation_interval: 1m
                  external_labels:
                    "n": "1"
                  metric_name_validation_scheme: utf8
                runtime:
                  gogc: 75
                scrape_configs:
                - job_name: a
                  honor_timestamps: true
                  track_timestamps_staleness: false
                  params:
                    match[]:
                    - '{a="b"}'
                  scrape_interval: 1m
                  scrape_timeout: 10s
                  scrape_protocols:
                  - OpenMetricsText1.0.0
                  - OpenMetricsText0.0.1
                  - PrometheusText1.0.0
                  - PrometheusText0.0.4
                  scrape_native_histograms: false
                  always_scrape_classic_histograms: false
                  convert_classic_histograms_to_nhcb: false
                  extra_scrape_metrics: false
                  metrics_path: /metrics
                  scheme: http
                  enable_compression: true
                  metric_name_validation_scheme: utf8
                  metric_name_escaping_scheme: allow-utf-8
                  basic_auth:
                    username: u
                    password: <secret>
                  follow_redirects: true
                  enable_http2: true
                  relabel_configs:
                  - source_labels: [x, "y"]
                    separator: ""
                    target_label: z
                    replacement: $1
                    action: replace
                  static_configs:
                  - targets:
                    - x:1
                storage:
                  tsdb:
                    retention:
                      time: 15d
                otlp:
                  translation_strategy: UnderscoreEscapingWithSuffixes
                  label_name_underscore_sanitization: true
                  label_name_preserve_multiple_underscores: true

                """)
        // What is shown reads back as the same.
        let again = try PrometheusConfig.parse(yaml: config.effectiveYAML())
        #expect(again.effectiveYAML() == config.effectiveYAML())
    }

    @Test("reads target files in YAML and JSON") func targetGroups() throws {
        let expected = [TargetGroup(targets: [["__address__": "a:1"]], labels: ["x": "y"], source: "f:0")]
        #expect(try parseTargetGroups("- targets: ['a:1']\n  labels: {x: y}\n", fileName: "f") == expected)
        #expect(try parseTargetGroups(#"[{"targets": ["a:1"], "labels": {"x": "y"}}]"#, fileName: "f") == expected)
        #expect(try parseTargetGroups("", fileName: "f").isEmpty)
        #expect(throws: ConfigError.self) { try parseTargetGroups("- target: [a]", fileName: "f") }
        #expect(throws: ConfigError.self) { try parseTargetGroups("targets: [a]", fileName: "f") }
    }

    @Test("random damage never crashes the decoder", arguments: 1...8) func fuzz(_ seed: UInt64) {
        let base = Array(
            """
            global: {scrape_interval: 15s, external_labels: &l {a: b, "c": 'd'}}
            scrape_configs:
            - job_name: a
              <<: {scheme: https}
              relabel_configs:
              - {source_labels: [a, b], regex: "a(.*)b", target_label: "${1}", action: replace, modulus: 0x1F}
              static_configs: [{targets: ["x:1"], labels: *l}]
              kubernetes_sd_configs: [{role: pod, selectors: [{role: pod, label: "a in (b,c)"}]}]
              tls_config: {ca: !!binary "aGk=", insecure_skip_verify: yes}
              body_size_limit: 15MB
            storage: {tsdb: {retention: {time: 15d, size: 1.5GB, percentage: 1e1}}}
            remote_write: [{url: "http://a", queue_config: {capacity: 10_000}}]
            """.utf8)
        var state = seed
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        let tokens = ["", "\n", " ", ":", "- ", "[", "]", "{", "}", "*l", "&l ", "!!binary ", "null", "~", "\"", "'", "|\n", "9999999999999999999", "-1", "1e400", "é", "$", "\u{0}", "%", "? "]
        for _ in 0..<300 {
            var text = base
            for _ in 0...random(4) {
                let at = random(text.count)
                let end = min(text.count, at + random(6))
                text.replaceSubrange(at..<end, with: Array(tokens[random(tokens.count)].utf8))
            }
            if let config = try? PrometheusConfig.parse(yaml: String(decoding: text, as: UTF8.self)) {
                _ = config.effectiveYAML()
            }
        }
    }
}

@Suite("Nearest names") struct NearestNameTests {
    @Test(
        "are near",
        arguments: [("scrap_configs", "scrape_configs"), ("jobname", "job_name"), ("xyz", nil), ("metric_path", "metrics_path"), ("", nil)] as [(String, String?)])
    func nearest(_ name: String, _ expected: String?) {
        #expect(nearestName(to: name, among: ["scrape_configs", "job_name", "metrics_path", "static_configs"]) == expected)
    }
}
