import ApusBytes
import ApusMetrics
import Testing

@Suite("Labelled families") struct MetricFamilyTests {
    struct Shard: LabelValue {
        let number: Int
        func write(to writer: inout LabelWriter) {
            writer.append("shard-")
            writer.append(decimal: Int64(number))
        }
    }

    @Test("values of every type write their text")
    func valueTypes() throws {
        let registry = MetricRegistry()
        let family = try registry.gauge(
            "g", help: "", labels: .label("a", as: String.self), .label("b", as: Int64.self), .label("c", as: Bool.self),
            .label("d", as: Method.self), .label("e", as: Shard.self), .label("f", as: String?.self),
            .label("g", as: ByteString.self))
        family("x", -5, true, .post, Shard(number: 3), nil, ByteString([0xFF, 0x41])).set(1)
        #expect(registry.samples == [#"g{a="x",b="-5",c="true",d="post",e="shard-3",f="",g="\#u{FFFD}A"} 1"#])
    }

    @Test("no two different combinations meet, however their texts run together")
    func distinctKeys() throws {
        let family = try MetricRegistry().counter(
            "a_total", help: "", labels: .label("x", as: String.self), .label("y", as: String.self))
        let values = ["", "a", "aa", "\0", "\0\0\0\0", "\u{1}\0\0\0", "a\u{1}\0\0\0", "b"]
        for x in values { for y in values { family(x, y).increment() } }
        #expect(family.count == values.count * values.count)
        for x in values {
            for y in values where family(x, y).value != 1 { Issue.record("\(x.debugDescription), \(y.debugDescription)") }
        }
    }

    @Test("values longer than the buffer on the stack", arguments: [100, 240, 248, 252, 253, 256, 257, 300, 5000])
    func longValues(length: Int) throws {
        let registry = MetricRegistry()
        let family = try registry.counter("a_total", help: "", labels: .label("x", as: String.self), .label("y", as: Int.self))
        let value = String(repeating: "é", count: length / 2)
        family(value, 7).increment()
        family(value, 7).increment()
        #expect(registry.samples == ["a_total{x=\"\(value)\",y=\"7\"} 2"])
        #expect(family.remove(value, 7))
        #expect(family.count == 0)
    }

    @Test("at its limit a family counts into the overflow series, and old series go on")
    func limit() throws {
        let registry = MetricRegistry()
        let family = try registry.counter("a_total", help: "", seriesLimit: 2, labels: .label("x", as: Int.self))
        for number in 1...5 { family(number).increment() }
        family(1).increment()
        #expect(registry.samples == [#"a_total{x="1"} 2"#, #"a_total{x="2"} 1"#, #"a_total{x="__overflow__"} 3"#])
        #expect(registry.faults.overflowedLabelSets == 3)
        #expect(family.remove(2))
        family(5).increment()
        #expect(registry.samples.contains(#"a_total{x="5"} 1"#))
    }

    @Test("a removed series is not shown; asked for again it starts anew; its handle stays harmless")
    func remove() throws {
        let registry = MetricRegistry()
        let family = try registry.counter("a_total", help: "", labels: .label("x", as: Int.self))
        let old = family(1)
        old.increment(by: 5)
        family(2).increment()
        #expect(family.remove(1))
        #expect(!family.remove(1))
        old.increment()
        #expect(registry.samples == [#"a_total{x="2"} 1"#])
        family(1).increment()
        #expect(registry.samples == [#"a_total{x="1"} 1"#, #"a_total{x="2"} 1"#])
        family.removeAll()
        #expect(registry.page == "")
        family(1).increment(by: 3)
        #expect(registry.samples == [#"a_total{x="1"} 3"#])
    }

    @Test("agrees with a dictionary over random steps", arguments: 1...5)
    func model(seed: Int) throws {
        var random = Xorshift(state: UInt64(seed))
        let registry = MetricRegistry()
        let family = try registry.counter("a_total", help: "", labels: .label("x", as: Int.self))
        var model: [Int: Int] = [:]
        for _ in 0..<5000 {
            let key = Int(random.next() % 200)
            switch random.next() % 100 {
            case 0:
                family.removeAll()
                model = [:]
            case 1...20: #expect(family.remove(key) == (model.removeValue(forKey: key) != nil))
            default:
                family(key).increment()
                model[key, default: 0] += 1
            }
            if family.count != model.count { Issue.record("count \(family.count), not \(model.count)") }
        }
        #expect(registry.samples.sorted() == model.map { "a_total{x=\"\($0.key)\"} \($0.value)" }.sorted())
    }
}

struct Xorshift: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state &* 0x2545_F491_4F6C_DD1D >> 3
    }
}
