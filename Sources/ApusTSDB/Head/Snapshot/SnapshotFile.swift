import ApusBytes

/// Why a snapshot cannot be used: the head is replayed from its log then, and nothing is lost but time.
public struct SnapshotError: Error, Sendable, Equatable, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }
}

/// Writes the body of a snapshot, with its checksum, in large pieces.
///
///     │ "APUSHEAD" │ version, u32 │ 0, u32 │ body bytes, u64 │ CRC-32C of the body, u32 │ CRC-32C of these, u32 │ body
///
/// Numbers are as this machine has them in memory: the file is for the machine that wrote it, and another one finds
/// another version.
@safe final class SnapshotWriter {
    static let magic: UInt64 = 0x4441_4548_5355_5041
    static let version: UInt32 = 2
    static let headerBytes = 32
    private static let bufferBytes = 1 << 22

    private let file: any File
    private let buffer = UnsafeMutableRawPointer.allocate(byteCount: SnapshotWriter.bufferBytes, alignment: 16)
    private var used = 0
    private var written = 0
    private var checksum: UInt32 = 0

    init(_ file: any File) { self.file = file }

    deinit { unsafe buffer.deallocate() }

    func raw(_ bytes: UnsafeRawBufferPointer) throws(FileError) {
        guard let source = bytes.baseAddress, bytes.count > 0 else { return }
        if bytes.count > Self.bufferBytes - used { try flush() }
        if bytes.count > Self.bufferBytes {
            try unsafe put(bytes)
            return
        }
        // SAFETY: there is room, as was just seen to.
        unsafe (buffer + used).copyMemory(from: source, byteCount: bytes.count)
        used += bytes.count
    }

    func value<T: BitwiseCopyable>(_ value: T) throws(FileError) {
        if MemoryLayout<T>.size > Self.bufferBytes - used { try flush() }
        unsafe (buffer + used).storeBytes(of: value, as: T.self)
        used += MemoryLayout<T>.size
    }

    func count(_ count: Int) throws(FileError) { try value(UInt64(count)) }

    /// A count and the elements.
    func array<T: BitwiseCopyable>(_ elements: [T]) throws(FileError) {
        try count(elements.count)
        var failure: FileError?
        unsafe elements.withUnsafeBytes { bytes in
            do throws(FileError) { try unsafe raw(bytes) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    func array<T>(_ elements: ReservedArray<T>) throws(FileError) {
        try count(elements.count)
        // SAFETY: the elements below the count are usable memory.
        try unsafe raw(UnsafeRawBufferPointer(start: elements.base, count: elements.count * MemoryLayout<T>.stride))
    }

    private func put(_ bytes: UnsafeRawBufferPointer) throws(FileError) {
        checksum = unsafe crc32c(bytes, initial: checksum)
        try unsafe file.write(bytes, at: Self.headerBytes + written)
        written += bytes.count
    }

    private func flush() throws(FileError) {
        if used == 0 { return }
        try unsafe put(UnsafeRawBufferPointer(start: buffer, count: used))
        used = 0
    }

    /// Writes what is left, and the header.
    func finish() throws(FileError) {
        try flush()
        var header: [UInt8] = []
        func append<T: BitwiseCopyable>(_ value: T) {
            // SAFETY: the copy on the stack is read during the closure only.
            unsafe withUnsafeBytes(of: value) { unsafe header.append(contentsOf: $0) }
        }
        append(Self.magic)
        append(Self.version)
        append(UInt32(0))
        append(UInt64(written))
        append(checksum)
        append(header.span.crc32c)
        try file.write(header, at: 0)
    }
}

/// Reads the body of a snapshot that was found whole. Nothing is read beyond its end, whatever it says.
@safe struct SnapshotReader {
    private let bytes: UnsafeRawBufferPointer
    private var offset = SnapshotWriter.headerBytes

    /// Checks the header and the checksum of all.
    init(_ mapping: any FileMapping) throws(SnapshotError) {
        // SAFETY: who makes a reader keeps the mapping.
        unsafe bytes = mapping.bytes
        guard unsafe bytes.count >= SnapshotWriter.headerBytes, unsafe bytes.loadUnaligned(as: UInt64.self) == SnapshotWriter.magic else {
            throw SnapshotError("it is not a snapshot, or was not finished")
        }
        let version = unsafe bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self)
        guard version == SnapshotWriter.version else { throw SnapshotError("its version is \(version), and only \(SnapshotWriter.version) is known") }
        let size = unsafe bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
        let body = unsafe UnsafeRawBufferPointer(rebasing: bytes[SnapshotWriter.headerBytes...])
        guard size == UInt64(body.count) else { throw SnapshotError("it should have \(size) bytes and has \(body.count)") }
        let header = unsafe crc32c(UnsafeRawBufferPointer(rebasing: bytes[..<28]))
        guard unsafe header == bytes.loadUnaligned(fromByteOffset: 28, as: UInt32.self),
            unsafe crc32c(body) == bytes.loadUnaligned(fromByteOffset: 24, as: UInt32.self)
        else { throw SnapshotError("its checksum does not agree with its contents") }
    }

    var isAtEnd: Bool { unsafe offset == bytes.count }

    @inline(__always)
    mutating func raw(_ count: Int) throws(SnapshotError) -> UnsafeRawBufferPointer {
        guard unsafe count >= 0 && count <= bytes.count &- offset else { throw SnapshotError("it ends too soon") }
        let start = offset
        offset &+= count
        return unsafe UnsafeRawBufferPointer(rebasing: bytes[start..<offset])
    }

    @inline(__always)
    mutating func value<T: BitwiseCopyable>(_ type: T.Type) throws(SnapshotError) -> T {
        unsafe try raw(MemoryLayout<T>.size).loadUnaligned(as: T.self)
    }

    /// A count of elements that take `elementBytes` or more each, all of which are there.
    mutating func count(elementBytes: Int) throws(SnapshotError) -> Int {
        let count = try value(UInt64.self)
        guard unsafe count <= UInt64((bytes.count - offset) / max(1, elementBytes)) else { throw SnapshotError("it ends too soon") }
        return Int(count)
    }

    mutating func array<T: BitwiseCopyable>(_ type: T.Type) throws(SnapshotError) -> [T] {
        let count = try count(elementBytes: MemoryLayout<T>.stride)
        let source = try unsafe raw(count * MemoryLayout<T>.stride)
        return unsafe [T](unsafeUninitializedCapacity: count) { buffer, filled in
            // SAFETY: both have room for `count` elements.
            if let target = UnsafeMutableRawPointer(buffer.baseAddress), let start = source.baseAddress {
                unsafe target.copyMemory(from: start, byteCount: source.count)
            }
            filled = count
        }
    }

    /// Fills an empty array.
    mutating func fill<T>(_ array: ReservedArray<T>) throws(SnapshotError) {
        let count = try count(elementBytes: MemoryLayout<T>.stride)
        let source = try unsafe raw(count * MemoryLayout<T>.stride)
        guard array.count == 0, array.extend(by: count) != nil else { throw SnapshotError("it needs more address space than there is") }
        // SAFETY: the array was extended by `count` elements.
        if let start = source.baseAddress { unsafe UnsafeMutableRawPointer(array.base).copyMemory(from: start, byteCount: source.count) }
    }
}
