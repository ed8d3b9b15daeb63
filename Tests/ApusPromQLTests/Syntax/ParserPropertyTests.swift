import ApusBytes
import Testing

@testable import ApusPromQL

/// Writes random queries that are right, so that what the parser makes of them can be checked.
struct QueryGenerator {
    var random: SeededGenerator
    init(seed: UInt64) { random = SeededGenerator(state: seed) }

    mutating func pick(_ choices: [String]) -> String { choices.randomElement(using: &random) ?? "" }
    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }
    mutating func labels() -> String {
        (0..<Int.random(in: 0...3, using: &random)).map { _ in pick(["a", "b", "le", "\"x.y\"", "\"é\"", "by", "bool", "sum"]) }
            .joined(separator: ", ")
    }

    mutating func duration() -> String {
        switch Int.random(in: 0..<10, using: &random) {
        case 0: "step() + \(pick(["1", "5m"]))"
        case 1: "(\(pick(["5m", "range()"])) * 2)"
        case 2: "min_of(step(), \(pick(["5m", "2 ^ 3", "(1m)"])))"
        case 3: pick(["300", "1.5", "0x10", "1y2w3d4h5m6s7ms"])
        default: pick(["5m", "1h30m", "90d", "1ms"])
        }
    }

    mutating func modifiers() -> String {
        var text = ""
        if chance(15) { text += pick([" anchored", " smoothed"]) }
        if chance(15) { text += " @ " + pick(["10", "-1.5", "start()", "end()", "1700000000.123"]) }
        if chance(15) { text += " offset " + pick(["5m", "-5m", "(5m + step())", "-step()", "min_of(1, 2)", "300"]) }
        return text
    }

    mutating func selector() -> String {
        var matchers: [String] = []
        for _ in 0..<Int.random(in: 0...3, using: &random) {
            let name = pick(["a", "b", "job", "\"l.a\"", "sum", "__name"])
            matchers.append(name + pick(["=", "!=", "=~", "!~"]) + pick(["\"v\"", "'w'", "`x+`", "\"\"", "\"\\\"\\n\\u00e9\""]))
        }
        if chance(15) { return "{\"my.metric\"" + (["", ] + matchers).joined(separator: ",") + "}" }
        let name = pick(["x", "up", "a:b", "sum", "and", "offset", "start", "by", "step", "anchored", "fill", "_x1"])
        return name + (chance(50) ? "{" + matchers.joined(separator: ", ") + "}" : "")
    }

    mutating func scalar(_ depth: Int) -> String {
        switch depth <= 0 ? 0 : Int.random(in: 0..<6, using: &random) {
        case 1: "(" + scalar(depth - 1) + ")"
        case 2: scalar(depth - 1) + pick([" + ", " - ", "*", "/", "%", "^", " atan2 ", " == bool ", " < bool "]) + scalar(depth - 1)
        case 3: pick(["-", "+"]) + scalar(depth - 1)
        case 4: "scalar(" + vector(depth - 1) + ")"
        case 5: pick(["time()", "pi()", "start()", "step()", "max_of(1, 2)"])
        // Infinity prints with its sign, as upstream's does, which `^` would take for an operator.
        default: pick(["1", "0.5", "1e-9", "(Inf)", "NaN", "0xff", "1h30m", "1_000", "123456789.125", "1e30"])
        }
    }

    mutating func range(_ depth: Int) -> String {
        if depth <= 0 || chance(70) { return selector() + "[\(duration())]" + modifiers() }
        let suffix = "[\(duration()):\(chance(50) ? duration() : "")]" + modifiersOfSubquery()
        return "(" + vector(depth - 1) + ")" + suffix
    }

    mutating func modifiersOfSubquery() -> String {
        (chance(15) ? " @ end()" : "") + (chance(15) ? " offset 5m" : "")
    }

    mutating func vector(_ depth: Int) -> String {
        switch depth <= 0 ? 0 : Int.random(in: 0..<10, using: &random) {
        case 1: return "(" + vector(depth - 1) + ")"
        case 2: return pick(["-", "+"]) + vector(depth - 1)
        case 3: return pick(["rate", "increase", "avg_over_time", "last_over_time"]) + "(" + range(depth - 1) + ")"
        case 4: return pick(["abs", "sort", "absent", "timestamp"]) + "(" + vector(depth - 1) + ")"
        case 5:
            let grouping = pick(["by", "without"]) + " (" + labels() + ")"
            let body = "(" + vector(depth - 1) + ")"
            let op = pick(["sum", "avg", "COUNT", "group", "max"])
            return chance(33) ? op + body : chance(50) ? op + " " + grouping + body : op + body + grouping
        case 6: return pick(["topk", "quantile", "limitk"]) + "(" + scalar(depth - 1) + ", " + vector(depth - 1) + ")"
        case 7:
            var modifier = chance(30) ? pick(["on", "ignoring"]) + " (" + labels() + ")" : ""
            if modifier.hasPrefix("ignoring"), chance(40) { modifier += pick([" group_left", " group_right"]) + " (" + labels() + ")" }
            if chance(10) { modifier += pick([" fill (0)", " fill_left (-1)", " fill_right (1e30) fill_left (2)"]) }
            let op = pick(["+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<=", "</", ">/"])
            return "(" + vector(depth - 1) + ") \(op) \(modifier) (" + vector(depth - 1) + ")"
        case 8:
            let modifier = chance(30) ? pick(["on", "ignoring"]) + " (" + labels() + ")" : ""
            return "(" + vector(depth - 1) + ") " + pick(["and", "or", "UNLESS"]) + " \(modifier) (" + vector(depth - 1) + ")"
        case 9: return vector(depth - 1) + pick([" + ", " > ", " == bool ", "^"]) + scalar(depth - 1)
        default: return selector() + (chance(30) ? modifiers() : "")
        }
    }
}

@Suite("Parser properties") struct ParserPropertyTests {
    @Test("what is printed parses to what was printed", arguments: 1...20)
    func roundTrip(seed: Int) throws {
        var generator = QueryGenerator(seed: UInt64(seed))
        for _ in 0..<100 {
            let query = generator.vector(5)
            let expression: ApusPromQL.Expression
            do throws(ParseError) {
                expression = try parseExpression(ByteString(query), options: .everything)
            } catch {
                // The generator writes selectors that may match everything, and these only.
                #expect(error.message.hasSuffix("vector selector must contain at least one non-empty matcher"), "seed \(seed): \(query)")
                continue
            }
            expression.checkInvariants()
            let printed = expression.description
            let again = try parseExpression(ByteString(printed), options: .everything)
            #expect(again.description == printed, "seed \(seed): \(query)")
            #expect(again.nodes.map { String(describing: $0.type) } == expression.nodes.map { String(describing: $0.type) })
            let pretty = try parseExpression(ByteString(expression.prettified()), options: .everything)
            #expect(pretty.description == printed, "seed \(seed): \(query)")
        }
    }

    @Test("no bytes crash it or hang it", arguments: 1...10)
    func bytes(seed: Int) {
        var random = SeededGenerator(state: UInt64(seed))
        let alphabet = Array("()[]{}\"'`\\,:=!~<>+-*/%^@# \n\t0123456789abcdefmsxyz_.\u{e9}".utf8) + [0xff, 0xc3, 0x00]
        let clock = ContinuousClock()
        let time = clock.measure {
            for _ in 0..<2_000 {
                let count = Int.random(in: 0..<60, using: &random)
                let text = ByteString((0..<count).map { _ in alphabet.randomElement(using: &random) ?? 0 })
                tryToParse(text)
            }
        }
        #expect(time < .seconds(30), "seed \(seed)")
    }

    @Test("no mutation of a right query crashes it", arguments: 1...20)
    func mutations(seed: Int) {
        var generator = QueryGenerator(seed: UInt64(seed))
        for _ in 0..<200 {
            var text = Array(generator.vector(4).utf8)
            for _ in 0..<Int.random(in: 1...4, using: &generator.random) where !text.isEmpty {
                let index = Int.random(in: 0..<text.count, using: &generator.random)
                switch Int.random(in: 0..<4, using: &generator.random) {
                case 0: text.remove(at: index)
                case 1: text.insert(UInt8.random(in: 0...255, using: &generator.random), at: index)
                case 2: text[index] = UInt8.random(in: 32...126, using: &generator.random)
                default: text.removeSubrange(index...)
                }
            }
            tryToParse(ByteString(text))
        }
    }

    /// Whatever parses must print to something that parses, too.
    private func tryToParse(_ text: ByteString) {
        do throws(ParseError) {
            let expression = try parseExpression(text, options: .everything)
            _ = expression.prettified()
            let printed = ByteString(expression.description)
            let again = try parseExpression(printed, options: .everything)
            #expect(ByteString(again.description) == printed, "\(text)")
        } catch {
            #expect(error.message.contains(": parse error: "))
        }
        _ = try? parseSelector(text)
    }
}
