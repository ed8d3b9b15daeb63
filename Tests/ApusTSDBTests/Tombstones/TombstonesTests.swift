import ApusBytes
import Testing

@testable import ApusTSDB

@Suite("Tombstones") struct TombstonesTests {
    @Test("reads what Prometheus wrote, and writes what reads the same", arguments: BlockVectors.tombstones.indices)
    func golden(_ index: Int) throws {
        let (bytes, entries) = BlockVectors.tombstones[index]
        var tombstones = try Tombstones(encoded: bytes)
        #expect(tombstones.count == entries.count)
        for entry in entries {
            #expect(tombstones[entry.series] == [DeletedInterval(minTimeMs: entry.minTimeMs, maxTimeMs: entry.maxTimeMs)])
        }
        #expect(tombstones.encoded.count == bytes.count)
        #expect(try Tombstones(encoded: tombstones.encoded) == tombstones)
        tombstones.truncate(before: .max)
        #expect(tombstones.isEmpty)
    }

    @Test("no tombstones are nine bytes")
    func empty() throws {
        #expect(Tombstones().encoded == [0x01, 0x30, 0xBA, 0x30, 0x01, 0x00, 0x00, 0x00, 0x00])
        #expect(try Tombstones(encoded: Tombstones().encoded).isEmpty)
    }

    @Test("every flipped bit and every truncation is an error")
    func damage() {
        let bytes = BlockVectors.tombstones[0].bytes
        for bit in 0..<bytes.count * 8 {
            var damaged = bytes
            damaged[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(throws: BlockError.self) { try Tombstones(encoded: damaged) }
        }
        for count in bytes.indices { #expect(throws: BlockError.self) { try Tombstones(encoded: Array(bytes[..<count])) } }
    }

    @Test("intervals agree with a set of milliseconds")
    func intervals() {
        var random = Generator(seed: 7)
        for _ in 0..<300 {
            var list: [DeletedInterval] = []
            var model = Set<Int64>()
            for _ in 0..<random.below(8) {
                let start = Int64(random.below(60))
                let end = start + Int64(random.below(12)) - 1
                list.add(DeletedInterval(minTimeMs: start, maxTimeMs: end))
                if start <= end { model.formUnion(start...end) }
            }
            for (left, right) in zip(list, list.dropFirst()) { #expect(left.maxTimeMs + 1 < right.minTimeMs) }
            let low = Int64(random.below(70)) - 5
            let high = low + Int64(random.below(40))
            let left = list.remainder(of: low, high).flatMap { Array($0) }
            #expect(left == (low...high).filter { !model.contains($0) })
            #expect(list.covers(low, high) == (low...high).allSatisfy { model.contains($0) })
            #expect(list.overlaps(low, high) == (low...high).contains { model.contains($0) })
        }
    }

    @Test("intervals at the ends of time")
    func ends() {
        var list: [DeletedInterval] = []
        list.add(DeletedInterval(minTimeMs: .min, maxTimeMs: -1))
        list.add(DeletedInterval(minTimeMs: 1, maxTimeMs: .max))
        #expect(list.remainder(of: .min, .max) == [0...0])
        list.add(DeletedInterval(minTimeMs: 0, maxTimeMs: 0))
        #expect(list == [DeletedInterval(minTimeMs: .min, maxTimeMs: .max)])
        #expect(list.remainder(of: .min, .max).isEmpty)
    }

    @Test("a deletion that ends before it begins deletes nothing")
    func inverted() {
        var tombstones = Tombstones()
        tombstones.add(DeletedInterval(minTimeMs: 5, maxTimeMs: 4), to: 1)
        #expect(tombstones.isEmpty)
    }
}
