import HTTPTypes
import Testing

@testable import ApusServer

@Suite("Compression") struct CompressionTests {
    @Test(
        "takes the first coding that it knows and that is not refused",
        arguments: [
            ("gzip", .gzip), ("deflate, gzip", .deflate), ("br, GZIP;q=1.0", .gzip), ("gzip;q=0, deflate", .deflate),
            ("gzip; q=0", nil), ("br", nil), ("", nil), (nil, nil), ("identity", nil),
        ] as [(String?, ContentCoding?)])
    func negotiation(header: String?, expected: ContentCoding?) { #expect(ContentCoding(accepted: header) == expected) }

    @Test("writes gzip and zlib streams") func formats() throws {
        let body = [UInt8](repeating: 0x61, count: 10_000)
        let gzip = try #require(ContentCoding.gzip.compressed(body))
        #expect(gzip.prefix(3) == [0x1F, 0x8B, 8] && gzip.count < 200)
        // The last four bytes of a gzip stream are the length of what it holds, least significant first.
        #expect(Array(gzip.suffix(4)) == [0x10, 0x27, 0, 0])
        let deflate = try #require(ContentCoding.deflate.compressed(body))
        #expect(deflate.first == 0x78 && deflate.count < 200)
        #expect(ContentCoding.gzip.compressed([]) != nil)
    }

    @Test("leaves short bodies alone") func short() {
        let request = ServerRequest(method: .get, target: "/", headers: [.acceptEncoding: "gzip"])
        var short = ServerResponse(status: .ok, body: [UInt8](repeating: 0x61, count: ContentCoding.minimumBytes - 1))
        short.compress(for: request)
        #expect(short.headers[.contentEncoding] == nil)
        var long = ServerResponse(status: .ok, headers: [.vary: "Origin"], body: [UInt8](repeating: 0x61, count: ContentCoding.minimumBytes))
        long.compress(for: request)
        #expect(long.headers[.contentEncoding] == "gzip" && long.headers[.vary] == "Origin, Accept-Encoding")
    }
}
