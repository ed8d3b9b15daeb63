import ApusBytes
import Testing

/// The disk that the crash tests believe in must itself be believable.
@Suite("Simulated disk") struct SimulatedDiskTests {
    private var generator = Generator(seed: 7)

    private func bytes(_ disk: SimulatedDisk, _ path: String) throws -> [UInt8]? { try disk.exists(path) ? try disk.read(path) : nil }

    @Test("what was synced survives, with its name once the directory was synced")
    mutating func durability() throws {
        let disk = SimulatedDisk()
        try disk.createDirectory("d")
        try disk.syncDirectory(".")
        let file = try disk.open("d/a", .create)
        try file.write([1, 2, 3, 4], at: 0)
        try file.sync()
        #expect(try disk.afterPowerCut(using: &generator).exists("d/a") == false, "the name was not synced")
        try disk.syncDirectory("d")
        try file.write([9, 9], at: 4)
        var lengths: Set<Int> = []
        for _ in 0..<50 {
            let content = try bytes(disk.afterPowerCut(using: &generator), "d/a") ?? []
            #expect(content.starts(with: [1, 2, 3, 4]) && [1, 2, 3, 4, 9, 9].starts(with: content))
            lengths.insert(content.count)
        }
        #expect(lengths == [4, 5, 6], "unsynced bytes come back whole, in part and not at all")
        #expect(try bytes(disk.afterKill(), "d/a") == [1, 2, 3, 4, 9, 9])
    }

    @Test("a rename is durable when its directory was synced")
    mutating func rename() throws {
        let disk = SimulatedDisk()
        try disk.createDirectory("d.tmp")
        let file = try disk.open("d.tmp/a", .create)
        try file.write([1], at: 0)
        try file.sync()
        try disk.syncDirectory("d.tmp")
        try disk.syncDirectory(".")
        try disk.rename("d.tmp", to: "d")
        #expect(try bytes(disk.afterPowerCut(using: &generator), "d.tmp/a") == [1])
        try disk.syncDirectory(".")
        let after = disk.afterPowerCut(using: &generator)
        #expect(try bytes(after, "d/a") == [1])
        #expect(try !after.exists("d.tmp"))
    }

    @Test("a directory that was made durably is there after a power cut, with its parents")
    mutating func directories() throws {
        let disk = SimulatedDisk()
        try disk.createDurableDirectory("a/b/c")
        #expect(try disk.afterPowerCut(using: &generator).status("a/b/c")?.isDirectory == true)
        try disk.createDirectory("d")
        #expect(try disk.afterPowerCut(using: &generator).status("d") == nil)
    }

    @Test("faults come at the call they are meant for")
    mutating func faults() throws {
        let disk = SimulatedDisk()
        let file = try disk.open("a", .create)
        disk.fault = .failure(atChange: 2, code: 5)
        try file.write([1], at: 0)
        #expect(throws: FileError.self) { try file.write([2], at: 1) }
        try file.write([3], at: 1)
        #expect(try bytes(disk, "a") == [1, 3])
        disk.fault = .powerCut(atChange: disk.changes)
        #expect(throws: FileError.self) { try file.write([4, 5, 6, 7], at: 2) }
        #expect(throws: FileError.self) { try disk.read("a") }
        #expect(try bytes(disk.afterKill(), "a") == [1, 3, 4, 5])
        let full = SimulatedDisk()
        full.fault = .full
        #expect(throws: FileError.self) { try full.createDirectory("x") }
        try full.removeFile("x")
    }

    @Test("a mapping of a growing file sees what is appended")
    mutating func mapping() throws {
        let disk = SimulatedDisk()
        let file = try disk.open("a", .create)
        let mapping = try disk.mapGrowing("a", maximum: 1 << 20)
        try file.write([7, 8], at: 100)
        #expect(unsafe mapping.bytes[101] == 8 && mapping.bytes[0] == 0)
    }
}
