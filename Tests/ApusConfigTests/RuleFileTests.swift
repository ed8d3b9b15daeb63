import ApusBytes
import ApusConfig
import Testing

@Suite("Rule files") struct RuleFileTests {
    @Test("groups and rules, the group's labels in each rule") func decode() throws {
        let file = try RuleFile.parse(
            yaml: """
                groups:
                  - name: a
                    interval: 30s
                    limit: 5
                    labels: {team: x, site: y}
                    rules:
                      - record: job:up
                        expr: sum by (job) (up)
                        labels: {site: z}
                      - alert: Down
                        expr: up == 0
                        for: 5m
                        keep_firing_for: 1m
                        annotations: {text: "{{ $value }}"}
                  - name: b
                    rules: []
                """, fileName: "r.yml")
        #expect(file.groups.map(\.name) == ["a", "b"])
        #expect(file.groups[0].intervalMs == 30_000 && file.groups[1].intervalMs == 0 && file.groups[0].limit == 5)
        let rules = file.groups[0].rules
        #expect(rules.map(\.kind) == [.recording(name: "job:up"), .alerting(name: "Down")])
        #expect(rules[0].labels.map { "\($0.name)=\($0.value)" }.sorted() == ["site=z", "team=x"])
        #expect(rules[1].forMs == 300_000 && rules[1].keepFiringForMs == 60_000 && rules[1].annotations.count == 1)
    }

    @Test(
        "refuses what is wrong",
        arguments: [
            ("groups: [{name: '', rules: []}]", "Groupname must not be empty"),
            ("groups: [{name: a, rules: []}, {name: a, rules: []}]", "groupname: \"a\" is repeated in the same file"),
            ("groups: [{name: a, rules: [{expr: up}]}]", "one of 'record' or 'alert' must be set"),
            ("groups: [{name: a, rules: [{record: x, alert: y, expr: up}]}]", "only one of 'record' and 'alert' must be set"),
            ("groups: [{name: a, rules: [{record: x}]}]", "field 'expr' must be set in rule"),
            ("groups: [{name: a, rules: [{record: x, expr: up, for: 5m}]}]", "invalid field 'for' in recording rule"),
            ("groups: [{name: a, rules: [{record: x, expr: up, labels: {__name__: y}}]}]", "invalid label name: __name__"),
            ("groups: [{name: a, rulez: []}]", "field rulez not found in type rulefmt.RuleGroup"),
            ("groups: {", "yaml: "),
        ])
    func refuses(_ yaml: String, _ part: String) {
        #expect {
            _ = try RuleFile.parse(yaml: yaml, fileName: "r.yml")
        } throws: {
            "\($0)".contains(part)
        }
    }
}
