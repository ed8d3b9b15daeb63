import ApusConfig
import Testing

@Suite("Environment in the configuration") struct EnvironmentTests {
    private func load(_ yaml: String, expands: Bool = true) throws(ConfigError) -> PrometheusConfig {
        var options = PrometheusConfig.LoadOptions()
        options.expandsEnvironment = expands
        options.environment = { ["INTERVAL": "7s", "LIMIT": "12", "EVIL": "a\nsample_limit: 5", "EMPTY": ""][$0] }
        return try PrometheusConfig.parse(yaml: yaml, options: options)
    }

    @Test func valuesOfAllKinds() throws {
        let job = try load(
            """
            global: {scrape_interval: "${INTERVAL}"}
            scrape_configs:
              - job_name: 'job-${LIMIT}${EMPTY}-${NOPE:-none}'
                sample_limit: ${LIMIT}
                metrics_path: /a$${LIMIT}$LIMIT
                params: {x: ["${EVIL}"]}
                relabel_configs: [{source_labels: [a], regex: (?P<LIMIT>.*), replacement: "${LIMIT}${1}", target_label: b}]
            """
        ).scrapeConfigs[0]
        #expect(job.jobName == "job-12-none" && job.limits.samples == 12 && job.scrapeIntervalMs == 7000)
        #expect(job.metricsPath == "/a${LIMIT}$LIMIT" && job.params["x"] == ["a\nsample_limit: 5"])
        #expect(job.relabelRules[0].replacement.description == "${LIMIT}${1}")
    }

    @Test func whatIsNotSet() {
        #expect(throws: ConfigError.self) { try load("scrape_configs: [{job_name: '${NOPE}'}]") }
    }

    @Test func offUnlessAskedFor() throws {
        let config = try load("global: {external_labels: {a: '$LIMIT ${NOPE}$$'}}\nscrape_configs: [{job_name: '${LIMIT}'}]", expands: false)
        #expect(config.scrapeConfigs[0].jobName == "${LIMIT}" && config.global.externalLabels["a"] == "12 $")
        #expect(try load("global: {external_labels: {a: '$LIMIT ${NOPE}$$'}}").global.externalLabels["a"] == "12 $")
    }
}
