public import ApusBytes
import ApusModel
import ApusRegex

/// An entry of `relabel_configs`.
enum RelabelSection {
    static let rule = ObjectSchema(
        "relabel.plain",
        [
            Field("source_labels", .list(.string), flow: true), Field("separator", .string, ";", shownWhenSet: true), Field("regex", .string, "(.*)", shownOnlyWhenSet: true),
            Field("modulus", .uint), Field("target_label", .string), Field("replacement", .string, "$1", shownWhenSet: true),
            Field("action", .string, "replace"),
        ]
    ) { (o: inout ConfigObject) throws(ConfigProblem) in
        guard let action = RelabelRule.Action(rawValue: o.string("action").lowercased()) else {
            throw o.problem("unknown relabel action \(goQuoted(o.string("action")))", field: "action")
        }
        o.set("action", .text(action.rawValue))
        for label in o.list("source_labels").compactMap(\.text) where !isValidLabelName(label, .utf8) {
            throw o.problem("\(goQuoted(label.description)) is not a valid label name", field: "source_labels")
        }
        do throws(RegexError) {
            _ = try AnchoredRegex(o.bytes("regex"))
        } catch {
            throw o.problem(error.description, field: "regex")
        }
    }

    static func list(_ name: String, _ nullError: String) -> Field { Field(name, .entries(rule, nullError: nullError)) }

    static func rules(_ o: ConfigObject, _ field: String, _ validation: NameValidation) throws(ConfigProblem) -> [RelabelRule] {
        var rules: [RelabelRule] = []
        for section in o.objects(field) { rules.append(try RelabelRule(section, validation)) }
        return rules
    }
}


extension RelabelRule {
    /// Checks what an action wants of the other fields.
    init(_ o: ConfigObject, _ validation: NameValidation) throws(ConfigProblem) {
        do throws(RegexError) {
            regex = try AnchoredRegex(o.bytes("regex"))
        } catch {
            throw o.problem(error.description, field: "regex")
        }
        action = Action(rawValue: o.string("action")) ?? .replace
        sourceLabels = o.list("source_labels").compactMap(\.text)
        separator = o.bytes("separator")
        modulus = UInt64(clamping: o.int("modulus"))
        targetLabel = o.bytes("target_label")
        replacement = o.bytes("replacement")
        nameValidation = validation
        do throws(ConfigProblem) {
            try validate()
        } catch {
            throw ConfigProblem(error.message, at: o.position)
        }
    }

    /// The rules that tie the fields together; throws upstream's text.
    public func validate() throws(ConfigProblem) {
        let target = goQuoted(targetLabel.description)
        if modulus == 0 && action == .hashmod {
            throw ConfigProblem("relabel configuration for hashmod requires non-zero modulus")
        }
        let needsTarget: [Action] = [.replace, .hashmod, .lowercase, .uppercase, .keepequal, .dropequal]
        if needsTarget.contains(action) && targetLabel.isEmpty {
            throw ConfigProblem("relabel configuration for \(action.rawValue) action requires 'target_label' value")
        }
        let isTemplate = targetLabel.bytes.contains(UInt8(ascii: "$"))
        let badTarget = ConfigProblem("\(target) is invalid 'target_label' for \(action.rawValue) action")
        switch action {
        case .replace:
            if !(isTemplate ? isValidTargetTemplate(targetLabel, nameValidation) : isValidLabelName(targetLabel, nameValidation)) {
                throw badTarget
            }
        case .lowercase, .uppercase, .keepequal, .dropequal, .hashmod:
            if !isValidLabelName(targetLabel, nameValidation) { throw badTarget }
        default: break
        }
        let hasDefaultRegex = regex.pattern == Self.matchAll.pattern
        switch action {
        case .lowercase, .uppercase, .keepequal, .dropequal:
            if replacement != "$1" { throw ConfigProblem("'replacement' can not be set for \(action.rawValue) action") }
        case .labelmap:
            if !isValidTargetTemplate(replacement, nameValidation) {
                throw ConfigProblem("\(goQuoted(replacement.description)) is invalid 'replacement' for \(action.rawValue) action")
            }
        case .labeldrop, .labelkeep:
            if !sourceLabels.isEmpty || !targetLabel.isEmpty || modulus != 0 || separator != ";" || replacement != "$1" {
                throw ConfigProblem("\(action.rawValue) action requires only 'regex', and no other fields")
            }
        default: break
        }
        if action == .keepequal || action == .dropequal,
            !hasDefaultRegex || modulus != 0 || separator != ";"
        {
            throw ConfigProblem("\(action.rawValue) action requires only 'source_labels' and `target_label`, and no other fields")
        }
    }
}

/// Whether `name` may name a label. `utf8`: anything that is UTF-8 and not empty; `legacy`: `[a-zA-Z_][a-zA-Z0-9_]*`.
public func isValidLabelName(_ name: ByteString, _ validation: NameValidation) -> Bool {
    guard let first = name.bytes.first else { return false }
    if validation == .utf8 { return name.isValidUTF8 }
    func isLetter(_ byte: UInt8) -> Bool { byte == 0x5F || (65...90).contains(byte) || (97...122).contains(byte) }
    return isLetter(first) && name.bytes.allSatisfy { isLetter($0) || (48...57).contains($0) }
}

/// Whether `template`, a label name that may hold `$1` and `${name}`, can become a valid name.
///
/// The legacy rule is `((letter | $word | ${word}) word*)+`: each digit needs a letter or a reference before it.
public func isValidTargetTemplate(_ template: ByteString, _ validation: NameValidation) -> Bool {
    if validation == .utf8 { return isValidLabelName(template, .utf8) }
    func isWord(_ byte: UInt8) -> Bool {
        byte == 0x5F || (65...90).contains(byte) || (97...122).contains(byte) || (48...57).contains(byte)
    }
    let bytes = template.bytes
    var index = 0
    while index < bytes.count {
        if bytes[index] == UInt8(ascii: "$") {
            index += 1
            let inBraces = index < bytes.count && bytes[index] == UInt8(ascii: "{")
            if inBraces { index += 1 }
            let start = index
            while index < bytes.count && isWord(bytes[index]) { index += 1 }
            if index == start { return false }
            if inBraces {
                if index >= bytes.count || bytes[index] != UInt8(ascii: "}") { return false }
                index += 1
            }
        } else {
            if !isWord(bytes[index]) || (index == 0 && (48...57).contains(bytes[0])) { return false }
            index += 1
        }
    }
    return !bytes.isEmpty
}
