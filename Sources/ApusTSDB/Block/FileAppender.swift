import ApusBytes

/// A new file, written from front to back in large pieces. For one thread.
final class FileAppender {
    /// Bytes held back until there are as many.
    static let bufferBytes = 1 << 20

    let path: String
    private let file: any File
    private var buffer: [UInt8] = []
    private var flushed = 0

    init(path: String, files: some FileSystem) throws(BlockError) {
        self.path = path
        file = try withFiles { () throws(FileError) in try files.open(path, .create) }
        buffer.reserveCapacity(Self.bufferBytes + 4096)
    }

    /// Bytes written so far, those held back included.
    var position: Int { flushed + buffer.count }

    func append(_ bytes: [UInt8]) throws(BlockError) {
        buffer.append(contentsOf: bytes)
        if buffer.count >= Self.bufferBytes { try flush() }
    }

    func append(_ bytes: UnsafeRawBufferPointer) throws(BlockError) {
        unsafe buffer.append(contentsOf: bytes)
        if buffer.count >= Self.bufferBytes { try flush() }
    }

    func append(bigEndian value: UInt32) throws(BlockError) {
        buffer.append(bigEndian: value)
        if buffer.count >= Self.bufferBytes { try flush() }
    }

    /// Zeros up to the next multiple of `alignment`.
    func pad(to alignment: Int) throws(BlockError) {
        let rest = position % alignment
        if rest > 0 { try append([UInt8](repeating: 0, count: alignment - rest)) }
    }

    func flush() throws(BlockError) {
        if buffer.isEmpty { return }
        try withFiles { () throws(FileError) in try file.write(buffer, at: flushed) }
        flushed += buffer.count
        buffer.removeAll(keepingCapacity: true)
    }

    /// Writes over what was written before.
    func patch(_ bytes: [UInt8], at offset: Int) throws(BlockError) {
        try flush()
        try withFiles { () throws(FileError) in try file.write(bytes, at: offset) }
    }

    /// All on the disk, and closed.
    func finish() throws(BlockError) {
        defer { close() }
        try flush()
        try withFiles { () throws(FileError) in try file.sync() }
    }

    func close() { file.close() }
}

extension Array where Element == UInt8 {
    mutating func append(bigEndian value: UInt32) {
        for shift: UInt32 in [24, 16, 8, 0] { append(UInt8(truncatingIfNeeded: value >> shift)) }
    }
    mutating func append(bigEndian value: UInt64) {
        append(bigEndian: UInt32(truncatingIfNeeded: value >> 32))
        append(bigEndian: UInt32(truncatingIfNeeded: value))
    }
}
