import ApusBytes
import ApusConfig
import ApusModel
import ApusScrape
import ArgumentParser

/// `apus check service-discovery FILE JOB`: the targets of a job, before and after relabelling, as promtool prints them.
struct CheckServiceDiscovery: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "service-discovery", abstract: "Perform service discovery for a job and print the results, with relabelling.",
        discussion: "Each source is asked once. Exit status: 0, or 1 when the configuration or the job is not as it should be.")

    @Argument(help: "The configuration file.")
    var file: String
    @Argument(help: "The job, by name.")
    var job: String

    @Option(name: .customLong("timeout"), help: "Taken for promtool's sake; each source has a timeout of its own.")
    var timeout = DurationFlag(ms: 30_000)

    func run() throws {
        let configuration: PrometheusConfig
        do { configuration = try PrometheusConfig.load(file: file) } catch {
            complain("Cannot load config: \(error)")
            throw ExitCode(1)
        }
        guard let found = configuration.scrapeConfigs.first(where: { $0.jobName == job }) else {
            complain("Job \(job) not found. Select one of:")
            for one in configuration.scrapeConfigs { complain("\t\(one.jobName)") }
            throw ExitCode(1)
        }
        let (targets, problems) = discoverOnce(found)
        for problem in problems { complain(problem) }
        print(Self.json(targets))
    }

    /// Indented by two blanks, as Go does it.
    static func json(_ targets: [DiscoveredTarget]) -> String {
        if targets.isEmpty { return "[]" }
        let entries = targets.map { target in
            var members = ["    \"discoveredLabels\": \(object(target.discoveredLabels))", "    \"labels\": \(object(target.labels))"]
            if let problem = target.problem { members.append("    \"error\": \(quoted(problem))") }
            return "  {\n" + members.joined(separator: ",\n") + "\n  }"
        }
        return "[\n" + entries.joined(separator: ",\n") + "\n]"
    }

    private static func object(_ labels: LabelSet) -> String {
        if labels.isEmpty { return "{}" }
        let lines = labels.labels.map { "      \(quoted($0.name.description)): \(quoted($0.value.description))" }
        return "{\n" + lines.joined(separator: ",\n") + "\n    }"
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where scalar.value < 0x20 || "<>&".unicodeScalars.contains(scalar):
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
