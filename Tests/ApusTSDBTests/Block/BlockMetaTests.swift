import ApusBytes
import Testing

@testable import ApusTSDB

@Suite("BlockMeta") struct BlockMetaTests {
    @Test("what Prometheus wrote comes back byte for byte")
    func golden() throws {
        let text = Array(BlockVectors.meta.utf8)
        let meta = try BlockMeta(json: text)
        #expect(meta.ulid.description == "01M83RVVJG80V2V806Q3Y2ME22")
        #expect(meta.statistics.samples == 481)
        #expect(meta.compaction.level == 2)
        #expect(!meta.compaction.parents.isEmpty)
        #expect(String(decoding: meta.json, as: UTF8.self) == BlockVectors.meta)
    }

    @Test("all fields survive")
    func allFields() throws {
        var meta = BlockMeta(ulid: ULID(high: 1, low: 2), minTimeMs: .min, maxTimeMs: .max)
        meta.statistics.samples = .max
        meta.statistics.floatSamples = 2
        meta.statistics.histogramSamples = 3
        meta.statistics.series = 4
        meta.statistics.chunks = 5
        meta.statistics.tombstones = 6
        meta.compaction.isDeletable = true
        meta.compaction.hasFailed = true
        meta.compaction.hints = [BlockMeta.Compaction.fromOutOfOrder, "a \"<quoted>\"\n"]
        #expect(try BlockMeta(json: meta.json) == meta)
    }

    @Test("unknown fields and null are ignored")
    func unknown() throws {
        let meta = try BlockMeta(
            json: Array(
                #"{"thanos":{"x":[1,{}]},"ulid":"00000000000000000000000000","stats":null,"minTime":-1,"version":1}"#.utf8))
        #expect(meta.minTimeMs == -1)
        #expect(meta.statistics == BlockMeta.Statistics())
    }

    @Test(
        "errors are in Go's words",
        arguments: [
            ("", "unexpected end of JSON input"),
            ("{\n\t\"ulid\": \"01M8", "unexpected end of JSON input"),
            ("{\"version\":2}", "unexpected meta file version 2"),
            ("{}", "unexpected meta file version 0"),
            ("{,}", "invalid character ',' looking for beginning of object key string"),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            ("{\"a\":1 2}", "invalid character '2' after object key:value pair"),
            ("[1 2]", "invalid character '2' after array element"),
            ("{} x", "invalid character 'x' after top-level value"),
            ("nul", "unexpected end of JSON input"),
            ("nulx", "invalid character 'x' in literal null (expecting 'l')"),
            ("{\"ulid\":\"x\",\"version\":1}", "ulid: bad data size when unmarshaling"),
            ("\u{1}", "invalid character '\\x01' looking for beginning of value"),
            ("-x", "invalid character 'x' in numeric literal"),
            ("1.", "unexpected end of JSON input"),
            ("01", "invalid character '1' after top-level value"),
            ("\"\n\"", "invalid character '\\n' in string literal"),
        ])
    func errors(_ text: String, _ expected: String) {
        do throws(JSONError) {
            _ = try BlockMeta(json: Array(text.utf8))
            Issue.record("\(text) was read")
        } catch {
            #expect(error.description == expected)
        }
    }

    @Test("strings and depth of JSON")
    func json() throws {
        let value = try JSONReader.read(
            Array(#" {"a": ["\u00e9\ud83d\ude00\ud800x\n\"", 1.5e-3, true, null, -9223372036854775808]} "#.utf8))
        #expect(
            value["a"]
                == .array([
                    .string("é😀\u{FFFD}x\n\""), .number(Array("1.5e-3".utf8)), .bool(true), .null,
                    .number(Array("-9223372036854775808".utf8)),
                ]))
        #expect(throws: JSONError.self) { try JSONReader.read(Array(repeating: UInt8(ascii: "["), count: 100_000)) }
    }
}

@Suite("ULID") struct ULIDTests {
    @Test("text and bits")
    func text() {
        let ulid = ULID("01M83RVVJG80V2V806Q3Y2ME22")
        #expect(ulid?.description == "01M83RVVJG80V2V806Q3Y2ME22")
        #expect(ULID("01m83rvvjg80v2v806q3y2me22") == ulid)
        // Of the specification: the largest, and what is beyond it.
        #expect(ULID("7ZZZZZZZZZZZZZZZZZZZZZZZZZ") == ULID(high: .max, low: .max))
        #expect(ULID("80000000000000000000000000") == nil)
        #expect(ULID("01M83RVVJG80V2V806Q3Y2ME2") == nil)
        #expect(ULID("01M83RVVJG80V2V806Q3Y2ME2U") == nil)
        #expect(ULID("01M83RVVJG80V2V806Q3Y2ME222") == nil)
    }

    @Test("names only grow, within a millisecond and when the clock goes back")
    func monotonic() {
        var generator = ULIDGenerator(random: Generator(seed: 3))
        var last = generator.next(timeMs: 1_700_000_000_000)
        #expect(last.timeMs == 1_700_000_000_000)
        for time: Int64 in [1_700_000_000_000, 1_700_000_000_000, 1_600_000_000_000, 1_700_000_000_001, 1_700_000_000_005] {
            let next = generator.next(timeMs: time)
            #expect(next > last)
            #expect(next.description > last.description)
            last = next
        }
    }
}
