import Testing

@testable import ApusScrape

@Suite struct InflateTests {
    /// `a 1\n`, packed.
    static let member: [UInt8] = [
        31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 75, 84, 48, 228, 2, 0, 54, 231, 27, 188, 4, 0, 0, 0,
    ]

    private func gunzip(_ bytes: [UInt8], limit: Int = 1000) throws(InflateError) -> [UInt8] {
        let body = BodyBuffer()
        for byte in bytes { _ = body.append(byte) }
        let output = BodyBuffer()
        try Inflater().gunzip(body, into: output, limit: limit)
        return output.withSpan { span in (0..<span.count).map { span[$0] } }
    }

    @Test func membersFollowEachOther() throws {
        #expect(try gunzip(Self.member) == Array("a 1\n".utf8))
        #expect(try gunzip(Self.member + Self.member + Self.member) == Array("a 1\na 1\na 1\n".utf8))
    }

    @Test func limitsAndDamage() {
        #expect(throws: InflateError.tooLarge) { try gunzip(Self.member + Self.member, limit: 7) }
        #expect(throws: InflateError.corrupt) { try gunzip(Self.member.dropLast(4) + [9, 0, 0, 0]) }
        #expect(throws: InflateError.corrupt) { try gunzip(Self.member + Array("trailing garbage, long".utf8)) }
        #expect(throws: InflateError.notGzip) { try gunzip(Array("a 1\n".utf8)) }
        #expect(throws: InflateError.notGzip) { try gunzip([]) }
        for length in [1, 2, 10, 17] {
            #expect(throws: InflateError.truncated) { try gunzip(Array(Self.member.prefix(length))) }
        }
    }

    @Test func noBytesTrap() {
        for index in Self.member.indices {
            for bit in 0..<8 {
                var bytes = Self.member
                bytes[index] ^= 1 << bit
                _ = try? gunzip(bytes)
            }
        }
    }
}
