import ApusBytes
import Testing

@Suite("Byte reader") struct ByteReaderTests {
    @discardableResult private func reading<R>(_ bytes: [UInt8], _ body: (inout ByteReader) throws -> R) rethrows -> R {
        try unsafe bytes.withUnsafeBytes { buffer in
            var reader = unsafe ByteReader(buffer)
            return try body(&reader)
        }
    }

    @Test("fixed integers are big endian")
    func fixed() throws {
        let bytes: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0x3F, 0xF0, 0, 0, 0, 0, 0, 0]
        try reading(bytes) { reader in
            #expect(try reader.u8() == 1)
            #expect(try reader.u16() == 0x0203)
            #expect(try reader.u32() == 0x0405_0607)
            #expect(try reader.u64() == 0x0809_0A0B_0C0D_0E0F)
            #expect(try reader.f64() == 1)
            #expect(reader.isAtEnd && reader.offset == bytes.count)
            #expect(throws: ByteReaderError(.truncated, offset: bytes.count)) { try reader.u8() }
        }
    }

    @Test("what was written as varint is read as that", arguments: [0, 1, -1, 63, 64, -64, -65, 300, .max, .min] as [Int64])
    func varints(value: Int64) throws {
        var bytes: [UInt8] = []
        bytes.appendVarint(value)
        bytes.appendUvarint(UInt64(bitPattern: value))
        reading(bytes) { reader in
            #expect(try reader.varint() == value)
            #expect(try reader.uvarint() == UInt64(bitPattern: value))
            #expect(reader.isAtEnd)
        }
        for end in 0..<bytes.count {
            reading(Array(bytes[..<end])) { reader in
                #expect(throws: ByteReaderError.self) {
                    _ = try reader.varint()
                    _ = try reader.uvarint()
                }
                #expect(reader.remaining >= 0)
            }
        }
    }

    @Test("a varint of more than 64 bits is refused")
    func overlong() {
        let tenth = [UInt8](repeating: 0xFF, count: 9)
        reading(tenth + [2]) { reader in
            #expect(throws: ByteReaderError(.varintOverflow, offset: 0)) { try reader.uvarint() }
        }
        reading(tenth + [1]) { reader in #expect((try? reader.uvarint()) == .max) }
        reading(tenth + [0x81, 0]) { reader in
            #expect(throws: ByteReaderError(.varintOverflow, offset: 0)) { try reader.uvarint() }
        }
    }

    @Test("a length never reaches beyond the bytes, and a failed read does not move")
    func lengths() throws {
        try reading([2, 65, 66, 5, 65, 66]) { reader in
            #expect(try reader.uvarintByteString() == "AB")
            #expect(throws: ByteReaderError(.length(5), offset: 3)) { try reader.uvarintByteString() }
            #expect(reader.offset == 3)
            try reader.seek(to: 0)
            #expect(try reader.uvarintRange() == 1..<3)
            #expect(throws: ByteReaderError.self) { try reader.skip(4) }
            #expect(throws: ByteReaderError.self) { try reader.skip(-1) }
            #expect(throws: ByteReaderError.self) { try reader.seek(to: 7) }
            try reader.seek(to: 6)
            #expect(reader.isAtEnd)
        }
        reading([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1]) { reader in
            #expect(throws: ByteReaderError(.length(.max), offset: 0)) { try reader.uvarintByteString() }
        }
        reading([]) { reader in
            #expect(throws: ByteReaderError(.truncated, offset: 0)) { try reader.uvarint() }
            #expect(throws: ByteReaderError(.truncated, offset: 0)) { try reader.u64() }
        }
    }
}
