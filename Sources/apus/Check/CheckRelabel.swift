import ApusBytes
import ApusConfig
import ApusModel
import ArgumentParser

/// `apus check relabel FILE JOB LABELS`: what each rule of a job does to a target's labels, or to those of a series.
struct CheckRelabel: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "relabel", abstract: "Show step by step what a job's relabelling does to labels.",
        discussion: """
              apus check relabel prometheus.yml node '{"__address__": "web-1:9100", "__meta_rack": "7"}'
            Exit status: 0 when the labels are kept, 1 when something is wrong with the input, 4 when a rule drops them.
            """)

    @Argument(help: "The configuration file.")
    var file: String
    @Argument(help: "The job, by name.")
    var job: String
    @Argument(help: "The labels, as a JSON object of names and values.")
    var labels: String
    @Flag(name: .customLong("metrics"), help: "Apply metric_relabel_configs, to the labels of a series.")
    var isForMetrics = false

    func run() throws {
        let rules: [RelabelRule]
        let start: LabelSet
        do {
            let configuration = try PrometheusConfig.load(file: file)
            guard let found = configuration.scrapeConfigs.first(where: { $0.jobName == job }) else {
                throw ValidationError("Job \(job) not found. Jobs: \(configuration.scrapeConfigs.map(\.jobName).joined(separator: ", "))")
            }
            rules = isForMetrics ? found.metricRelabelRules : found.relabelRules
            start = try parse(labels)
        } catch let error as ValidationError {
            complain(error.message)
            throw ExitCode(1)
        } catch {
            complain("\(error)")
            throw ExitCode(1)
        }
        print("    \(start)")
        for (index, step) in relabelSteps(start, rules).enumerated() {
            print("\(index + 1). \(describe(step.rule))")
            guard let output = step.output else {
                print("    dropped")
                throw ExitCode(4)
            }
            print("    \(output)")
        }
    }

    private func parse(_ text: String) throws -> LabelSet {
        guard case .object(let fields) = try JSONReader.read(Array(text.utf8)) else {
            throw ValidationError("labels must be a JSON object of names and values, such as {\"__address__\": \"host:80\"}")
        }
        var labels: [Label] = []
        for (name, value) in fields {
            guard case .string(let text) = value else { throw ValidationError("the value of label \(name) must be a string") }
            labels.append(Label(name, text))
        }
        return LabelSet(labels)
    }

    private func describe(_ rule: RelabelRule) -> String {
        var text = rule.action.rawValue
        if !rule.sourceLabels.isEmpty { text += " source_labels: [\(rule.sourceLabels.map(\.description).joined(separator: ", "))]" }
        if rule.separator != ";" { text += " separator: \(goQuoted(rule.separator.description))" }
        if rule.regex.pattern != "(.*)" { text += " regex: \(rule.regex.pattern)" }
        if rule.modulus != 0 { text += " modulus: \(rule.modulus)" }
        if !rule.targetLabel.isEmpty { text += " target_label: \(rule.targetLabel)" }
        if rule.replacement != "$1" { text += " replacement: \(goQuoted(rule.replacement.description))" }
        return text
    }
}
