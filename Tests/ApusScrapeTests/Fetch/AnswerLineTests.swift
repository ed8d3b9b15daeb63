import Testing

@testable import ApusScrape

@Suite("Lines of an answer's head") struct AnswerLineTests {
    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\n", AnswerLine.status(200, phrase: "OK")),
        ("HTTP/1.1 404 Not Found\r\n", .status(404, phrase: "Not Found")),
        ("http/2 503 \r\n", .status(503, phrase: "")),
        ("HTTP/1.1  200   All is well\r\n", .status(200, phrase: "  All is well")),
        ("HTTP/1.1 many\r\n", .status(0, phrase: "")),
        ("HTTP/", .status(0, phrase: "")),
        ("Content-Type: text/plain; version=0.0.4\r\n", .contentType("text/plain; version=0.0.4")),
        ("CONTENT-TYPE:text/plain\n", .contentType("text/plain")),
        ("content-type:\r\n", .contentType("")),
        ("content-encoding: \t GZip \r\n", .contentEncoding("gzip")),
        ("Location: http://h/a:b\r\n", .location("http://h/a:b")),
        ("Content-Length: 123\r\n", .contentLength(123)),
        ("Content-Length: -5\r\n", .contentLength(-5)),
        ("Content-Length: 99999999999999999999\r\n", .other),
        ("Content-Length: x\r\n", .other),
        ("Content_Length: 1\r\n", .other),
        ("Date: Mon, 30 Nov 2026 01:00:00 GMT\r\n", .other),
        ("Locatiom: x\r\n", .other),
        ("no colon\r\n", .other),
        (":\r\n", .other),
        ("\r\n", .other),
        ("", .other),
    ])
    func read(line: String, expected: AnswerLine) {
        let bytes = Array(line.utf8)
        #expect(AnswerLine(bytes.span) == expected)
    }

    /// Goal: any bytes are read, and as a reader of text would. Method: lines made of the pieces that matter and of noise.
    @Test func anyLine() {
        let pieces: [[UInt8]] = [
            "HTTP/", "http/1.1", " ", "  ", "\t", "200", "404", "OK", ":", "content-type", "Content-Type", "CONTENT-ENCODING", "content-length",
            "location", "123", "-1", "gzip", "text/plain", "\r\n", "\u{0}", "é",
        ].map { Array($0.utf8) } + [[0xFF], [0xC3]]
        var state: UInt64 = 42
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % UInt64(bound))
        }
        for _ in 0..<20_000 {
            let line = (0..<random(7)).flatMap { _ in pieces[random(pieces.count)] }
            let found = AnswerLine(line.span)
            #expect(found == Self.plain(line), "\(String(decoding: line, as: UTF8.self).debugDescription)")
        }
    }

    private static func plain(_ line: [UInt8]) -> AnswerLine {
        func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
            var rest = bytes
            while let last = rest.last, last <= 0x20 { rest.removeLast() }
            while let first = rest.first, first <= 0x20 { rest.removeFirst() }
            return rest
        }
        let whole = trimmed(line[...])
        let text = String(decoding: whole, as: UTF8.self)
        if text.lowercased().hasPrefix("http/") {
            let fields = text.split(separator: " ", maxSplits: 2)
            return .status(fields.count > 1 ? Int(fields[1]) ?? 0 : 0, phrase: fields.count > 2 ? String(fields[2]) : "")
        }
        guard let colon = whole.firstIndex(of: UInt8(ascii: ":")) else { return .other }
        let value = String(decoding: trimmed(whole[(colon + 1)...]), as: UTF8.self)
        switch String(decoding: whole[..<colon], as: UTF8.self).lowercased() {
        case "content-type": return .contentType(value)
        case "content-encoding": return .contentEncoding(value.lowercased())
        case "location": return .location(value)
        case "content-length": return Int(value).map { .contentLength($0) } ?? .other
        default: return .other
        }
    }
}
