import ApusBytes
import ApusConfig
import ApusModel
import ApusPromQL

/// Reads a file of rules as `apus check config` does: fields, expressions, and rules that stand there twice.
struct RuleFileChecker: Sendable {
    var parser = ParserOptions()
    var ignoresUnknownFields = false
    var findsDuplicates = true

    func check(_ file: String) -> RuleFileCheck {
        let rules: RuleFile
        do throws(ConfigError) { rules = try RuleFile.load(file: file, ignoringUnknownFields: ignoresUnknownFields) } catch {
            return RuleFileCheck(ruleCount: 0, errors: ["\(file): \(error.messageWithoutFile)"])
        }
        var result = RuleFileCheck(ruleCount: rules.groups.reduce(0) { $0 + $1.rules.count })
        for group in rules.groups {
            for (index, rule) in group.rules.enumerated() {
                do throws(ParseError) { _ = try parseExpression(ByteString(rule.expression), options: parser) } catch {
                    let place = rule.position.map { "\($0.line):\($0.column): " } ?? ""
                    result.errors.append(
                        "\(file): \(place)group \(goQuoted(group.name)), rule \(index + 1), \(goQuoted(rule.name)): could not parse expression: \(error)")
                }
            }
        }
        if findsDuplicates, result.errors.isEmpty, let finding = Self.duplicates(rules) { result.lintFindings.append(finding) }
        return result
    }

    /// Rules of one name and the same labels, wherever they stand in the file.
    private static func duplicates(_ rules: RuleFile) -> String? {
        struct Identity: Hashable {
            let name: String
            let labels: LabelSet
        }
        var counts: [Identity: Int] = [:]
        for rule in rules.groups.flatMap(\.rules) {
            counts[Identity(name: rule.name, labels: LabelSet(rule.labels.map { Label($0.name, $0.value) })), default: 0] += 1
        }
        let found = counts.filter { $0.value > 1 }.sorted { ($0.key.name, $0.key.labels) < ($1.key.name, $1.key.labels) }
        if found.isEmpty { return nil }
        // One for each time that a rule stands there once more.
        var text = "lint error \(found.reduce(0) { $0 + $1.value - 1 }) duplicate rule(s) found.\n"
        for (rule, count) in found {
            for _ in 1..<count {
                text += "Metric: \(rule.name)\nLabel(s):\n"
                for label in rule.labels { text += "\t\(label.name): \(label.value)\n" }
            }
        }
        return text + "Might cause inconsistency while recording expressions"
    }
}

extension RuleFile.Rule {
    var name: String {
        switch kind {
        case .recording(let name), .alerting(let name): name
        }
    }
}
