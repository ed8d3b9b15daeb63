import ApusBytes
import ApusExposition
import ApusModel
import Foundation
import Testing

/// The folder of pages and cases beside these tests.
func goldenBytes(_ name: String) throws -> [UInt8] {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    return Array(try Data(contentsOf: folder.appendingPathComponent("Golden/\(name)")))
}

/// All entries of a page.
func parseAll(_ page: [UInt8]) throws(ExpositionError) -> [(TextParser.Entry, [Label])] {
    var parser = TextParser()
    var entries: [(TextParser.Entry, [Label])] = []
    while let entry = try parser.next(page.span) {
        if case .series = entry { entries.append((entry, parser.labels(page.span))) } else { entries.append((entry, [])) }
    }
    return entries
}

@Suite struct TextParserTests {
    struct Cases: Decodable {
        struct Entry: Decodable {
            var kind: String
            var name: String?
            var text: String?
            var type: String?
            var labels: [String: String]?
            var value: String?
            var timestamp_ms: Int64?
        }
        struct Case: Decodable {
            var name: String
            var input: String?
            var input_base64: String?
            var valid: Bool
            var entries: [Entry]?
        }
        var cases: [Case]
    }

    @Test func theReferencesVerdictsAndEntries() throws {
        let cases = try JSONDecoder().decode(Cases.self, from: Data(try goldenBytes("parse_cases.json"))).cases
        #expect(cases.count > 20)
        for one in cases {
            let input = one.input.map { Array($0.utf8) } ?? Array(Data(base64Encoded: one.input_base64 ?? "") ?? Data())
            let parsed: [(TextParser.Entry, [Label])]
            do {
                parsed = try parseAll(input)
                #expect(one.valid, "\(one.name) must be refused")
            } catch {
                #expect(!one.valid, "\(one.name): \(error)")
                continue
            }
            guard let entries = one.entries else { continue }
            #expect(parsed.count == entries.count, "\(one.name)")
            for (found, expected) in zip(parsed, entries) {
                switch found.0 {
                case .help(let name, let text):
                    #expect(expected.kind == "help" && expected.name == name.description && expected.text == text.description)
                case .type(let name, let type):
                    #expect(expected.kind == "type" && expected.name == name.description && expected.type == type.rawValue)
                case .comment(let range):
                    #expect(expected.kind == "comment" && expected.text == String(decoding: input[range], as: UTF8.self))
                case .series(let line):
                    #expect(expected.kind == "series" && expected.text == String(decoding: input[line.text], as: UTF8.self))
                    let labels = Dictionary(found.1.map { ($0.name.description, $0.value.description) }) { $1 }
                    #expect(labels == expected.labels)
                    #expect(line.value == Double(expected.value ?? ""))
                    #expect(line.timestampMs == expected.timestamp_ms)
                }
            }
        }
    }

    @Test(arguments: [("expfmt-text.prom.txt", 248), ("alertmanager.prom.txt", 418), ("python_client.prom.txt", 54)])
    func wholePages(_ name: String, _ samples: Int) throws {
        let entries = try parseAll(try goldenBytes(name))
        #expect(entries.count { if case .series = $0.0 { true } else { false } } == samples)
    }

    @Test(arguments: [
        ("a 1\nb{x='1'} 2\n", "2:5: expected label value, got \"'\" while parsing: \"b{x='\""),
        ("a", "1:2: expected value after metric, got end of page while parsing: \"a\""),
        ("\n\n  3x 1\n", "3:3: expected a valid start token, got \"3\" while parsing: \"3\""),
        ("a 1e999\n", "1:3: parsing \"1e999\": value out of range while parsing: \"a 1e999\""),
        ("a 1 99999999999999999999\n", "1:5: parsing \"99999999999999999999\": value out of range while parsing: \"a 1 99999999999999999999\""),
        ("a 1 -5\n", "1:5: expected timestamp or new record, got \"-\" while parsing: \"a 1 -\""),
        ("# TYPE a banana\n", "1:10: invalid metric type \"banana\""),
        ("{\"a\",\"b\"} 1\n", "1:6: metric name already set while parsing: \"{\\\"a\\\",\\\"b\\\"}\""),
        ("a{,} 1\n", "1:3: expected label name, got \",\" while parsing: \"a{,\""),
        ("a 1\r\n", "1:3: parsing \"1\\r\": invalid syntax while parsing: \"a 1\\r\""),
    ])
    func errorsSayWhereAndWhat(_ page: String, _ message: String) {
        #expect(throws: ExpositionError.self) { try parseAll(Array(page.utf8)) }
        do { _ = try parseAll(Array(page.utf8)) } catch { #expect(error.description == message) }
    }

    @Test func oddButAcceptedLines() throws {
        let page = "\ta{x=\"1\"}2\n-\n".dropLast(2) + "a-1\n{\"q\",} +Inf 7\nn nan\ni -inf"
        let entries = try parseAll(Array(page.utf8))
        let values = entries.compactMap { entry -> Double? in if case .series(let line) = entry.0 { line.value } else { nil } }
        #expect(values.prefix(3) == [2, -1, .infinity])
        #expect(values[3].bitPattern == StaleNaN.normalBits)
        #expect(values[4] == -.infinity)
    }
}
