import ApusBytes
import ApusModel
import Testing

@Suite("LabelSet") struct LabelSetTests {
    @Test("sorts by name, drops empty values, and the last of equal names wins")
    func canonical() {
        let set: LabelSet = ["b": "2", "a": "1", "empty": "", "b": "3"]
        #expect(set.labels == [Label("a", "1"), Label("b", "3")])
        #expect(set["b"] == "3")
        #expect(set["empty"] == nil)
        #expect(set == ["a": "1", "b": "3"])
        #expect(set.hash64() == LabelSet([Label("b", "3"), Label("a", "1")]).hash64())
    }

    @Test("orders pair by pair, as bytes")
    func order() {
        let a: LabelSet = ["a": "1"]
        let ab: LabelSet = ["a": "1", "b": "1"]
        let long: LabelSet = ["a": "1\u{7f}"]
        #expect(a < ab)
        #expect(ab < long)
        #expect(LabelSet.empty < a)
        #expect(!(a < a))
    }

    @Test("filters by name and sets labels")
    func change() {
        let set: LabelSet = ["__name__": "up", "job": "x", "instance": "y"]
        #expect(set.filtered(["job"], keep: true) == ["job": "x"])
        #expect(set.filtered(["job", "__name__"], keep: false) == ["instance": "y"])
        #expect(set.filtered([], keep: true) == .empty)
        #expect(set.filtered([], keep: false) == set)
        #expect(set.filtered(["instance"], keep: false) == ["__name__": "up", "job": "x"])
        #expect(set.filtered(["__name__", "job"], keep: true) == ["__name__": "up", "job": "x"])
        #expect(LabelSet.empty.filtered(["job"], keep: true) == .empty)
        let sorted: [ByteString] = ["__name__", "a", "b", "instanc", "instances", "job"]
        #expect(set.filtered(sorted: sorted, keep: true) == set.filtered(sorted, keep: true))
        #expect(set.filtered(sorted: sorted, keep: false) == ["instance": "y"])
        #expect(set.filtered(sorted: [], keep: true) == .empty)
        #expect(set.setting([("job", nil), ("a", "b")]) == ["__name__": "up", "instance": "y", "a": "b"])
    }

    @Test("one label set is as a set made anew", arguments: ["A", "__name__", "a", "inst", "instance", "instances", "job", "z", ""] as [ByteString])
    func setOne(_ name: ByteString) {
        for set in [["__name__": "up", "job": "x", "instance": "y"], .empty] as [LabelSet] {
            for value in ["v", "", "a longer value"] as [ByteString] {
                let others = set.labels.filter { $0.name != name }
                #expect(set.setting(name, to: value) == LabelSet(others + [Label(name, value)]))
                #expect(set.setting([(name, value)]) == set.setting(name, to: value))
            }
            #expect(set.setting(name, to: nil) == LabelSet(set.labels.filter { $0.name != name }))
        }
    }

    @Test("accepts well-formed UTF-8 and nothing else", arguments: [
        ([0x61], true), ([0xC3, 0xA9], true), ([0xE2, 0x82, 0xAC], true), ([0xF0, 0x9F, 0x98, 0x80], true),
        ([0xFF], false), ([0xC0, 0x80], false), ([0xED, 0xA0, 0x80], false), ([0xE2, 0x82], false), ([0xF4, 0x90, 0x80, 0x80], false),
    ] as [([UInt8], Bool)])
    func utf8(_ bytes: [UInt8], valid: Bool) {
        #expect(ByteString(bytes).isValidUTF8 == valid)
    }
}
