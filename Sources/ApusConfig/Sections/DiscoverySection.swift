import ApusBytes
import ApusModel

/// Where targets come from. The scraper acts on `static_configs`, `file_sd_configs`, and of the other kinds
/// (`DiscoverySection+Kinds`) on those in `active`; the rest is checked and named in `PrometheusConfig.inactiveSections`.
enum DiscoverySection {
    static let targetGroup = ObjectSchema(
        "struct { Targets []string \"yaml:\\\"targets\\\"\"; Labels model.LabelSet \"yaml:\\\"labels\\\"\" }",
        [Field("targets", .list(.string), .list([]), shown: true), Field("labels", .map(.string))]
    ) { (o: inout ConfigObject) throws(ConfigProblem) in
        for entry in o.map("labels") { try GlobalSection.checkLabel(entry.key, entry.value.text ?? "", o, "labels") }
    }

    static let file = ObjectSchema(
        "file.plain",
        [Field("files", .list(.string), shown: true), Field("refresh_interval", .duration, .duration(ms: 300_000))]
    ) { (o: inout ConfigObject) throws(ConfigProblem) in
        if o.list("files").isEmpty { throw o.problem("file service discovery config must contain at least one path name") }
        for name in o.strings("files") where !isDiscoveryGlob(name) {
            throw o.problem("path name \(goQuoted(name)) is not valid for file discovery", field: "files")
        }
    }

    static let fields: [Field] =
        ([
            Field("static_configs", .entries(targetGroup, nullError: "empty or null section in static_configs")),
            Field("file_sd_configs", .entries(file, nullError: "empty or null section in file_sd_configs")),
        ]
        + kinds.map { kind in
            Field("\(kind.name)_sd_configs", .entries(kind.schema, nullError: "empty or null section in \(kind.name)_sd_configs"))
        }).sorted { $0.name < $1.name }

    /// The discoveries of `o` that nothing acts on yet.
    static func inactive(_ o: ConfigObject) -> [String] {
        kinds.filter { !active.contains($0.name) }.map { "\($0.name)_sd_configs" }.filter { !o.list($0).isEmpty }
    }
    private static let active: Set<String> = ["http", "dns"]

    /// A URL where `host:port` is wanted is a common mistake; relabelling could still mend it, so call this only
    /// where there is none.
    static func checkStaticTargets(_ o: ConfigObject) throws(ConfigProblem) {
        for group in o.objects("static_configs") {
            for target in group.strings("targets") where target.contains("/") {
                throw group.problem("\(goQuoted(target)) is not a valid hostname", field: "targets")
            }
        }
    }

    /// `*` only in the last element, and an ending that says the format.
    static func isDiscoveryGlob(_ path: String) -> Bool {
        isGlob(path) && [".json", ".yml", ".yaml", ".JSON", ".YML", ".YAML"].contains { path.hasSuffix($0) }
    }

    /// At most one `*`, after it no further directory.
    static func isGlob(_ path: String) -> Bool {
        guard let star = path.firstIndex(of: "*") else { return true }
        return !path[path.index(after: star)...].contains("/")
    }
}

extension DiscoveryConfigs {
    init(_ o: ConfigObject) {
        for (index, group) in o.objects("static_configs").enumerated() {
            staticConfigs.append(
                TargetGroup(
                    targets: group.list("targets").map { LabelSet([Label("__address__", $0.text ?? "")]) },
                    labels: LabelSet(group.map("labels").map { Label($0.key, $0.value.text ?? "") }), source: String(index)))
        }
        for section in o.objects("file_sd_configs") {
            var config = FileSDConfig()
            config.files = section.strings("files")
            config.refreshIntervalMs = section.int("refresh_interval")
            fileSDConfigs.append(config)
        }
        for section in o.objects("http_sd_configs") {
            var config = HTTPSDConfig()
            config.url = section.string("url")
            config.refreshIntervalMs = section.int("refresh_interval")
            config.http = HTTPClientConfig(section)
            httpSDConfigs.append(config)
        }
        for section in o.objects("dns_sd_configs") {
            var config = DNSSDConfig()
            config.names = section.strings("names")
            config.type = DNSSDConfig.RecordType(rawValue: section.string("type").uppercased()) ?? .srv
            config.port = Int(clamping: section.int("port"))
            config.refreshIntervalMs = section.int("refresh_interval")
            dnsSDConfigs.append(config)
        }
    }
}
