import ApusBytes
import ApusModel

/// A test script in the format of Prometheus's PromQL tests, parsed.
struct Script {
    enum Command {
        case clear
        /// - Parameter withCustomBuckets: make native histograms of the classic ones, too.
        case load([LoadedSeries], withCustomBuckets: Bool)
        case evaluate(Evaluation)
    }
    struct Line<Content> {
        /// From 1.
        let number: Int
        let content: Content
    }

    struct LoadedSeries {
        let labels: LabelSet
        let intervalMs: Int64
        /// `nil` for a point left out.
        let points: [Point?]
        /// How long before (negative) its own time each point began to count, in ms; `nil` where the script does not say.
        var startOffsetsMs: [Int64?] = []
    }

    enum Point {
        case float(Double)
        /// - Parameter hasHint: whether the script gives a counter reset hint.
        case histogram(FloatHistogram, hasHint: Bool)
    }

    struct ExpectedSeries {
        let labels: LabelSet
        let points: [Point?]
    }

    /// What a message must be.
    struct MessageTest {
        enum Kind { case any, text, pattern }
        let kind: Kind
        let value: ByteString
    }

    struct Evaluation {
        let query: ByteString
        let startMs: Int64
        /// Equal to `startMs`, with step 0, for an instant query.
        var endMs: Int64
        var stepMs: Int64
        let isInstant: Bool

        var isOrdered = false
        var failure: MessageTest?
        var warnings: [MessageTest] = []
        var infos: [MessageTest] = []
        var forbidsWarnings = false
        var forbidsInfos = false
        var text: ByteString?
        var scalar: Double?
        var series: [ExpectedSeries] = []
        /// `expect range vector`: start, end and step of the samples.
        var rangeVector: (startMs: Int64, endMs: Int64, stepMs: Int64)?
    }

    var commands: [Line<Command>] = []
    /// How many `eval` commands there are, even where the script does not parse.
    var evaluations = 0
    /// Why the script as a whole is wrong, and where.
    var failure: (line: Int, text: String)?

    init(_ bytes: [UInt8]) {
        var parser = ScriptParser(bytes)
        do { commands = try parser.parse() } catch { failure = (error.line, error.text) }
        evaluations = parser.countEvaluations()
    }
}

struct ScriptError: Error {
    let line: Int
    let text: String
}

/// Reads the lines of a script.
struct ScriptParser {
    private let lines: [ArraySlice<UInt8>]
    private var index = 0

    init(_ bytes: [UInt8]) {
        lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map {
            let line = trimmed($0)
            return line.first == UInt8(ascii: "#") ? [] : line
        }
    }

    func countEvaluations() -> Int { lines.count { $0.starts(with: Array("eval".utf8)) } }

    private func fail(_ text: String) -> ScriptError { ScriptError(line: index + 1, text: text) }

    mutating func parse() throws(ScriptError) -> [Script.Line<Script.Command>] {
        var commands: [Script.Line<Script.Command>] = []
        while index < lines.count {
            if lines[index].isEmpty {
                index += 1
                continue
            }
            let number = index + 1
            var words = Words(lines[index])
            let first = words.next().map(lowercased)
            if first == Array("clear".utf8) {
                index += 1
                commands.append(.init(number: number, content: .clear))
            } else if first.starts(with: Array("load".utf8)) {
                guard ["load", "load_with_nhcb"].contains(String(decoding: first, as: UTF8.self)) else {
                    throw fail("invalid load command \(quoted(first))")
                }
                let withCustomBuckets = first.count > "load".utf8.count
                commands.append(.init(number: number, content: .load(try load(&words), withCustomBuckets: withCustomBuckets)))
            } else if first.starts(with: Array("eval".utf8)) {
                commands.append(.init(number: number, content: .evaluate(try evaluation(first, &words))))
            } else {
                throw fail("invalid command \(quoted(lines[index]))")
            }
        }
        return commands
    }

    // MARK: load

    private mutating func load(_ words: inout Words) throws(ScriptError) -> [Script.LoadedSeries] {
        let intervalMs = try duration(words.rest)
        index += 1
        var result: [Script.LoadedSeries] = []
        while index < lines.count, !lines[index].isEmpty {
            var starts: (labels: LabelSet, offsetsMs: [Int64?])?
            var words = Words(lines[index])
            if words.next().suffix(3) == Array("@st".utf8)[...] {
                starts = try startTimestamps(lines[index])
                index += 1
                guard index < lines.count, !lines[index].isEmpty else { throw fail("start timestamps without the line of their samples") }
                words = Words(lines[index])
                if words.next().suffix(3) == Array("@st".utf8)[...] { throw fail("two lines of start timestamps in a row") }
            }
            let (labels, points) = try series(lines[index])
            var loaded = Script.LoadedSeries(labels: labels, intervalMs: intervalMs, points: points)
            if let starts {
                if starts.labels != labels { throw fail("start timestamps of another series than that of the next line") }
                if starts.offsetsMs.count != points.count {
                    throw fail("\(starts.offsetsMs.count) start timestamps for \(points.count) samples")
                }
                loaded.startOffsetsMs = starts.offsetsMs
            }
            result.removeAll { $0.labels == labels }
            result.append(loaded)
            index += 1
        }
        return result
    }

    /// `name{a="b"}@st _ -30s-1mx2 …`: how long before its own time each sample began to count.
    private func startTimestamps(_ line: ArraySlice<UInt8>) throws(ScriptError) -> (LabelSet, [Int64?]) {
        var words = Words(line)
        let (labels, _) = try series(words.next().dropLast(3))
        var result: [Int64?] = []
        while !words.isAtEnd {
            let item = words.next()
            var position = item.startIndex
            if item.first == UInt8(ascii: "_") {
                position += 1
                let times = try repeats(item, &position, item) ?? 1
                result += Array(repeating: nil, count: times)
            } else {
                guard let first = try offsetMs(item, &position) else { throw fail("invalid start timestamp \(quoted(item))") }
                let isSigned = position < item.endIndex && [UInt8(ascii: "+"), UInt8(ascii: "-")].contains(item[position])
                let increment = isSigned ? try offsetMs(item, &position) ?? 0 : 0
                guard let times = try repeats(item, &position, item) else {
                    if isSigned { throw fail("invalid start timestamp \(quoted(item))") }
                    result.append(first)
                    continue
                }
                var value = first
                for _ in 0...times {
                    result.append(value)
                    value &+= increment
                }
            }
            if position < item.endIndex { throw fail("invalid start timestamp \(quoted(item))") }
        }
        return (labels, result)
    }

    /// A signed duration of one unit, in ms.
    private func offsetMs(_ item: ArraySlice<UInt8>, _ position: inout Int) throws(ScriptError) -> Int64? {
        var isNegative = false
        if position < item.endIndex, [UInt8(ascii: "+"), UInt8(ascii: "-")].contains(item[position]) {
            isNegative = item[position] == UInt8(ascii: "-")
            position += 1
        }
        let start = position
        while position < item.endIndex, isDigit(item[position]) { position += 1 }
        if position == start { return nil }
        while position < item.endIndex, isAlpha(item[position]), item[position] != UInt8(ascii: "x") { position += 1 }
        let text = item[start..<position]
        let isZero = text.allSatisfy { $0 == UInt8(ascii: "0") || !isDigit($0) }
        let value = isZero ? 0 : try duration(text)
        return isNegative ? -value : value
    }

    /// `xN` at `position`; `nil` when nothing follows.
    private func repeats(_ item: ArraySlice<UInt8>, _ position: inout Int, _ whole: ArraySlice<UInt8>) throws(ScriptError) -> Int? {
        if position == item.endIndex { return nil }
        guard item[position] == UInt8(ascii: "x"), let count = Int(String(decoding: item[(position + 1)...], as: UTF8.self)), count >= 0,
            count <= 1_000_000
        else { throw fail("invalid point \(quoted(whole))") }
        position = item.endIndex
        return count
    }

    /// `name{a="b"} 1 2+3x4 …`
    private func series(_ line: ArraySlice<UInt8>) throws(ScriptError) -> (LabelSet, [Script.Point?]) {
        var end = line.startIndex
        while end < line.endIndex, line[end] != UInt8(ascii: "{"), !isSpace(line[end]) { end += 1 }
        let name = line[line.startIndex..<end]
        var labels: [Label] = name.isEmpty ? [] : [Label(LabelNames.name, ByteString(name))]
        var rest = end
        while rest < line.endIndex, isSpace(line[rest]) { rest += 1 }
        if rest < line.endIndex, line[rest] == UInt8(ascii: "{"), line[rest...].prefix(2) != Array("{{".utf8)[...] {
            guard let close = closingBrace(line, from: rest) else { throw fail("series without closing brace") }
            var content = trimmed(line[(rest + 1)..<close])
            if content.last == UInt8(ascii: ",") { content = trimmed(content.dropLast()) }
            if !content.isEmpty {
                // The selector syntax wants one matcher that is not empty.
                let text = Array("{".utf8) + content + Array(",__script__=\"x\"}".utf8)
                do {
                    for matcher in try parseSelector(ByteString(text)) where matcher.name != "__script__" {
                        guard matcher.kind == .equal else { throw fail("series with a matcher that is not an equality") }
                        labels.append(Label(matcher.name, matcher.value))
                    }
                } catch let error as ParseError {
                    throw fail(error.message)
                } catch let error as ScriptError {
                    throw error
                } catch {
                    throw fail("invalid series")
                }
            }
            rest = close + 1
        }
        return (LabelSet(labels), try points(line[rest...]))
    }

    private func closingBrace(_ line: ArraySlice<UInt8>, from open: Int) -> Int? {
        var quote: UInt8?
        var position = open
        while position < line.endIndex {
            let byte = line[position]
            if let current = quote {
                if byte == UInt8(ascii: "\\"), current != UInt8(ascii: "`") {
                    position += 1
                } else if byte == current {
                    quote = nil
                }
            } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") || byte == UInt8(ascii: "`") {
                quote = byte
            } else if byte == UInt8(ascii: "}") {
                return position
            }
            position += 1
        }
        return nil
    }

    private func points(_ text: ArraySlice<UInt8>) throws(ScriptError) -> [Script.Point?] {
        var result: [Script.Point?] = []
        var items = Words(text, keepsHistograms: true)
        while !items.isAtEnd {
            let item = items.next()
            if result.count > 1_000_000 { throw fail("too many points in one series") }
            try expand(item, into: &result)
        }
        return result
    }

    private func expand(_ item: ArraySlice<UInt8>, into result: inout [Script.Point?]) throws(ScriptError) {
        func invalid() -> ScriptError { fail("invalid point \(quoted(item))") }
        func repeats(_ digits: ArraySlice<UInt8>) throws(ScriptError) -> Int {
            guard let count = Int(String(decoding: digits, as: UTF8.self)), count >= 0, count <= 1_000_000 else { throw invalid() }
            return count
        }
        if item.starts(with: Array("{{".utf8)) { return try expandHistograms(item, into: &result) }
        if item.first == UInt8(ascii: "_") {
            if item.count == 1 { return result.append(nil) }
            guard item.dropFirst().first == UInt8(ascii: "x") else { throw invalid() }
            result += Array(repeating: nil, count: try repeats(item.dropFirst(2)))
            return
        }
        if item.elementsEqual("stale".utf8) { return result.append(.float(StaleNaN.value)) }
        var position = item.startIndex
        guard let start = Self.number(item, &position) else { throw invalid() }
        if position == item.endIndex { return result.append(.float(start)) }
        var increment = 0.0
        if item[position] != UInt8(ascii: "x") {
            guard let value = Self.number(item, &position), position < item.endIndex, item[position] == UInt8(ascii: "x") else {
                throw invalid()
            }
            increment = value
        }
        var value = start
        for _ in 0...(try repeats(item[(position + 1)...])) {
            result.append(.float(value))
            value += increment
        }
    }

    /// `{{…}}`, `{{…}}x3`, `{{…}}+{{…}}x3`
    private func expandHistograms(_ item: ArraySlice<UInt8>, into result: inout [Script.Point?]) throws(ScriptError) {
        func invalid() -> ScriptError { fail("invalid histogram \(quoted(item))") }
        var position = item.startIndex
        guard let base = HistogramLiteral(item, &position) else { throw invalid() }
        let sign = position < item.endIndex ? item[position] : 0
        guard sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") else {
            let times = try repeats(item, &position, item) ?? 0
            result += Array(repeating: .histogram(base.histogram, hasHint: base.hasHint), count: times + 1)
            return
        }
        position += 1
        guard let increment = HistogramLiteral(item, &position), let times = try repeats(item, &position, item) else { throw invalid() }
        if times > 0, base.histogram.layout.schema > increment.histogram.layout.schema {
            throw fail("the histogram \(quoted(item)) has a higher schema than what is added to it")
        }
        var current = base.histogram
        for step in 0...times {
            result.append(.histogram(current, hasHint: increment.hasHint))
            if step == times { break }
            do {
                _ = sign == UInt8(ascii: "-") ? try current.subtract(increment.histogram) : try current.add(increment.histogram)
            } catch {
                throw fail(error.description)
            }
        }
    }

    /// A signed number at `position`, and where it ends.
    private static func number(_ text: ArraySlice<UInt8>, _ position: inout Int) -> Double? {
        var sign = 1.0
        var index = position
        if index < text.endIndex, text[index] == UInt8(ascii: "-") || text[index] == UInt8(ascii: "+") {
            if text[index] == UInt8(ascii: "-") { sign = -1 }
            index += 1
        }
        let start = index
        if index < text.endIndex, isAlpha(text[index]) {
            while index < text.endIndex, isAlphaNumeric(text[index]) { index += 1 }
        } else {
            while index < text.endIndex {
                let byte = text[index]
                let isExponentSign =
                    (byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-")) && index > start
                    && lowercased(text[index - 1]) == UInt8(ascii: "e")
                guard isDigit(byte) || byte == UInt8(ascii: ".") || lowercased(byte) == UInt8(ascii: "e") || isExponentSign
                else { break }
                index += 1
            }
        }
        guard index > start, case .success(let value) = NumberText.parse(text[start..<index]) else { return nil }
        position = index
        return sign * value
    }

    // MARK: eval

    private func duration(_ text: ArraySlice<UInt8>) throws(ScriptError) -> Int64 {
        do { return try parseDuration(String(decoding: trimmed(text), as: UTF8.self)) } catch {
            throw fail("invalid duration: \(error.description)")
        }
    }

    private mutating func evaluation(_ first: [UInt8], _ words: inout Words) throws(ScriptError) -> Script.Evaluation {
        let kind = String(decoding: words.next(), as: UTF8.self)
        var evaluation: Script.Evaluation
        switch kind {
        case "instant":
            var timeMs: Int64 = 0
            if words.skip("at") { timeMs = try duration(words.next()) }
            evaluation = Script.Evaluation(
                query: ByteString(words.rest), startMs: timeMs, endMs: timeMs, stepMs: 0, isInstant: true)
        case "range":
            guard words.skip("from") else { throw fail("invalid eval range: no start") }
            let startMs = try duration(words.next())
            guard words.skip("to") else { throw fail("invalid eval range: no end") }
            let endMs = try duration(words.next())
            guard words.skip("step") else { throw fail("invalid eval range: no step") }
            let stepMs = try duration(words.next())
            if endMs < startMs { throw fail("invalid eval range: the end is before the start") }
            if stepMs <= 0 { throw fail("invalid eval range: the step must be positive") }
            evaluation = Script.Evaluation(
                query: ByteString(words.rest), startMs: startMs, endMs: endMs, stepMs: stepMs, isInstant: false)
        default: throw fail("invalid eval command: \(quoted(kind.utf8))")
        }
        do { _ = try parseExpression(evaluation.query, options: ScriptRunner.parserOptions) } catch {
            throw fail(error.message)
        }
        let any = Script.MessageTest(kind: .any, value: ByteString())
        switch String(decoding: first, as: UTF8.self) {
        case "eval": break
        case "eval_fail": evaluation.failure = any
        case "eval_warn": evaluation.warnings = [any]
        case "eval_info": evaluation.infos = [any]
        case "eval_ordered": evaluation.isOrdered = true
        default: throw fail("invalid eval command")
        }
        index += 1
        while index < lines.count, !lines[index].isEmpty {
            let line = lines[index]
            var words = Words(line)
            let word = String(decoding: words.next(), as: UTF8.self)
            if word == "expect" {
                try expectation(&words, &evaluation)
            } else if word == "expected_fail_message" || word == "expected_fail_regexp" {
                evaluation.failure = Script.MessageTest(
                    kind: word == "expected_fail_message" ? .text : .pattern, value: ByteString(words.rest))
            } else if let scalar = Self.scalarLine(line) {
                evaluation.scalar = scalar
            } else {
                let (labels, points) = try series(line)
                evaluation.series.removeAll { $0.labels == labels }
                evaluation.series.append(Script.ExpectedSeries(labels: labels, points: points))
            }
            index += 1
        }
        return evaluation
    }

    private static func scalarLine(_ line: ArraySlice<UInt8>) -> Double? {
        var text = line
        var sign = 1.0
        if text.first == UInt8(ascii: "-") || text.first == UInt8(ascii: "+") {
            if text.first == UInt8(ascii: "-") { sign = -1 }
            text = text.dropFirst()
        }
        guard !text.isEmpty, case .success(let value) = NumberText.parse(text) else { return nil }
        return sign * value
    }

    private func expectation(_ words: inout Words, _ evaluation: inout Script.Evaluation) throws(ScriptError) {
        let kind = String(decoding: words.next(), as: UTF8.self)
        let rest = words.rest
        var test = Script.MessageTest(kind: .any, value: ByteString())
        if rest.starts(with: Array("msg:".utf8)) {
            test = Script.MessageTest(kind: .text, value: ByteString(trimmed(rest.dropFirst(4))))
        } else if rest.starts(with: Array("regex:".utf8)) {
            test = Script.MessageTest(kind: .pattern, value: ByteString(trimmed(rest.dropFirst(6))))
        }
        switch kind {
        case "ordered": evaluation.isOrdered = true
        case "fail": evaluation.failure = test
        case "warn": evaluation.warnings.append(test)
        case "info": evaluation.infos.append(test)
        case "no_warn": evaluation.forbidsWarnings = true
        case "no_info": evaluation.forbidsInfos = true
        case "string":
            guard let text = unquoted(trimmed(rest)) else { throw fail("expect string needs a quoted string") }
            evaluation.text = text
        case "range":
            guard words.skip("vector"), words.skip("from") else { throw fail("invalid expect range vector") }
            let startMs = try duration(words.next())
            guard words.skip("to") else { throw fail("invalid expect range vector") }
            let endMs = try duration(words.next())
            guard words.skip("step") else { throw fail("invalid expect range vector") }
            evaluation.rangeVector = (startMs, endMs, try duration(words.rest))
        default: throw fail("invalid expect line \(quoted(kind.utf8))")
        }
    }
}

/// Cuts a line into words.
private struct Words {
    private(set) var rest: ArraySlice<UInt8>
    private let keepsHistograms: Bool

    /// - Parameter keepsHistograms: blanks between `{{` and `}}` do not end a word.
    init(_ text: ArraySlice<UInt8>, keepsHistograms: Bool = false) {
        rest = trimmed(text)
        self.keepsHistograms = keepsHistograms
    }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func next() -> ArraySlice<UInt8> {
        var end = rest.startIndex
        var depth = 0
        while end < rest.endIndex {
            if keepsHistograms {
                if rest[end] == UInt8(ascii: "{") { depth += 1 }
                if rest[end] == UInt8(ascii: "}") { depth -= 1 }
            }
            if depth <= 0, isSpace(rest[end]) { break }
            end += 1
        }
        let word = rest[rest.startIndex..<end]
        rest = trimmed(rest[end...])
        return word
    }

    /// Passes over `word` if it comes next.
    mutating func skip(_ word: String) -> Bool {
        var copy = self
        guard copy.next().elementsEqual(word.utf8) else { return false }
        self = copy
        return true
    }
}

private func trimmed(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var text = text
    while let first = text.first, isSpace(first) { text = text.dropFirst() }
    while let last = text.last, isSpace(last) { text = text.dropLast() }
    return text
}
