import ApusModel

/// A place in a configuration file; lines and columns count from 1, columns in characters.
public struct ConfigPosition: Sendable, Hashable {
    public let line: Int
    public let column: Int
    public init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }
}

/// One thing that is wrong in a configuration file.
public struct ConfigProblem: Error, Sendable, Hashable {
    /// Prometheus's text, without file and position.
    public var message: String
    public var position: ConfigPosition?
    /// The valid name nearest to the unknown one.
    public var suggestion: String?
    public init(_ message: String, at position: ConfigPosition? = nil, suggestion: String? = nil) {
        self.message = message
        self.position = position
        self.suggestion = suggestion
    }
}

/// Why a configuration could not be loaded. `description` begins with Prometheus's text and adds where, and what was
/// perhaps meant:
///
///     parsing YAML file prometheus.yml: yaml: unmarshal errors:
///       line 4: field scrap_configs not found in type config.plain (prometheus.yml:4:1, did you mean "scrape_configs"?)
public struct ConfigError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Kind: Sendable, Hashable {
        /// The file can't be read; the one problem says why.
        case file
        /// Not YAML.
        case syntax
        /// Unknown fields and wrong types, all that were found.
        case fields
        /// One rule that the values break.
        case invalid
    }
    public let kind: Kind
    public let fileName: String
    /// Never empty.
    public let problems: [ConfigProblem]

    public init(_ kind: Kind, fileName: String, problems: [ConfigProblem]) {
        self.kind = kind
        self.fileName = fileName
        self.problems = problems
    }

    /// Prometheus's text alone.
    public var message: String {
        switch kind {
        case .file: problems.first?.message ?? ""
        case .syntax, .invalid: "parsing YAML file \(fileName): \(problems.first?.message ?? "")"
        case .fields:
            "parsing YAML file \(fileName): yaml: unmarshal errors:"
                + problems.map { "\n  line \($0.position?.line ?? 0): \($0.message)" }.joined()
        }
    }

    /// The same without the file's name, for a line that begins with it.
    public var messageWithoutFile: String {
        switch kind {
        case .file: message
        case .syntax, .invalid: problems.first?.message ?? ""
        case .fields: "yaml: unmarshal errors:" + problems.map { "\n  line \($0.position?.line ?? 0): \($0.message)" }.joined()
        }
    }

    public var description: String {
        switch kind {
        case .file: message
        case .syntax, .invalid: message + (problems.first.map(hint) ?? "")
        case .fields:
            "parsing YAML file \(fileName): yaml: unmarshal errors:"
                + problems.map { "\n  line \($0.position?.line ?? 0): \($0.message)\(hint($0))" }.joined()
        }
    }

    private func hint(_ problem: ConfigProblem) -> String {
        guard let position = problem.position else { return "" }
        let meant = problem.suggestion.map { ", did you mean \(goQuoted($0))?" } ?? ""
        return " (\(fileName):\(position.line):\(position.column)\(meant))"
    }
}
