import ApusBytes
@testable import ApusConfig
import ApusModel
import ApusRegex
import Testing
import Foundation

@Suite("Relabelling") struct RelabelTests {
    struct Golden: Decodable, Sendable {
        struct Case: Decodable, Sendable {
            let name: String
            let input: [String: String]
            let relabel_configs_yaml: String
            let drop: Bool
            let output: [String: String]?
        }
        struct Validation: Decodable, Sendable {
            let yaml: String
            let name_validation: String?
            let valid: Bool
            let reason: String
        }
        let cases: [Case]
        let validation: [Validation]
    }

    static func golden() throws -> Golden {
        let url = try #require(Bundle.module.url(forResource: "relabel", withExtension: "json", subdirectory: "Golden"))
        return try JSONDecoder().decode(Golden.self, from: Data(contentsOf: url))
    }

    static func rules(_ yaml: String, legacy: Bool = false) throws -> [RelabelRule] {
        let indented = yaml.split(separator: "\n", omittingEmptySubsequences: false).map { "    " + $0 }.joined(separator: "\n")
        let text = "\(legacy ? "global: {metric_name_validation_scheme: legacy}\n" : "")scrape_configs:\n- job_name: a\n  relabel_configs:\n\(indented)"
        return try #require(try PrometheusConfig.parse(yaml: text).scrapeConfigs.first).relabelRules
    }

    static func labelSet(_ labels: [String: String]) -> LabelSet {
        LabelSet(labels.map { Label(ByteString($0.key), ByteString($0.value)) }.sorted { $0.name < $1.name })
    }

    @Test("gives upstream's results") func goldenCases() throws {
        let golden = try Self.golden()
        #expect(golden.cases.count == 34)
        for item in golden.cases {
            let result = relabel(Self.labelSet(item.input), try Self.rules(item.relabel_configs_yaml))
            #expect(result == (item.drop ? nil : Self.labelSet(item.output ?? [:])), "\(item.name)")
        }
    }

    @Test("accepts and refuses the rules that upstream does") func validity() throws {
        for item in try Self.golden().validation {
            let lines = item.yaml.split(separator: "\n").enumerated().map { ($0.offset == 0 ? "- " : "  ") + $0.element }.joined(separator: "\n")
            let isValid = (try? Self.rules(lines, legacy: item.name_validation == "legacy")) != nil
            #expect(isValid == item.valid, "\(item.reason)")
        }
    }

    @Test(
        "knows which templates can name a legacy label",
        arguments: [
            ("-label", false), ("label", true), ("label${1}", true), ("${1}label", true), ("${1}", true), ("${", false), ("$", false), ("${}", false),
            ("foo${", false), ("$1", true), ("asd$2asd", true), ("-foo${1}bar-", false), ("bar.foo${1}bar", false), ("_${1}_", true), ("foo${bar}foo", true),
        ])
    func legacyTemplates(_ template: String, _ isValid: Bool) {
        #expect(isValidTargetTemplate(ByteString(template), .legacy) == isValid)
    }

    @Test("returns the same buffer if nothing changes") func unchanged() throws {
        let labels: LabelSet = ["a": "1", "b": "2"]
        let rules = try Self.rules("- {action: keep, source_labels: [a], regex: '1'}\n- {action: labeldrop, regex: __x}\n- {target_label: b, replacement: '2'}")
        let result = try #require(relabel(labels, rules))
        // The addresses are compared and never followed.
        let before = unsafe labels.encoded.withUnsafeBufferPointer { UInt(bitPattern: $0.baseAddress) }
        let after = unsafe result.encoded.withUnsafeBufferPointer { UInt(bitPattern: $0.baseAddress) }
        #expect(before == after)
    }

    @Test(
        "refuses in upstream's words",
        arguments: [
            ("- action: replace", "relabel configuration for replace action requires 'target_label' value"),
            ("- {action: hashmod, target_label: a}", "relabel configuration for hashmod requires non-zero modulus"),
            ("- {action: labeldrop, regex: a, separator: x}", "labeldrop action requires only 'regex', and no other fields"),
            ("- {action: lowercase, target_label: a, replacement: x}", "'replacement' can not be set for lowercase action"),
            ("- {action: nope}", "unknown relabel action \"nope\""),
            ("- {target_label: a, regex: 'a(b'}", "error parsing regexp: missing closing ): `a(b`"),
            ("-", "empty or null target relabeling rule in scrape config"),
        ])
    func messages(_ yaml: String, _ message: String) {
        #expect { try Self.rules(yaml) } throws: { ($0 as? ConfigError)?.problems.first?.message == message }
    }
}
