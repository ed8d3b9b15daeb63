public import ApusBytes

/// A file of rules: `groups`, each with rules that are evaluated one after the other.
///
/// Fields, types and what belongs together are checked; expressions are texts here, and for the query engine to check.
public struct RuleFile: Sendable {
    public struct Rule: Sendable {
        public enum Kind: Sendable, Equatable {
            case recording(name: String)
            case alerting(name: String)
        }
        public var kind: Kind
        public var expression: String
        public var forMs: Int64
        public var keepFiringForMs: Int64
        /// Those of the group included; the rule's own win.
        public var labels: [(name: ByteString, value: ByteString)]
        public var annotations: [(name: ByteString, value: ByteString)]
        /// Of its expression.
        public var position: ConfigPosition?
    }

    public struct Group: Sendable {
        public var name: String
        /// 0: as the server's `evaluation_interval` says.
        public var intervalMs: Int64
        public var queryOffsetMs: Int64
        /// Series that a rule may yield; 0 for any number.
        public var limit: Int64
        public var rules: [Rule]
    }

    public var groups: [Group]

    /// Reads and checks `file`.
    public static func load(file: String, ignoringUnknownFields: Bool = false) throws(ConfigError) -> RuleFile {
        try parse(yaml: try readConfigFile(file), fileName: file, ignoringUnknownFields: ignoringUnknownFields)
    }

    /// Checks `yaml`. `fileName` is for errors.
    public static func parse(yaml: String, fileName: String, ignoringUnknownFields: Bool = false) throws(ConfigError) -> RuleFile {
        let document = try PrometheusConfig.decode(
            yaml, RuleSection.file, fileName: fileName, baseDirectory: "", ignoringUnknownFields: ignoringUnknownFields)
        do throws(ConfigProblem) { return try RuleFile(document) } catch {
            throw ConfigError(.invalid, fileName: fileName, problems: [error])
        }
    }

    private init(_ document: ConfigObject) throws(ConfigProblem) {
        groups = []
        var names: Set<String> = []
        for section in document.objects("groups") {
            let name = section.string("name")
            if name.isEmpty { throw section.problem("Groupname must not be empty") }
            if !names.insert(name).inserted {
                throw section.problem("groupname: \"\(name)\" is repeated in the same file", field: "name")
            }
            var group = Group(
                name: name, intervalMs: section.int("interval"), queryOffsetMs: section.int("query_offset"),
                limit: section.int("limit"), rules: [])
            let shared = section.map("labels")
            for (index, rule) in section.objects("rules").enumerated() {
                group.rules.append(try Self.rule(rule, shared, group: name, number: index + 1))
            }
            groups.append(group)
        }
    }

    private static func rule(
        _ section: ConfigObject, _ shared: [ConfigValue.MapEntry], group: String, number: Int
    ) throws(ConfigProblem) -> Rule {
        let (record, alert) = (section.string("record"), section.string("alert"))
        func problem(_ text: String, field: String? = nil) -> ConfigProblem {
            let name = record.isEmpty ? alert : record
            return section.problem("group \"\(group)\", rule \(number), \"\(name)\": \(text)", field: field)
        }
        if !record.isEmpty && !alert.isEmpty { throw problem("only one of 'record' and 'alert' must be set", field: "alert") }
        if record.isEmpty && alert.isEmpty { throw problem("one of 'record' or 'alert' must be set") }
        if section.string("expr").isEmpty { throw problem("field 'expr' must be set in rule", field: "expr") }
        if !record.isEmpty {
            if !section.map("annotations").isEmpty { throw problem("invalid field 'annotations' in recording rule", field: "annotations") }
            if section.int("for") != 0 { throw problem("invalid field 'for' in recording rule", field: "for") }
            if section.int("keep_firing_for") != 0 {
                throw problem("invalid field 'keep_firing_for' in recording rule", field: "keep_firing_for")
            }
            if record.contains(where: { $0 == "{" || $0 == "}" }) {
                throw problem("braces present in the recording rule name; should it be in expr?: \(record)", field: "record")
            }
        }
        var labels = shared.map { (name: $0.key, value: $0.value.text ?? "") }
        for entry in section.map("labels") {
            if !isValidLabelName(entry.key, .utf8) || entry.key == "__name__" {
                throw problem("invalid label name: \(entry.key)", field: "labels")
            }
            labels.removeAll { $0.name == entry.key }
            labels.append((entry.key, entry.value.text ?? ""))
        }
        return Rule(
            kind: record.isEmpty ? .alerting(name: alert) : .recording(name: record), expression: section.string("expr"),
            forMs: section.int("for"), keepFiringForMs: section.int("keep_firing_for"), labels: labels,
            annotations: section.map("annotations").map { ($0.key, $0.value.text ?? "") }, position: section.position(of: "expr"))
    }
}

/// What a file of rules may hold.
enum RuleSection {
    private static let rule = ObjectSchema(
        "rulefmt.Rule",
        [
            Field("record", .string), Field("alert", .string), Field("expr", .string), Field("for", .duration),
            Field("keep_firing_for", .duration), Field("labels", .map(.string)), Field("annotations", .map(.string)),
        ])

    private static let group = ObjectSchema(
        "rulefmt.RuleGroup",
        [
            Field("name", .string), Field("interval", .duration), Field("query_offset", .duration), Field("limit", .int),
            Field("labels", .map(.string)), Field("rules", .list(.object(rule))),
        ])

    static let file = ObjectSchema("rulefmt.RuleGroups", [Field("groups", .list(.object(group)))])
}
