import ApusBytes
import ApusModel

/// An entry of `scrape_configs`.
enum ScrapeSection {
    static let schema = ObjectSchema(
        "config.ScrapeConfig",
        [
            Field("job_name", .string, shown: true), Field("honor_labels", .bool), Field("honor_timestamps", .bool, .bool(true), shown: true),
            Field("track_timestamps_staleness", .bool, shown: true), Field("params", .map(.list(.string))),
            Field("scrape_interval", .duration), Field("scrape_timeout", .duration), Field("scrape_protocols", .list(.string)),
            Field("fallback_scrape_protocol", .string), Field("scrape_native_histograms", .bool, shown: true),
            Field("always_scrape_classic_histograms", .bool, shown: true), Field("convert_classic_histograms_to_nhcb", .bool, shown: true),
            Field("extra_scrape_metrics", .bool, shown: true), Field("scrape_failure_log_file", .path),
            Field("metrics_path", .string, "/metrics"), Field("scheme", .string, "http"),
            Field("enable_compression", .bool, .bool(true), shown: true),
        ] + GlobalSection.limitFields + [
            Field("native_histogram_bucket_limit", .uint), Field("native_histogram_min_bucket_factor", .double),
            Field("keep_dropped_targets", .uint), Field("metric_name_validation_scheme", .string),
            Field("metric_name_escaping_scheme", .string),
        ] + HTTPClientSection.fields + [
            RelabelSection.list("relabel_configs", "empty or null target relabeling rule in scrape config"),
            RelabelSection.list("metric_relabel_configs", "empty or null metric relabeling rule in scrape config"),
        ] + DiscoverySection.fields
    ) { (o: inout ConfigObject) throws(ConfigProblem) in
        try HTTPClientSection.check(&o)
        try GlobalSection.checkNames(&o)
        if o.bytes("job_name").isEmpty { throw o.problem("job_name is empty") }
        if o.objects("relabel_configs").isEmpty { try DiscoverySection.checkStaticTargets(o) }
        let protocolName = o.string("fallback_scrape_protocol")
        let job = goQuoted(o.string("job_name"))
        do throws(ConfigProblem) {
            if o.isSet("scrape_protocols") { _ = try GlobalSection.protocols(o.strings("scrape_protocols")) }
        } catch {
            throw o.problem("\(error.message) for scrape config with job name \(job)", field: "scrape_protocols")
        }
        do throws(ConfigProblem) {
            if !protocolName.isEmpty { _ = try GlobalSection.scrapeProtocol(protocolName) }
        } catch {
            throw o.problem(
                "invalid fallback_scrape_protocol for scrape config with job name \(job): \(error.message)", field: "fallback_scrape_protocol")
        }
    }
}

extension ScrapeConfig {
    /// Completes `o` with what the job inherits, so that it says all that holds.
    init(_ o: inout ConfigObject, global: GlobalConfig) throws(ConfigProblem) {
        self.init(jobName: o.string("job_name"))
        func inherit(_ name: String, _ value: ConfigValue) { if o.value(name)?.isZero ?? true { o.set(name, value) } }
        func inheritFlag(_ name: String, _ value: Bool) { if !o.isSet(name) { o.set(name, .bool(value)) } }

        inherit("scrape_interval", .duration(ms: global.scrapeIntervalMs))
        if o.int("scrape_timeout") > o.int("scrape_interval") {
            throw o.problem(
                "scrape timeout greater than scrape interval for scrape config with job name \(goQuoted(jobName))", field: "scrape_timeout")
        }
        inherit("scrape_timeout", .duration(ms: min(global.scrapeTimeoutMs, o.int("scrape_interval"))))
        inherit("body_size_limit", .size(global.limits.bodySizeBytes))
        inherit("sample_limit", .int(Int64(global.limits.samples)))
        inherit("target_limit", .int(Int64(global.limits.targets)))
        inherit("label_limit", .int(Int64(global.limits.labels)))
        inherit("label_name_length_limit", .int(Int64(global.limits.labelNameBytes)))
        inherit("label_value_length_limit", .int(Int64(global.limits.labelValueBytes)))
        inherit("keep_dropped_targets", .int(Int64(global.limits.keepDroppedTargets)))
        inherit("scrape_failure_log_file", .text(global.scrapeFailureLogFile))
        inheritFlag("scrape_native_histograms", global.scrapeNativeHistograms)
        inheritFlag("always_scrape_classic_histograms", global.alwaysScrapeClassicHistograms)
        inheritFlag("convert_classic_histograms_to_nhcb", global.convertClassicHistogramsToNHCB)
        inheritFlag("extra_scrape_metrics", global.extraScrapeMetrics)

        honorLabels = o.bool("honor_labels")
        honorTimestamps = o.bool("honor_timestamps")
        trackTimestampsStaleness = o.bool("track_timestamps_staleness")
        for entry in o.map("params") {
            if case .list(let values) = entry.value { params[entry.key.description] = values.compactMap(\.text?.description) }
        }
        scrapeIntervalMs = o.int("scrape_interval")
        scrapeTimeoutMs = o.int("scrape_timeout")
        scrapeNativeHistograms = o.bool("scrape_native_histograms")
        alwaysScrapeClassicHistograms = o.bool("always_scrape_classic_histograms")
        convertClassicHistogramsToNHCB = o.bool("convert_classic_histograms_to_nhcb")
        extraScrapeMetrics = o.bool("extra_scrape_metrics")
        let names = o.strings("scrape_protocols")
        if !names.isEmpty {
            scrapeProtocols = try GlobalSection.protocols(names)
        } else if scrapeNativeHistograms == global.scrapeNativeHistograms {
            scrapeProtocols = global.scrapeProtocols
        } else if global.scrapeProtocols != ScrapeProtocol.defaults && global.scrapeProtocols != ScrapeProtocol.defaultsWithNativeHistograms {
            scrapeProtocols = global.scrapeProtocols
        } else {
            scrapeProtocols = scrapeNativeHistograms ? ScrapeProtocol.defaultsWithNativeHistograms : ScrapeProtocol.defaults
        }
        o.set("scrape_protocols", .list(scrapeProtocols.map { .text($0.rawValue) }))
        fallbackScrapeProtocol = ScrapeProtocol(rawValue: o.string("fallback_scrape_protocol"))
        scrapeFailureLogFile = o.string("scrape_failure_log_file")
        metricsPath = o.string("metrics_path")
        scheme = o.string("scheme")
        enableCompression = o.bool("enable_compression")
        limits = ScrapeLimits(o)
        nativeHistogramBucketLimit = o.count("native_histogram_bucket_limit")
        nativeHistogramMinBucketFactor = o.double("native_histogram_min_bucket_factor")

        metricNameValidation = NameValidation(rawValue: o.string("metric_name_validation_scheme")) ?? global.metricNameValidation
        if let own = NameEscaping(rawValue: o.string("metric_name_escaping_scheme")) {
            metricNameEscaping = own
        } else if metricNameValidation == global.metricNameValidation {
            metricNameEscaping = global.metricNameEscaping
        } else {
            metricNameEscaping = metricNameValidation == .utf8 ? .allowUTF8 : .underscores
        }
        if metricNameValidation == .legacy && metricNameEscaping == .allowUTF8 {
            throw o.problem("utf8 metric names requested but validation scheme is not set to UTF8", field: "metric_name_escaping_scheme")
        }
        o.set("metric_name_validation_scheme", .text(metricNameValidation.rawValue))
        o.set("metric_name_escaping_scheme", .text(metricNameEscaping.rawValue))

        http = HTTPClientConfig(o)
        relabelRules = try RelabelSection.rules(o, "relabel_configs", metricNameValidation)
        metricRelabelRules = try RelabelSection.rules(o, "metric_relabel_configs", metricNameValidation)
        discovery = DiscoveryConfigs(o)
    }
}
