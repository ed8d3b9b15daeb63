import ApusBytes
import ApusModel

extension PrometheusConfig {
    /// The configuration with all defaults, as `/api/v1/status/config` shows it: upstream's order of fields, secrets as
    /// `<secret>`.
    public func effectiveYAML() -> String {
        var writer = YAMLWriter()
        var document = document
        if document.object("storage")?.object("tsdb") == nil {
            // Upstream shows the retention that holds, and the 15 days are the default of its flag.
            document.set("storage", .object(RootSection.defaultStorage))
        }
        writer.write(document, indent: 0)
        return writer.text
    }
}

extension RootSection {
    fileprivate static var defaultStorage: ConfigObject {
        var storage = ConfigObject(ServerSections.storage)
        if case .object(let schema)? = ServerSections.storage.field("tsdb")?.kind {
            var tsdb = ConfigObject(schema)
            // The check of `tsdb` fills in the retention and cannot fail on an empty section.
            try? schema.check(&tsdb)
            storage.set("tsdb", .object(tsdb))
        }
        return storage
    }
}

/// Writes values in the block style of the YAML library that upstream uses: two spaces for a mapping, lists not indented.
private struct YAMLWriter {
    private(set) var text = ""

    mutating func write(_ object: ConfigObject, indent: Int, afterDash: Bool = false) {
        var isFirst = true
        for field in object.schema.fields {
            guard let value = shownValue(object, field) else { continue }
            pad(isFirst && afterDash ? 0 : indent)
            isFirst = false
            text += field.name + ":"
            if field.isFlow, case .list(let items) = value {
                text += " [" + items.compactMap { $0.text.map { quote($0.description) } }.joined(separator: ", ") + "]\n"
            } else {
                write(value, indent: indent)
            }
        }
        if isFirst && afterDash { text += "{}\n" }
    }

    private func shownValue(_ object: ConfigObject, _ field: Field) -> ConfigValue? {
        let value = object.value(field.name)
        if field.isAlwaysShown { return value ?? zero(field.kind) }
        if field.isShownOnlyWhenSet { return object.isSet(field.name) ? value : nil }
        guard let value, !value.isZero || (field.isShownWhenSet && object.isSet(field.name)) else { return nil }
        return value
    }

    private func zero(_ kind: ValueKind) -> ConfigValue {
        switch kind {
        case .bool: .bool(false)
        case .int, .uint: .int(0)
        case .double: .double(0)
        case .duration: .duration(ms: 0)
        case .size: .size(0)
        case .list, .entries: .list([])
        case .map: .map([])
        default: .string("")
        }
    }

    /// After `name:` or `-`.
    private mutating func write(_ value: ConfigValue, indent: Int) {
        switch value {
        case .object(let object):
            text += "\n"
            write(object, indent: indent + 2)
        case .list(let items):
            if items.isEmpty {
                text += " []\n"
                return
            }
            text += "\n"
            for item in items {
                pad(indent)
                text += "-"
                if case .object(let object) = item {
                    text += " "
                    write(object, indent: indent + 2, afterDash: true)
                } else {
                    write(item, indent: indent)
                }
            }
        case .map(let entries):
            if entries.isEmpty {
                text += " {}\n"
                return
            }
            text += "\n"
            for entry in entries {
                pad(indent + 2)
                text += quote(entry.key.description) + ":"
                write(entry.value, indent: indent + 2)
            }
        case .string(let string): writeText(string.description, indent: indent)
        case .secret(let secret): text += secret.isEmpty ? " \"\"\n" : " <secret>\n"
        case .null: text += " null\n"
        case .bool(let bool): text += " \(bool)\n"
        case .int(let int): text += " \(int)\n"
        case .double(let double):
            text += double == double.rounded() && abs(double) < 1e15 ? " \(Int64(clampingNaN: double))\n" : " \(double)\n"
        case .duration(let ms): text += " \(formatDuration(ms))\n"
        case .size(let bytes): text += " \(formatSize(bytes))\n"
        }
    }

    private mutating func pad(_ count: Int) { text += String(repeating: " ", count: count) }

    private mutating func writeText(_ string: String, indent: Int) {
        guard string.contains("\n"), !string.hasPrefix(" "), string.unicodeScalars.allSatisfy({ $0 == "\n" || ($0.value >= 0x20 && $0.value != 0x7F) })
        else {
            text += " \(quote(string))\n"
            return
        }
        text += string.hasSuffix("\n") ? " |\n" : " |-\n"
        var lines = string.split(separator: "\n", omittingEmptySubsequences: false)
        if lines.last == "" { lines.removeLast() }
        for line in lines {
            if !line.isEmpty { pad(indent + 2) }
            text += line + "\n"
        }
    }

    /// Plain if YAML reads it back as the same text, else in single quotes, in double quotes if it would be taken for
    /// something that is no text or holds control characters.
    private func quote(_ string: String) -> String {
        if string.isEmpty { return "\"\"" }
        if string.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) { return goQuoted(string) }
        if !isText(string) { return "\"\(string)\"" }
        let first = string.first ?? " "
        let isPlain =
            !"!&*[]{},#|>@`\"'%?-:".contains(first) && first != " " && !string.hasSuffix(" ") && !string.hasSuffix(":")
            && !string.contains(": ") && !string.contains(" #")
        let mayStart = (first == "-" || first == "?" || first == ":") && string.count > 1 && !string.dropFirst().hasPrefix(" ")
            && !string.hasSuffix(" ") && !string.hasSuffix(":") && !string.contains(": ") && !string.contains(" #") && !string.hasPrefix("---")
        if isPlain || mayStart { return string }
        return "'" + string.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
    }

    private func isText(_ string: String) -> Bool {
        YAMLScalar(plain: string).tag == "!!str" && string != "<<"
    }
}

extension Int64 {
    /// Zero for NaN, the nearest end for what does not fit.
    fileprivate init(clampingNaN value: Double) {
        self = Int64(exactly: value.rounded()) ?? (value > 0 ? .max : value < 0 ? .min : 0)
    }
}
