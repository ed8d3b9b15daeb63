import Yams

/// One mapping of a YAML document, read field by field; a field that nobody knows is a mistake.
struct StrictMapping {
    /// What is wrong, collected so that one run shows all of it.
    final class Problems {
        var lines: [String] = []
        func add(_ node: Node, _ text: String) {
            if lines.count < 100 { lines.append("  line \(node.mark?.line ?? 1): \(text)") }
        }
    }
    private let fields: [String: Node]
    let problems: Problems

    /// - Parameters:
    ///   - type: as the errors of Prometheus name it, `web.TLSConfig`.
    init(_ node: Node?, type: String, known: [String], _ problems: Problems) {
        var fields: [String: Node] = [:]
        if let node, !node.isNull {
            if case .mapping(let mapping) = node {
                for (key, value) in mapping {
                    let name = key.scalar?.string ?? ""
                    if known.contains(name) {
                        fields[name] = value
                    } else {
                        problems.add(key, "field \(name) not found in type \(type)")
                    }
                }
            } else {
                problems.add(node, "cannot unmarshal \(node.summary) into \(type)")
            }
        }
        self.fields = fields
        self.problems = problems
    }

    subscript(name: String) -> Node? { fields[name].flatMap { $0.isNull ? nil : $0 } }

    func string(_ name: String) -> String? {
        guard let node = self[name] else { return nil }
        guard let scalar = node.scalar else {
            problems.add(node, "cannot unmarshal \(node.summary) into string")
            return nil
        }
        return scalar.string
    }

    func bool(_ name: String) -> Bool? {
        guard let node = self[name] else { return nil }
        switch node.scalar?.string.lowercased() {
        case "true", "yes", "on", "y": return true
        case "false", "no", "off", "n": return false
        default:
            problems.add(node, "cannot unmarshal \(node.summary) into bool")
            return nil
        }
    }

    func int(_ name: String) -> Int? {
        guard let node = self[name] else { return nil }
        guard let value = node.scalar.flatMap({ Int($0.string) }) else {
            problems.add(node, "cannot unmarshal \(node.summary) into int")
            return nil
        }
        return value
    }

    func strings(_ name: String) -> [String]? {
        guard let node = self[name] else { return nil }
        guard case .sequence(let items) = node else {
            problems.add(node, "cannot unmarshal \(node.summary) into []string")
            return nil
        }
        return items.compactMap { item in
            if let scalar = item.scalar { return scalar.string }
            problems.add(item, "cannot unmarshal \(item.summary) into string")
            return nil
        }
    }

    /// Names and texts, in order of names.
    func texts(_ name: String, type: String = "string") -> [(name: String, value: String)] {
        guard let node = self[name] else { return [] }
        guard case .mapping(let mapping) = node else {
            problems.add(node, "cannot unmarshal \(node.summary) into map[string]\(type)")
            return []
        }
        var texts: [(name: String, value: String)] = []
        for (key, value) in mapping {
            guard let key = key.scalar?.string, let text = value.scalar else {
                problems.add(value, "cannot unmarshal \(value.summary) into string")
                continue
            }
            texts.append((key, value.isNull ? "" : text.string))
        }
        return texts.sorted { $0.name < $1.name }
    }
}

extension Node {
    /// Plain and one of YAML's words for nothing.
    var isNull: Bool {
        guard let scalar, scalar.style == .plain || scalar.style == .any else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(scalar.string)
    }

    /// The tag, and a scalar's first characters, as type errors show them.
    var summary: String {
        switch self {
        case .mapping: "!!map"
        case .sequence: "!!seq"
        case .scalar(let scalar):
            "\(tagName) `\(scalar.string.count > 10 ? String(scalar.string.prefix(7)) + "..." : scalar.string)`"
        case .alias: "!!alias"
        }
    }

    /// What a scalar is to YAML.
    private var tagName: String {
        guard let scalar, scalar.style == .plain || scalar.style == .any else { return "!!str" }
        if Int(scalar.string) != nil { return "!!int" }
        if Double(scalar.string) != nil { return "!!float" }
        let words = ["true", "false", "yes", "no", "on", "off", "y", "n"]
        return words.contains(scalar.string.lowercased()) ? "!!bool" : "!!str"
    }
}
