import ApusBytes
import ApusModel
import ApusPromQL
import Testing

@testable import ApusServer

@Suite("JSON writer") struct JSONWriterTests {
    @Test("puts commas between members and elements, and nowhere else")
    func commas() {
        var json = JSONWriter()
        json.object { json in
            json.key("empty")
            json.array { _ in }
            json.key("numbers")
            json.array { json in
                for value in [1, -2, 3] { json.integer(value) }
            }
            json.key("nested")
            json.object { json in
                json.key("yes")
                json.boolean(true)
                json.key("no")
                json.null()
            }
            json.key("texts")
            json.strings(["a", "b"])
        }
        #expect(json.text == #"{"empty":[],"numbers":[1,-2,3],"nested":{"yes":true,"no":null},"texts":["a","b"]}"#)
    }

    @Test(
        "escapes what JSON does not allow in a string",
        arguments: [
            ([0x61, 0x22, 0x5C], #""a\"\\""#),
            ([0x0A, 0x0D, 0x09, 0x01, 0x1F, 0x7F], "\"\\n\\r\\t\\u0001\\u001f\u{7F}\""),
            (Array("<é&😀>".utf8), "\"<é&😀>\""),
            ([0x61, 0xFF, 0x62], "\"a\u{FFFD}b\""),
            ([0xC3], "\"\u{FFFD}\""),
            ([], "\"\""),
        ] as [([UInt8], String)])
    func strings(bytes: [UInt8], expected: String) {
        var json = JSONWriter()
        json.string(bytes.span)
        #expect(json.text == expected)
    }

    @Test("writes null for numbers that JSON has not")
    func notANumber() {
        var json = JSONWriter()
        json.array { json in
            for value in [0.5, .nan, .infinity] { json.number(value) }
        }
        #expect(json.text == "[0.5,null,null]")
    }
}

@Suite("Query results in JSON") struct ResultWriterTests {
    @Test("samples print as in Prometheus's API, times with three decimals or none")
    func matrix() {
        let series = MatrixSeries(
            labels: ["__name__": "up", "job": "a\"b"],
            timestampsMs: [1_700_000_000_000, 1_700_000_000_100, -1_500, 4_000],
            values: [1, 0.1, .nan, -.infinity])
        #expect(
            data(.matrix([series]))
                == #"{"resultType":"matrix","result":[{"metric":{"__name__":"up","job":"a\"b"},"values":[[1700000000,"1"],[1700000000.100,"0.1"],[-1.500,"NaN"],[4,"-Inf"]]}]}"#)
    }

    @Test(
        "a tiny or huge sample has an exponent, a scalar never",
        arguments: [
            (1e-7, "1e-07", "0.0000001"), (1e21, "1e+21", "1000000000000000000000"), (0.1 + 0.2, "0.30000000000000004", "0.30000000000000004"),
            (1e20, "100000000000000000000", "100000000000000000000"), (-0.0, "-0", "-0"),
        ])
    func numbers(value: Double, sample: String, scalar: String) {
        let vector = QueryValue.vector([VectorSample(labels: .empty, timestampMs: 1000, value: value)])
        #expect(data(vector) == #"{"resultType":"vector","result":[{"metric":{},"value":[1,"\#(sample)"]}]}"#)
        #expect(data(.scalar(timestampMs: 1000, value: value)) == #"{"resultType":"scalar","result":[1,"\#(scalar)"]}"#)
    }

    @Test("strings and empty results")
    func others() {
        #expect(data(.string(timestampMs: 1500, "a\nb")) == #"{"resultType":"string","result":[1.500,"a\nb"]}"#)
        #expect(data(.vector([])) == #"{"resultType":"vector","result":[]}"#)
        #expect(data(.matrix([])) == #"{"resultType":"matrix","result":[]}"#)
    }

    private func data(_ value: QueryValue) -> String {
        var json = JSONWriter()
        json.object { $0.members(of: value) }
        return json.text
    }
}

extension JSONWriter {
    var text: String { String(decoding: bytes, as: UTF8.self) }
}
