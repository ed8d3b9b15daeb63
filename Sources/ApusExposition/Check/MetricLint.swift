import ApusBytes
import ApusModel

/// What is not as the naming rules of Prometheus want it: <https://prometheus.io/docs/practices/naming/>.
///
/// Reads a page, or takes families as they are, and lets each rule look at each family.
public struct MetricLint: Sendable {
    /// What is wrong with one metric, in promtool's words.
    public struct Finding: Hashable, Comparable, Sendable, CustomStringConvertible {
        public let metric: String
        public let problem: String
        public init(metric: String, problem: String) {
            self.metric = metric
            self.problem = problem
        }
        public var description: String { "\(metric) \(problem)" }
        public static func < (left: Finding, right: Finding) -> Bool { (left.metric, left.problem) < (right.metric, right.problem) }
    }

    /// What a page says of the series that share a name.
    struct Family {
        let name: String
        var type = MetricType.unknown
        var hasHelp = false
        /// Names of samples, without those of labels.
        var sampleNames: Set<String> = []
        var labelNames: Set<String> = []
    }

    private var families: [String: Family] = [:]

    public init() {}

    /// What is wrong with these families, in order of name.
    public static func findings(in families: [FamilySnapshot]) -> [Finding] {
        var lint = MetricLint()
        for family in families {
            lint.change(family.name.description) { found in
                found.type = family.type
                found.hasHelp = !family.help.isEmpty
                for point in family.points { for label in point.labels { found.labelNames.insert(label.name.description) } }
            }
        }
        return lint.findings
    }

    /// - Throws: `ExpositionError` where the page can't be parsed.
    public mutating func read(_ page: [UInt8]) throws(ExpositionError) {
        var parser = TextParser()
        while let entry = try parser.next(page.span) {
            switch entry {
            case .help(let name, let text): change(name.description) { $0.hasHelp = $0.hasHelp || !text.isEmpty }
            case .type(let name, let type): change(name.description) { $0.type = type }
            case .comment: break
            case .series:
                let labels = parser.labels(page.span)
                guard let name = labels.first(where: { $0.name == LabelSet.metricName })?.value.description else { continue }
                change(familyName(of: name)) { family in
                    family.sampleNames.insert(name)
                    for label in labels where label.name != LabelSet.metricName { family.labelNames.insert(label.name.description) }
                }
            }
        }
    }

    /// The same of a page of OpenMetrics, where the name of a counter's family is without `_total`.
    /// - Throws: `ExpositionError` where the page is not as the standard wants it.
    public mutating func readOpenMetrics(_ page: [UInt8]) throws(ExpositionError) {
        for family in try OpenMetricsChecker.check(page.span) {
            let name = family.type == .counter ? family.name + "_total" : family.name
            change(name.description) { found in
                found.type = family.type
                found.hasHelp = family.hasHelp
                found.sampleNames = Set(family.sampleNames.map(\.description))
                found.labelNames = Set(family.labelNames.map(\.description))
            }
        }
    }

    private mutating func change(_ name: String, _ body: (inout Family) -> Void) {
        body(&families[name, default: Family(name: name)])
    }

    /// `x` for `x_bucket`, `x_sum` and `x_count` of a histogram or summary `x`.
    private func familyName(of sample: String) -> String {
        for suffix in ["_bucket", "_sum", "_count"] where sample.hasSuffix(suffix) {
            let name = String(sample.dropLast(suffix.count))
            let type = families[name]?.type
            if type == .histogram || type == .gaugehistogram || (type == .summary && suffix != "_bucket") { return name }
        }
        return sample
    }

    /// All findings, in order of name.
    public var findings: [Finding] {
        families.values.flatMap { family in
            Self.rules.flatMap { rule in rule(family).map { Finding(metric: family.name, problem: $0) } }
        }.sorted()
    }

    private static let rules: [@Sendable (Family) -> [String]] = [
        { $0.hasHelp ? [] : ["no help text"] },
        { family in
            let isTotal = family.name.hasSuffix("_total")
            if family.type == .counter { return isTotal ? [] : ["counter metrics should have \"_total\" suffix"] }
            let isTyped = family.type != .unknown
            return isTotal && isTyped ? ["non-counter metrics should not have \"_total\" suffix"] : []
        },
        { family in
            guard family.type != .unknown, family.type != .histogram, family.type != .gaugehistogram else { return [] }
            var problems: [String] = []
            if family.name.hasSuffix("_bucket") { problems.append("non-histogram metrics should not have \"_bucket\" suffix") }
            if family.type != .summary {
                for suffix in ["_count", "_sum"] where family.name.hasSuffix(suffix) {
                    problems.append("non-histogram and non-summary metrics should not have \"\(suffix)\" suffix")
                }
                if family.labelNames.contains("quantile") { problems.append("non-summary metrics should not have \"quantile\" label") }
            }
            if family.labelNames.contains("le") { problems.append("non-histogram metrics should not have \"le\" label") }
            return problems
        },
        { family in
            let words = family.name.lowercased().split(separator: "_")
            return words.contains { $0 == family.type.rawValue }
                ? ["metric name should not include type '\(family.type.rawValue)'"] : []
        },
        { $0.name.contains(":") ? ["metric names should not contain ':'"] : [] },
        { family in
            var problems: [String] = []
            if isCamelCase(family.name) { problems.append("metric names should be written in 'snake_case' not 'camelCase'") }
            if family.labelNames.contains(where: isCamelCase) {
                problems.append("label names should be written in 'snake_case' not 'camelCase'")
            }
            return problems
        },
        { family in
            let words = family.name.lowercased().split(separator: "_").map(String.init)
            return abbreviations.contains(where: words.contains) ? ["metric names should not contain abbreviated units"] : []
        },
        { family in
            let words = family.name.lowercased().split(separator: "_").map(String.init)
            for (unit, base) in baseUnits where words.contains(unit) { return ["use base unit \"\(base)\" instead of \"\(unit)\""] }
            return []
        },
    ]

    private static let abbreviations = ["s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d"]
    private static let baseUnits: [(unit: String, base: String)] = [
        ("milliseconds", "seconds"), ("microseconds", "seconds"), ("nanoseconds", "seconds"), ("minutes", "seconds"),
        ("hours", "seconds"), ("days", "seconds"), ("weeks", "seconds"), ("kilobytes", "bytes"), ("megabytes", "bytes"),
        ("gigabytes", "bytes"), ("terabytes", "bytes"), ("kibibytes", "bytes"), ("mebibytes", "bytes"), ("gibibytes", "bytes"),
        ("bits", "bytes"), ("kelvin", "celsius"), ("fahrenheit", "celsius"), ("percent", "ratio"), ("inches", "meters"),
        ("kilometers", "meters"), ("miles", "meters"), ("kilovolts", "volts"), ("milliamperes", "amperes"),
    ]
}

/// A small letter directly before a capital one.
private func isCamelCase(_ name: String) -> Bool {
    zip(name.utf8, name.utf8.dropFirst()).contains { small, large in
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(small) && (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(large)
    }
}
