import ApusBytes
import ApusModel

/// `runtime`, `storage`, `tracing` and `otlp`.
enum ServerSections {
    static let runtime = ObjectSchema("config.RuntimeConfig", [Field("gogc", .int, .int(75))])

    /// Ours: how long the series of a selector are kept, where that is not as long as the rest.
    private static let retentionRule = ObjectSchema("config.RetentionRule", [Field("match", .string), Field("time", .duration)]) {
        (o: inout ConfigObject) throws(ConfigProblem) in
        if o.bytes("match").isEmpty { throw o.problem("a retention rule needs a selector in 'match', such as '{job=\"debug\"}'") }
        if o.int("time") <= 0 { throw o.problem("a retention rule needs a 'time' greater than 0", field: "time") }
    }

    private static let retention = ObjectSchema(
        "config.plain",
        [
            Field("time", .duration), Field("size", .size), Field("percentage", .double),
            Field("rules", .entries(retentionRule, nullError: "empty or null retention rule")),
        ]
    ) { (o: inout ConfigObject) throws(ConfigProblem) in
        let percentage = o.double("percentage")
        if !(percentage >= 0 && percentage <= 100) {
            throw o.problem("'storage.tsdb.retention.percentage' must be in the range [0, 100], got \(percentage)", field: "percentage")
        }
    }

    private static let chunkEncoding = ObjectSchema("config.plain", [Field("floats", .string, "xor")]) {
        (o: inout ConfigObject) throws(ConfigProblem) in
        if !["xor", "xor2"].contains(o.string("floats")) {
            throw o.problem("unknown float chunk encoding \(goQuoted(o.string("floats"))), must be one of xor, xor2", field: "floats")
        }
    }

    private static let tsdb = ObjectSchema(
        "config.plain",
        [
            Field("out_of_order_time_window", .duration), Field("stale_series_compaction_threshold", .double),
            Field("retention", .object(retention)), Field("chunk_encoding", .object(chunkEncoding)),
        ]
    ) { (o: inout ConfigObject) throws(ConfigProblem) in
        let threshold = o.double("stale_series_compaction_threshold")
        if !(threshold >= 0 && threshold <= 1) {
            throw o.problem("'stale_series_compaction_threshold' must be between 0 and 1", field: "stale_series_compaction_threshold")
        }
        // Neither time nor size: 15 days, as the flag has it.
        var section = o.object("retention") ?? ConfigObject(retention, at: o.position)
        if !section.isSet("time") && section.int("size") == 0 {
            section.set("time", .duration(ms: 15 * 86_400_000))
            o.set("retention", .object(section))
        }
    }

    static let storage = ObjectSchema(
        "config.StorageConfig",
        [
            Field("tsdb", .object(tsdb)),
            Field("exemplars", .object(ObjectSchema("config.ExemplarsConfig", [Field("max_exemplars", .int, .int(100_000))]))),
        ])

    static let tracing = ObjectSchema(
        "config.plain",
        [
            Field("client_type", .string, "grpc"), Field("endpoint", .string), Field("sampling_fraction", .double),
            Field("insecure", .bool), Field("tls_config", .object(HTTPClientSection.tls)), Field("headers", .map(.string)),
            Field("compression", .string), Field("timeout", .duration, .duration(ms: 10_000)),
            Field("http_headers", .map(.object(HTTPClientSection.headerValues))),
        ]
    ) { (o: inout ConfigObject) throws(ConfigProblem) in
        try RemoteSection.checkHeaders(o, "authorization header configuration is not yet supported")
        if o.bytes("endpoint").isEmpty { throw o.problem("tracing endpoint must be set", field: "endpoint") }
        if !["", "gzip"].contains(o.string("compression")) {
            throw o.problem("invalid compression type \(o.string("compression")) provided, valid options: gzip", field: "compression")
        }
        if !["grpc", "http"].contains(o.string("client_type")) {
            throw o.problem("expected tracing client type to be to be one of [http grpc] but got \(o.string("client_type"))", field: "client_type")
        }
    }

    static let otlp = ObjectSchema(
        "config.plain",
        [
            Field("promote_all_resource_attributes", .bool), Field("promote_resource_attributes", .list(.string)),
            Field("ignore_resource_attributes", .list(.string)),
            Field("translation_strategy", .string, "UnderscoreEscapingWithSuffixes"),
            Field("keep_identifying_resource_attributes", .bool), Field("convert_histograms_to_nhcb", .bool),
            Field("promote_scope_metadata", .bool), Field("label_name_underscore_sanitization", .bool, .bool(true)),
            Field("label_name_preserve_multiple_underscores", .bool, .bool(true)),
        ]
    ) { (o: inout ConfigObject) throws(ConfigProblem) in
        let strategies = ["UnderscoreEscapingWithSuffixes", "UnderscoreEscapingWithoutSuffixes", "NoUTF8EscapingWithSuffixes", "NoTranslation"]
        if !strategies.contains(o.string("translation_strategy")) {
            throw o.problem("unsupported OTLP translation strategy \(goQuoted(o.string("translation_strategy")))", field: "translation_strategy")
        }
        if o.bool("promote_all_resource_attributes") {
            if !o.list("promote_resource_attributes").isEmpty {
                throw o.problem("'promote_all_resource_attributes' and 'promote_resource_attributes' cannot be configured simultaneously")
            }
            try cleanAttributes(&o, "ignore_resource_attributes", "ignored")
        } else {
            if !o.list("ignore_resource_attributes").isEmpty {
                throw o.problem("'ignore_resource_attributes' cannot be configured unless 'promote_all_resource_attributes' is true")
            }
            try cleanAttributes(&o, "promote_resource_attributes", "promoted")
        }
    }

    /// Trims the names; none may be empty or stand twice.
    private static func cleanAttributes(_ o: inout ConfigObject, _ field: String, _ adjective: String) throws(ConfigProblem) {
        var seen: Set<String> = []
        var names: [ConfigValue] = []
        for name in o.strings(field) {
            let name = trimmed(name)
            if name.isEmpty { throw o.problem("invalid '\(field)': empty \(adjective) OTel resource attribute", field: field) }
            if !seen.insert(name).inserted {
                throw o.problem("invalid '\(field)': duplicated \(adjective) OTel resource attribute \(goQuoted(name))", field: field)
            }
            names.append(.text(name))
        }
        if !names.isEmpty { o.set(field, .list(names)) }
    }
}
