import ApusBytes
import Foundation
import Testing

@Suite("Files of this machine") struct PosixFileSystemTests {
    private let files = PosixFileSystem()
    private let root: String

    init() throws {
        root = FileManager.default.temporaryDirectory.appendingPathComponent("apus-files-\(UUID().uuidString)").path
        try files.createDirectory(root)
    }

    private func path(_ name: String) -> String { joinPath(root, name) }
    private func cleanUp() { try? files.removeTree(root) }

    private func read(_ file: any File, _ count: Int, at offset: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0xEE, count: count)
        let filled = try unsafe bytes.withUnsafeMutableBytes { try unsafe file.read(into: $0, at: offset) }
        return Array(bytes[..<filled])
    }

    @Test("what is written is read, by position, over the end, after shortening")
    func readWrite() throws {
        defer { cleanUp() }
        let file = try files.open(path("a"), .create)
        try file.write([1, 2, 3, 4], at: 0)
        try file.write([9], at: 6)
        #expect(try file.size() == 7)
        #expect(try read(file, 100, at: 2) == [3, 4, 0, 0, 9])
        #expect(try read(file, 4, at: 7) == [])
        #expect(try read(file, 4, at: 70) == [])
        try file.truncate(to: 2)
        try file.truncate(to: 3)
        try file.sync()
        #expect(try files.read(path("a")) == [1, 2, 0])
        // Another handle, for reading only.
        let reader = try files.open(path("a"), .read)
        #expect(try read(reader, 2, at: 0) == [1, 2])
        #expect(throws: FileError.self) { try reader.write([1], at: 0) }
        let again = try files.open(path("a"), .update)
        try again.write([7], at: 1)
        #expect(try read(reader, 2, at: 0) == [1, 7])
        _ = try files.open(path("a"), .create)
        #expect(try reader.size() == 0)
        file.close()
        file.close()
        #expect(throws: FileError("stat", path("a"), code: EBADF)) { try file.size() }
    }

    @Test("a file of a gigabyte is not read into memory by mistake")
    func limit() throws {
        defer { cleanUp() }
        let file = try files.open(path("a"), .create)
        try file.truncate(to: 1 << 30)
        #expect(throws: FileError("read", path("a"), code: EFBIG)) { try files.read(path("a"), limit: 1000) }
    }

    @Test("a mapping shows the file; one that may grow shows what is appended; an empty one is empty")
    func maps() throws {
        defer { cleanUp() }
        let file = try files.open(path("a"), .create)
        #expect(try files.map(path("a")).sizeBytes == 0)
        try file.write([1, 2, 3], at: 0)
        let mapping = try files.map(path("a"))
        #expect(unsafe Array(mapping.bytes) == [1, 2, 3])
        let growing = try files.mapGrowing(path("a"), maximum: 1 << 20)
        try file.write([4], at: 3)
        #expect(unsafe Array(growing.bytes[..<4]) == [1, 2, 3, 4])
        file.close()
        try files.removeFile(path("a"))
        #expect(unsafe Array(mapping.bytes) == [1, 2, 3])
    }

    @Test("directories: made with their parents, listed in byte order, removed with all in them")
    func directories() throws {
        defer { cleanUp() }
        try files.createDirectory(path("x/y/z"))
        try files.createDirectory(path("x/y/z"))
        for name in ["b", "é", "B", "10", "9"] { try files.replace(path("x/" + name), with: [1]) }
        #expect(try files.list(path("x")).map(\.name) == ["10", "9", "B", "b", "y", "é"])
        #expect(try files.list(path("x")).map(\.isDirectory) == [false, false, false, false, true, false])
        #expect(try files.status(path("x"))?.isDirectory == true)
        #expect(try files.treeSize(path("x")) == 5)
        try files.createDirectory(path("outside"))
        try files.replace(path("outside/keep"), with: [1])
        try FileManager.default.createSymbolicLink(atPath: path("x/link"), withDestinationPath: path("outside"))
        #expect(try files.list(path("x")).first { $0.name == "link" }?.isDirectory == true)
        try files.removeTree(path("x"))
        #expect(try files.exists(path("x")) == false)
        // A link is removed, not what it leads to.
        #expect(try files.exists(path("outside/keep")))
        try files.removeTree(path("x"))
        try files.removeFile(path("nothing"))
        #expect(throws: FileError.self) { try files.createDirectory(path("outside/keep")) }
        #expect(throws: FileError.self) { try files.createDirectory(path("outside/keep/below")) }
        try files.syncDirectory(root)
    }

    @Test("renaming replaces; a hard link is the same file, and does not replace")
    func renames() throws {
        defer { cleanUp() }
        try files.replace(path("a"), with: [1])
        try files.replace(path("b"), with: [2])
        try files.rename(path("a"), to: path("b"))
        #expect(try files.read(path("b")) == [1] && files.exists(path("a")) == false)
        try files.hardLink(path("b"), at: path("c"))
        try files.open(path("b"), .update).write([5], at: 0)
        #expect(try files.read(path("c")) == [5])
        #expect(throws: FileError("link", path("b"), code: EEXIST)) { try files.hardLink(path("b"), at: path("c")) }
    }

    @Test("replacing a file leaves no temporary one, and the whole of the new")
    func replaces() throws {
        defer { cleanUp() }
        try files.replace(path("a"), with: [UInt8](repeating: 1, count: 100_000))
        try files.replace(path("a"), with: [2])
        #expect(try files.read(path("a")) == [2])
        #expect(try files.list(root).map(\.name) == ["a"])
    }

    @Test("a lock excludes others until it is released or goes away")
    func locks() throws {
        defer { cleanUp() }
        let lock = try files.lock(path("lock"))
        #expect(throws: FileError("lock", path("lock"), code: EWOULDBLOCK)) { try files.lock(path("lock")) }
        lock.release()
        lock.release()
        do { _ = try files.lock(path("lock")) }
        _ = try files.lock(path("lock"))
    }

    @Test("errors name the call, the path and the system's words")
    func errors() {
        defer { cleanUp() }
        func text(_ body: () throws(FileError) -> Void) -> String? {
            do throws(FileError) { try body() } catch { return error.description }
            return nil
        }
        let gone = path("gone")
        #expect(text { () throws(FileError) in _ = try files.open(gone, .read) } == "open \(gone): no such file or directory")
        #expect(text { () throws(FileError) in _ = try files.open(gone, .update) } == "open \(gone): no such file or directory")
        #expect(text { () throws(FileError) in _ = try files.map(gone) } == "open \(gone): no such file or directory")
        #expect(text { () throws(FileError) in _ = try files.list(gone) } == "open \(gone): no such file or directory")
        #expect(text { () throws(FileError) in try files.rename(gone, to: gone + "2") } == "rename \(gone): no such file or directory")
        #expect(text { () throws(FileError) in _ = try files.open(root, .create) } == "open \(root): is a directory")
        #expect((try? files.status(gone)) == .some(nil) && (try? files.status(gone + "/below")) == .some(nil))
        #expect(errorText(ENOSPC) == "no space left on device")
    }

    @Test("the disk has a size")
    func space() throws {
        defer { cleanUp() }
        let space = try files.space(root)
        #expect(space.totalBytes > 0 && space.freeBytes >= 0 && space.freeBytes <= space.totalBytes)
    }

    @Test("paths are joined with one slash, and have parents")
    func paths() {
        #expect(joinPath("a", "b") == "a/b" && joinPath("a/", "b") == "a/b" && joinPath("", "b") == "b")
        #expect(parentPath("a/b") == "a" && parentPath("a") == "." && parentPath("/a") == "/" && parentPath("/") == "/")
    }

    @Test("CRC-32C by hardware is that of the RFC, and of what came before")
    func checksums() {
        func checksum(_ bytes: [UInt8]) -> UInt32 { bytes.span.crc32c }
        #expect(checksum([]) == 0)
        #expect(checksum(Array("123456789".utf8)) == 0xE306_9283)
        #expect(checksum([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
        #expect(checksum([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
        let bytes = (0..<100).map { UInt8($0) }
        for split in 0...100 {
            let parts = unsafe bytes.withUnsafeBytes { buffer in
                unsafe crc32c(.init(rebasing: buffer[split...]), initial: crc32c(.init(rebasing: buffer[..<split])))
            }
            #expect(parts == checksum(bytes))
        }
    }
}
