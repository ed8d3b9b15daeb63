import ApusBytes
import Testing

@Suite("Raw bytes") struct RawBytesTests {
    /// Goal: the eight bytes at a time of the quick start hide no fault, wherever it stands.
    @Test("UTF-8 is judged as the standard library does", arguments: 0..<20) func validUTF8(_ length: Int) {
        let faults: [[UInt8]] = [
            [], [0xFF], [0xC3], [0xC3, 0xA9], [0xC0, 0x80], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xF0, 0x9F, 0x98, 0x80], [0xF4, 0x90, 0x80, 0x80],
            [0x80], [0xE6, 0x97],
        ]
        for fault in faults {
            for at in 0...length {
                var bytes = [UInt8](repeating: UInt8(ascii: "x"), count: length)
                bytes.insert(contentsOf: fault, at: at)
                #expect(isValidUTF8(bytes.span) == (String(validating: bytes, as: UTF8.self) != nil), "\(bytes)")
            }
        }
    }

    @Test("the first index of a byte, or the count") func firstIndex() {
        let bytes = Array("abcab".utf8)
        #expect(ApusBytes.firstIndex(of: UInt8(ascii: "a"), in: bytes.span, from: 0) == 0)
        #expect(ApusBytes.firstIndex(of: UInt8(ascii: "a"), in: bytes.span, from: 1) == 3)
        #expect(ApusBytes.firstIndex(of: UInt8(ascii: "c"), in: bytes.span, from: 3) == 5)
        #expect(ApusBytes.firstIndex(of: UInt8(ascii: "c"), in: bytes.span, from: 9) == 5)
        #expect(ApusBytes.firstIndex(of: 0, in: [UInt8]().span, from: 0) == 0)
    }
}
