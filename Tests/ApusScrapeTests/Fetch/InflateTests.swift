import Testing

@testable import ApusScrape

@Suite struct InflateTests {
    /// `a 1\n`, packed.
    static let member: [UInt8] = [
        31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 75, 84, 48, 228, 2, 0, 54, 231, 27, 188, 4, 0, 0, 0,
    ]

    /// The same, as a zstd frame.
    static let frame: [UInt8] = [40, 181, 47, 253, 4, 88, 33, 0, 0, 97, 32, 49, 10, 145, 114, 196, 53]

    private func unzstd(_ bytes: [UInt8], limit: Int = 1000) throws(InflateError) -> [UInt8] {
        let body = BodyBuffer()
        for byte in bytes { _ = body.append(byte) }
        let output = BodyBuffer()
        try Inflater().unpack(body, .zstd, into: output, limit: limit)
        return output.withSpan { span in (0..<span.count).map { span[$0] } }
    }

    @Test func zstd() throws {
        #expect(try unzstd(Self.frame + Self.frame) == Array("a 1\na 1\n".utf8))
        #expect(throws: InflateError.tooLarge) { try unzstd(Self.frame + Self.frame, limit: 7) }
        #expect(throws: InflateError.empty) { try unzstd([]) }
        for length in 1..<Self.frame.count { #expect(throws: InflateError.self) { try unzstd(Array(Self.frame.prefix(length))) } }
        for index in Self.frame.indices {
            for bit in 0..<8 {
                var bytes = Self.frame
                bytes[index] ^= 1 << bit
                _ = try? unzstd(bytes)
            }
        }
    }

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
        #expect(throws: InflateError.wrongChecksum) { try gunzip(Self.member.dropLast(4) + [9, 0, 0, 0]) }
        #expect(throws: InflateError.wrongChecksum) { try gunzip(Self.member.dropLast(8) + [1, 2, 3, 4, 4, 0, 0, 0]) }
        #expect(throws: InflateError.notGzip) { try gunzip(Self.member + Array("trailing garbage, long".utf8)) }
        #expect(throws: InflateError.truncated) { try gunzip(Self.member + [31, 139, 8]) }
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
