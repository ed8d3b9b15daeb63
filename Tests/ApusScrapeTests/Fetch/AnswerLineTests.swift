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
}
