import ApusBytes
import ApusModel

/// The `global` section.
enum GlobalSection {
    static let limitFields = [
        Field("body_size_limit", .size), Field("sample_limit", .uint), Field("target_limit", .uint), Field("label_limit", .uint),
        Field("label_name_length_limit", .uint), Field("label_value_length_limit", .uint),
    ]

    static let schema = ObjectSchema(
        "config.plain",
        [
            Field("scrape_interval", .duration, .duration(ms: 60_000)), Field("scrape_timeout", .duration),
            Field("scrape_protocols", .list(.string)), Field("evaluation_interval", .duration, .duration(ms: 60_000)),
            Field("rule_query_offset", .duration), Field("query_log_file", .path), Field("scrape_failure_log_file", .path),
            Field("external_labels", .map(.string)),
        ] + limitFields + [
            Field("keep_dropped_targets", .uint), Field("metric_name_validation_scheme", .string, "utf8"),
            Field("metric_name_escaping_scheme", .string), Field("scrape_native_histograms", .bool),
            Field("convert_classic_histograms_to_nhcb", .bool), Field("always_scrape_classic_histograms", .bool),
            Field("extra_scrape_metrics", .bool),
        ]
    ) { (o: inout ConfigObject) throws(ConfigProblem) in
        for entry in o.map("external_labels") {
            try checkLabel(entry.key, entry.value.text ?? "", o, "external_labels")
        }
        if o.int("scrape_interval") == 0 { o.set("scrape_interval", .duration(ms: 60_000)) }
        if o.int("scrape_timeout") > o.int("scrape_interval") {
            throw o.problem("global scrape timeout greater than scrape interval", field: "scrape_timeout")
        }
        if o.int("scrape_timeout") == 0 { o.set("scrape_timeout", .duration(ms: min(10_000, o.int("scrape_interval")))) }
        if o.int("evaluation_interval") == 0 { o.set("evaluation_interval", .duration(ms: 60_000)) }
        if o.isSet("scrape_protocols") || !o.list("scrape_protocols").isEmpty {
            do throws(ConfigProblem) {
                _ = try protocols(o.strings("scrape_protocols"))
            } catch {
                throw o.problem("\(error.message) for global config", field: "scrape_protocols")
            }
        }
        try checkNames(&o)
    }

    static func checkLabel(_ name: ByteString, _ value: ByteString, _ o: ConfigObject, _ field: String) throws(ConfigProblem) {
        if !isValidLabelName(name, .utf8) { throw o.problem("\(goQuoted(name.description)) is not a valid label name", field: field) }
        if !value.isValidUTF8 { throw o.problem("\(goQuoted(value.description)) is not a valid label value", field: field) }
    }

    static func checkNames(_ o: inout ConfigObject) throws(ConfigProblem) {
        let validation = o.string("metric_name_validation_scheme")
        if !validation.isEmpty && NameValidation(rawValue: validation) == nil {
            throw o.problem("unrecognized ValidationScheme: \(goQuoted(validation))", field: "metric_name_validation_scheme")
        }
        let escaping = o.string("metric_name_escaping_scheme")
        if !escaping.isEmpty && NameEscaping(rawValue: escaping) == nil {
            throw o.problem(
                "unknown global name escaping method specified, must be one of 'allow-utf-8', 'underscores', 'dots', or 'values', got \(goQuoted(escaping))",
                field: "metric_name_escaping_scheme")
        }
    }

    /// Checked: known, unique, not empty.
    static func protocols(_ names: [String]) throws(ConfigProblem) -> [ScrapeProtocol] {
        if names.isEmpty { throw ConfigProblem("scrape_protocols cannot be empty") }
        var result: [ScrapeProtocol] = []
        for name in names {
            let known = try scrapeProtocol(name)
            if result.contains(known) {
                throw ConfigProblem("duplicated protocol in scrape_protocols, got [\(names.joined(separator: " "))]")
            }
            result.append(known)
        }
        return result
    }

    static func scrapeProtocol(_ name: String) throws(ConfigProblem) -> ScrapeProtocol {
        guard let known = ScrapeProtocol(rawValue: name) else {
            let supported = ScrapeProtocol.allCases.map(\.rawValue).sorted().joined(separator: " ")
            throw ConfigProblem("unknown scrape protocol \(name), supported: [\(supported)]")
        }
        return known
    }
}

extension ScrapeLimits {
    init(_ o: ConfigObject) {
        bodySizeBytes = o.int("body_size_limit")
        samples = o.count("sample_limit")
        targets = o.count("target_limit")
        labels = o.count("label_limit")
        labelNameBytes = o.count("label_name_length_limit")
        labelValueBytes = o.count("label_value_length_limit")
        keepDroppedTargets = o.count("keep_dropped_targets")
    }
}

extension GlobalConfig {
    /// Expands `$NAME` in the external labels, and completes `o` with what depends on other fields.
    init(_ o: inout ConfigObject, _ options: PrometheusConfig.LoadOptions) throws(ConfigProblem) {
        scrapeIntervalMs = o.int("scrape_interval")
        scrapeTimeoutMs = o.int("scrape_timeout")
        evaluationIntervalMs = o.int("evaluation_interval")
        ruleQueryOffsetMs = o.int("rule_query_offset")
        queryLogFile = o.string("query_log_file")
        scrapeFailureLogFile = o.string("scrape_failure_log_file")
        limits = ScrapeLimits(o)
        scrapeNativeHistograms = o.bool("scrape_native_histograms")
        convertClassicHistogramsToNHCB = o.bool("convert_classic_histograms_to_nhcb")
        alwaysScrapeClassicHistograms = o.bool("always_scrape_classic_histograms")
        if options.extraScrapeMetrics, !o.isSet("extra_scrape_metrics") { o.set("extra_scrape_metrics", .bool(true)) }
        extraScrapeMetrics = o.bool("extra_scrape_metrics")
        let names = o.strings("scrape_protocols")
        scrapeProtocols =
            names.isEmpty
            ? scrapeNativeHistograms || options.prefersProtobuf ? ScrapeProtocol.defaultsWithNativeHistograms : ScrapeProtocol.defaults
            : try GlobalSection.protocols(names)
        o.set("scrape_protocols", .list(scrapeProtocols.map { .text($0.rawValue) }))
        metricNameValidation = NameValidation(rawValue: o.string("metric_name_validation_scheme")) ?? .utf8
        metricNameEscaping = NameEscaping(rawValue: o.string("metric_name_escaping_scheme"))
            ?? (metricNameValidation == .utf8 ? .allowUTF8 : .underscores)
        if metricNameValidation == .legacy && metricNameEscaping == .allowUTF8 {
            throw o.problem("utf8 metric names requested but validation scheme is not set to UTF8", field: "metric_name_escaping_scheme")
        }
        var labels: [Label] = []
        for entry in o.map("external_labels") {
            labels.append(Label(entry.key, expandEnvironment(entry.value.text ?? "", options.environment)))
        }
        externalLabels = LabelSet(labels)
        if !labels.isEmpty { o.set("external_labels", .map(labels.map { .init(key: $0.name, value: .string($0.value)) })) }
    }
}

/// Replaces `$NAME` and `${NAME}` by the environment's value, nothing if it has none; `$$` is a dollar.
func expandEnvironment(_ text: ByteString, _ environment: (String) -> String?) -> ByteString {
    let bytes = text.bytes
    guard bytes.contains(UInt8(ascii: "$")) else { return text }
    func isWord(_ byte: UInt8) -> Bool {
        byte == 0x5F || (65...90).contains(byte) || (97...122).contains(byte) || (48...57).contains(byte)
    }
    var result: [UInt8] = []
    var index = 0
    while index < bytes.count {
        guard bytes[index] == UInt8(ascii: "$"), index + 1 < bytes.count else {
            result.append(bytes[index])
            index += 1
            continue
        }
        index += 1
        let name: ArraySlice<UInt8>
        if bytes[index] == UInt8(ascii: "{") {
            // `${` without an end, and `${}`, are dropped.
            guard let end = bytes[index...].firstIndex(of: UInt8(ascii: "}")) else { continue }
            name = bytes[(index + 1)..<end]
            index = end + 1
        } else if bytes[index] == UInt8(ascii: "$") {
            name = bytes[index..<(index + 1)]
            index += 1
        } else {
            var end = index
            while end < bytes.count && isWord(bytes[end]) { end += 1 }
            if end == index {
                result.append(UInt8(ascii: "$"))
                continue
            }
            name = bytes[index..<end]
            index = end
        }
        let key = String(decoding: name, as: UTF8.self)
        if key == "$" {
            result.append(UInt8(ascii: "$"))
        } else if let value = environment(key) {
            result += Array(value.utf8)
        }
    }
    return ByteString(result)
}
