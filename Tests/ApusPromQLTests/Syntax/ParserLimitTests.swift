import ApusBytes
import Testing

@testable import ApusPromQL

@Suite("Parser limits") struct ParserLimitTests {
    static let clock = ContinuousClock()

    @Test("nesting has a limit with a name", arguments: [
        "(", "-", "abs(", "sum(", "1^", "1 or (-", "max_of(1,", "((((-sum(",
    ])
    func nesting(_ opening: String) {
        let time = Self.clock.measure {
            let failure = parseFailure(String(repeating: opening, count: 10_000), .everything) ?? ""
            #expect(failure.contains("expression nested deeper than 1000 levels (limit of nesting depth)"), "\(failure)")
        }
        #expect(time < .seconds(2))
    }

    @Test("so has nesting in durations", arguments: [("x[", "("), ("x[", "-"), ("x[1", "^(1"), ("x offset ", "-"), ("x offset ", "(-(")])
    func durationNesting(_ start: String, _ opening: String) {
        let failure = parseFailure(start + String(repeating: opening, count: 10_000), .everything) ?? ""
        #expect(failure.contains("duration expression nested deeper than 100 levels (limit of nesting depth)"), "\(failure)")
    }

    @Test("up to the limit, nesting gives the right tree") func nested() throws {
        let query = String(repeating: "(", count: 900) + "1" + String(repeating: ")", count: 900)
        let expression = try parseExpression(ByteString(query))
        #expect(expression.height == 901)
        #expect(expression.description == query)
        #expect(expression.prettified().contains("1"))
    }

    @Test("a sum of 200,000 terms parses and prints") func longSum() throws {
        let query = "1" + String(repeating: "+1", count: 199_999)
        let expression = try parseExpression(ByteString(query))
        #expect(expression.nodes.count == 399_999)
        #expect(expression.height == 200_000)
        #expect(expression.type == .scalar)
        #expect(expression.description == "1" + String(repeating: " + 1", count: 199_999))
    }

    @Test("long lists are no nesting") func longLists() throws {
        let labels = (0..<10_000).map { "l\($0)" }.joined(separator: ",")
        _ = try parseExpression(ByteString("sum by (\(labels)) (x)"))
        let matchers = (0..<10_000).map { "l\($0)=\"v\"" }.joined(separator: ",")
        _ = try parseExpression(ByteString("x{\(matchers)}"))
        let arguments = (0..<10_000).map { "\"l\($0)\"" }.joined(separator: ",")
        _ = try parseExpression(ByteString("label_join(x, \"d\", \"s\", \(arguments))"))
    }

    @Test("selectors have a limit of number") func selectors() throws {
        _ = try parseExpression(ByteString("x" + String(repeating: "+x", count: 1_999)))
        let failure = parseFailure("x" + String(repeating: "+x", count: 2_000), .init()) ?? ""
        #expect(failure == "1:4001: parse error: query has more than 2000 selectors (limit of selectors)")
    }

    @Test("queries have a limit of size") func size() {
        let query = "1" + String(repeating: " ", count: 1 << 20)
        #expect(parseFailure(query, .init()) == "1:1: parse error: query of 1048577 bytes is longer than 1048576 bytes (limit of query size)")
    }

    @Test("duration formulas have a limit of terms") func durationTerms() {
        let query = "x[1" + String(repeating: "+1", count: 1_000) + "]"
        #expect(parseFailure(query, .init())?.hasSuffix("duration expression has more than 500 terms (limit of duration terms)") == true)
    }
}
