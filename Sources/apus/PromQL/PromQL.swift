import ApusBytes
import ApusPromQL
import ApusStorage
import ArgumentParser

/// `apus promql`: format and change expressions. The commands and what they print are promtool's.
struct PromQL: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "promql", abstract: "Format and change expressions.",
        subcommands: [PromQLFormat.self, PromQLLabelMatchers.self])
}

struct PromQLFormat: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "format", abstract: "Print an expression as it is written well.")
    @Argument(help: "The expression.") var expression: String

    func run() throws { print(try parsed(expression).prettified()) }
}

struct PromQLLabelMatchers: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "label-matchers", abstract: "Change the tests on a label in all selectors of an expression.",
        subcommands: [SetLabelMatcher.self, DeleteLabelMatcher.self])
}

struct SetLabelMatcher: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "set", abstract: "Test a label in every selector.")
    @Option(name: [.customShort("t"), .customLong("label-match-type")], help: "=, !=, =~ or !~.") var kind = "="
    @Argument(help: "The expression.") var expression: String
    @Argument(help: "The label.") var name: String
    @Argument(help: "The value.") var value: String

    func run() throws {
        let expression = try parsed(expression)
        guard let kind = Matcher.Kind(rawValue: kind) else { throw fail("\(kind): invalid label match type; it is =, !=, =~ or !~") }
        let matcher: Matcher
        do { matcher = try Matcher(ByteString(name), kind, ByteString(value)) } catch { throw fail("\(value): \(error)") }
        print(expression.settingMatcher(matcher).prettified())
    }
}

struct DeleteLabelMatcher: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "delete", abstract: "Do not test a label in any selector.")
    @Argument(help: "The expression.") var expression: String
    @Argument(help: "The label.") var name: String

    func run() throws { print(try parsed(expression).deletingMatchers(of: ByteString(name)).prettified()) }
}

/// All that is experimental is taken: what is only printed need not be enabled.
private func parsed(_ text: String) throws -> Expression {
    var options = ParserOptions()
    options.enableExperimentalFunctions = true
    options.enableExtendedRangeSelectors = true
    options.enableBinopFill = true
    do { return try parseExpression(ByteString(text), options: options) } catch { throw fail(error.message) }
}
