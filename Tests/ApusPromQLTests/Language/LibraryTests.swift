import ApusBytes
import ApusModel
import ApusPromQL
import ApusStorage
import Foundation
import Testing

/// What the module's documentation shows.
@Suite("ApusPromQL as a library") struct LibraryTests {
    private func explanation(_ query: ByteString) -> String {
        do {
            _ = try parseExpression(query)
            return ""
        } catch { return error.explanation(of: query) }
    }

    @Test("errors point at the fault and suggest what may have been meant")
    func explanations() {
        #expect(
            explanation("sum(rat(http_requests_total[5m]))") == """
                1:5: parse error: unknown function with name "rat"
                  sum(rat(http_requests_total[5m]))
                      ^~~
                did you mean rate?
                """)
        #expect(
            explanation("up\n  + rate(x)") == """
                2:10: parse error: expected type range vector in call to function "rate", got instant vector
                    + rate(x)
                           ^
                """)
        // The mark stands below characters, not bytes.
        #expect(explanation("{a=\"éé\"} + frobnicate(x)").contains("\n             ^~~~~~~~~~"))
        #expect(explanation("1 +").hasSuffix("\n  1 +\n     ^"))
        #expect(!explanation("qqqqqqqq(x)").contains("did you mean"))
        #expect(explanation("histogram_quantil(0.9, x)").hasSuffix("did you mean histogram_quantile?"))
        #expect(explanation("cuont_over_time(x[5m])").hasSuffix("did you mean count_over_time?"))
        // Of a long query a part is shown.
        let long = String(repeating: "aaaa + ", count: 1_000) + "rat(x)" + String(repeating: " + bbbb", count: 1_000)
        #expect(explanation(ByteString(long)).utf8.count < 500)
    }

    @Test("no error is without an explanation, wherever its fault lies")
    func anywhere() {
        var random = SplitMix(7)
        let pieces = ["sum", "rate", "(", ")", "x", "[5m]", "{a=\"é\"", "}", "by", "\n", "\t", "+", "1", "\"", "é", "offset", " ", "rat("]
        for _ in 0..<2_000 {
            let query = ByteString((0..<random.below(12)).map { _ in random.pick(pieces) }.joined())
            do { _ = try parseExpression(query) } catch {
                let text = error.explanation(of: query)
                #expect(text.hasPrefix(error.message) && text.contains("^"), "\(query)")
            }
        }
    }

    @Test("matchers are set and deleted in all selectors")
    func rewriting() throws {
        let expression = try parseExpression("sum(rate(a{x=\"1\",y=\"2\"}[5m])) / on (x) {__name__=\"b\"} offset 1m")
        #expect(
            expression.settingMatcher(Matcher("x", equals: "9")).description
                == "sum(rate(a{x=\"9\",y=\"2\"}[5m])) / on (x) {__name__=\"b\",x=\"9\"} offset 1m")
        #expect(
            expression.deletingMatchers(of: "x").description == "sum(rate(a{y=\"2\"}[5m])) / on (x) {__name__=\"b\"} offset 1m")
        #expect(expression.selectors.map(\.name) == ["a", ""])
        // What is printed can be parsed again.
        let again = try parseExpression(ByteString(expression.settingMatcher(Matcher("z", .notRegex, "a|b")).prettified()))
        #expect(again.description.contains("z!~\"a|b\""))
    }

    @Test("a query against arrays")
    func evaluation() throws {
        let storage = MemoryStorage()
        for minute in 0...10 {
            try storage.append(["__name__": "requests_total"], timestampMs: Int64(minute) * 60_000, value: Double(minute) * 30)
        }
        let result = try QueryEngine().instant("rate(requests_total[5m])", atMs: 600_000, on: storage)
        guard case .vector(let samples) = result.value else {
            Issue.record("no vector")
            return
        }
        #expect(samples.map(\.value) == [0.5])
    }
}

/// Queries made to hurt are answered, or refused by a limit with a name, within a second.
@Suite("Hostile queries") struct HostileQueryTests {
    static let megabyte = 1 << 20

    /// A query, and what the error must say; an empty text where it has an answer.
    static let queries: [(name: String, query: String, error: String)] = [
        ("a chain of a megabyte", "1" + String(repeating: "+1", count: megabyte / 2 - 1), ""),
        ("a chain of comparisons", "1" + String(repeating: "==bool 1", count: megabyte / 8 - 1), ""),
        ("more than a megabyte", "1" + String(repeating: "+1", count: megabyte / 2), "limit"),
        ("nested brackets", String(repeating: "(", count: 500_000) + "1", "limit of nesting"),
        ("nested calls", String(repeating: "abs(", count: 200_000), "limit of nesting"),
        ("nested signs", String(repeating: "-", count: 1_000_000) + "1", "limit of nesting"),
        ("a chain of powers", "1" + String(repeating: "^1", count: 500_000), "limit of nesting"),
        ("a string of a megabyte", "\"" + String(repeating: "a", count: megabyte - 2) + "\"", ""),
        ("a name of a megabyte", String(repeating: "a", count: megabyte), ""),
        ("a huge number", "1" + String(repeating: "0", count: 400_000), ""),
        ("a number with a huge exponent", "1e" + String(repeating: "9", count: 400_000), ""),
        ("a long fraction", "0." + String(repeating: "1", count: 400_000), ""),
        ("a huge range", "x[" + String(repeating: "9", count: 4_000) + "y]", ""),
        ("a huge offset", "x offset 292277024y", ""),
        ("a huge time", "x @ 1e300", ""),
        ("huge subqueries", "sum_over_time(sum_over_time(vector(1)[100y:1ms])[100y:1ms])", "too many samples"),
        ("many selectors", "x" + String(repeating: " or x", count: 100_000), "limit"),
        ("many labels", "sum by (" + (0..<100_000).map { "l\($0)" }.joined(separator: ",") + ") (x)", ""),
        ("a long regular expression", "x{a=~\"" + String(repeating: "(a|b)*", count: 100_000) + "\"}", ""),
        ("repetitions of repetitions", "x{a=~\"((((a{1,100}){1,100}){1,100}){1,100})\"}", ""),
        ("comments only", String(repeating: "#\n", count: 500_000), ""),
    ]

    @Test("end within a second", arguments: queries.map(\.name))
    func hostile(name: String) throws {
        guard let (_, query, expected) = Self.queries.first(where: { $0.name == name }) else { return }
        let storage = MemoryStorage()
        try storage.append(["__name__": "x", "a": "ab"], timestampMs: 0, value: 1)
        let clock = ContinuousClock()
        var message = ""
        let elapsed = clock.measure {
            do throws(QueryError) { _ = try QueryEngine().instant(ByteString(query), atMs: 1_000, on: storage) } catch {
                message = error.message
            }
        }
        if !expected.isEmpty { #expect(message.contains(expected), "\(message.prefix(300))") }
        // A debug build on a busy machine is allowed more.
        #expect(elapsed < .seconds(20), "\(elapsed)")
        #expect(message.utf8.count < 3 * Self.megabyte)
    }
}

/// What the article on storages shows.
@Suite("A storage of your own") struct OwnStorageTests {
    struct Waves: Queryable {
        func querier(minTimeMs: Int64, maxTimeMs: Int64) throws(StorageError) -> any Querier { WavesQuerier() }
    }

    final class WavesQuerier: Querier {
        let all: [LabelSet] = ["a", "b"].map { ["__name__": "wave", "host": $0] }

        func select(_ matchers: [Matcher], hints: SelectHints, sorted: Bool) throws(StorageError) -> any SeriesSet {
            WavesSet(
                series: all.filter { labels in
                    matchers.allSatisfy { matcher in
                        let value = labels[matcher.name] ?? ""
                        return matcher.matches(value.bytes.span)
                    }
                })
        }
        func labelNames(_ matchers: [Matcher], limit: Int) throws(StorageError) -> [ByteString] { ["__name__", "host"] }
        func labelValues(_ name: ByteString, _ matchers: [Matcher], limit: Int) throws(StorageError) -> [ByteString] {
            Set(all.compactMap { $0[name] }).sorted()
        }
        func close() {}
    }

    final class WavesSet: SeriesSet {
        let series: [LabelSet]
        init(series: [LabelSet]) { self.series = series }

        var count: Int { series.count }
        func labels(at index: Int) -> LabelSet { series[index] }
        func decode(_ index: Int, minTimeMs: Int64, maxTimeMs: Int64, into columns: inout SampleColumns) throws(StorageError) {
            let first = (minTimeMs + 14_999) / 15_000 * 15_000
            for timestampMs in stride(from: first, through: maxTimeMs, by: 15_000) {
                columns.append(timestampMs: timestampMs, value: sin(Double(timestampMs) / 60_000) + Double(index))
            }
        }
    }

    @Test("the engine reads it")
    func queries() throws {
        let result = try QueryEngine().range(
            "sum(max_over_time(wave[5m]))", startMs: 600_000, endMs: 1_200_000, stepMs: 60_000, on: Waves())
        guard case .matrix(let series) = result.value else {
            Issue.record("no matrix")
            return
        }
        #expect(series.count == 1 && series[0].values.count == 11)
        // One wave is the other and 1, so the sum is twice the top and 1; within five minutes a wave of six comes near its top.
        #expect(series[0].values.allSatisfy { $0 > 1 && $0 <= 3 })
        let one = try QueryEngine().instant("wave{host=~\"b|c\"}", atMs: 600_000, on: Waves())
        guard case .vector(let samples) = one.value else { return }
        #expect(samples.map(\.labels) == [["__name__": "wave", "host": "b"]])
    }

    @Test("and says why nothing comes of it")
    func explains() throws {
        var options = QueryOptions()
        options.explains = true
        let explained = try QueryEngine().instant("rate(wave[10s])", atMs: 600_000, on: Waves(), options: options)
        let nodes = try #require(explained.explanation?.nodes)
        #expect(nodes.contains { $0.operation.hasPrefix("rate") && $0.series == 0 && $0.reasons.contains { $0.contains("shorter than two intervals") } })
    }
}
