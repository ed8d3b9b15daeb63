import ApusBytes
import Testing

@Suite("Byte reader") struct ByteReaderTests {
    private func reading(_ bytes: [UInt8], _ body: (inout ByteReader) throws -> Void) throws {
        try unsafe bytes.withUnsafeBytes { buffer in
            var reader = unsafe ByteReader(buffer)
            try body(&reader)
        }
    }

    @Test("fixed integers are big endian")
    func fixed() throws {
        let bytes: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0x3F, 0xF0, 0, 0, 0, 0, 0, 0]
        try reading(bytes) { reader in
            let v1 = try reader.u8()
            #expect(v1 == 1)
            let v2 = try reader.u16()
            #expect(v2 == 0x0203)
            let v3 = try reader.u32()
            #expect(v3 == 0x0405_0607)
            let v4 = try reader.u64()
            #expect(v4 == 0x0809_0A0B_0C0D_0E0F)
            let v5 = try reader.f64()
            #expect(v5 == 1)
            #expect(reader.isAtEnd && reader.offset == bytes.count)
            #expect(throws: ByteReaderError(.truncated, offset: bytes.count)) { try reader.u8() }
        }
    }

    @Test("what was written as varint is read as that", arguments: [0, 1, -1, 63, 64, -64, -65, 300, .max, .min] as [Int64])
    func varints(value: Int64) throws {
        var bytes: [UInt8] = []
        bytes.appendVarint(value)
        bytes.appendUvarint(UInt64(bitPattern: value))
        try reading(bytes) { reader in
            let v6 = try reader.varint()
            #expect(v6 == value)
            let v7 = try reader.uvarint()
            #expect(v7 == UInt64(bitPattern: value))
            #expect(reader.isAtEnd)
        }
        for end in 0..<bytes.count {
            try reading(Array(bytes[..<end])) { reader in
                #expect(throws: ByteReaderError.self) {
                    _ = try reader.varint()
                    _ = try reader.uvarint()
                }
                #expect(reader.remaining >= 0)
            }
        }
    }

    @Test("a varint of more than 64 bits is refused")
    func overlong() throws {
        let tenth = [UInt8](repeating: 0xFF, count: 9)
        try reading(tenth + [2]) { reader in
            #expect(throws: ByteReaderError(.varintOverflow, offset: 0)) { try reader.uvarint() }
        }
        try reading(tenth + [1]) { reader in #expect((try? reader.uvarint()) == .max) }
        try reading(tenth + [0x81, 0]) { reader in
            #expect(throws: ByteReaderError(.varintOverflow, offset: 0)) { try reader.uvarint() }
        }
    }

    @Test("a length never reaches beyond the bytes, and a failed read does not move")
    func lengths() throws {
        try reading([2, 65, 66, 5, 65, 66]) { reader in
            let v8 = try reader.uvarintByteString()
            #expect(v8 == "AB")
            #expect(throws: ByteReaderError(.length(5), offset: 3)) { try reader.uvarintByteString() }
            #expect(reader.offset == 3)
            try reader.seek(to: 0)
            let v9 = try reader.uvarintRange()
            #expect(v9 == 1..<3)
            #expect(throws: ByteReaderError.self) { try reader.skip(4) }
            #expect(throws: ByteReaderError.self) { try reader.skip(-1) }
            #expect(throws: ByteReaderError.self) { try reader.seek(to: 7) }
            try reader.seek(to: 6)
            #expect(reader.isAtEnd)
        }
        try reading([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1]) { reader in
            #expect(throws: ByteReaderError(.length(.max), offset: 0)) { try reader.uvarintByteString() }
        }
        try reading([]) { reader in
            #expect(throws: ByteReaderError(.truncated, offset: 0)) { try reader.uvarint() }
            #expect(throws: ByteReaderError(.truncated, offset: 0)) { try reader.u64() }
        }
    }
}
