import Testing

@testable import ApusBytes

private func text(_ value: Double, _ style: DoubleStyle) -> String {
    var bytes: [UInt8] = []
    bytes.appendDouble(value, style: style)
    return String(decoding: bytes, as: UTF8.self)
}

/// What Swift's `description` says: digits without point or zeros around them, and the exponent of the first digit.
private func describedDigits(_ magnitude: Double) -> (digits: [UInt8], exponent: Int) {
    var digits: [UInt8] = []
    var exponent = 0
    var point: Int?
    let bytes = Array(magnitude.description.utf8)
    scan: for (index, byte) in bytes.enumerated() {
        switch byte {
        case UInt8(ascii: "."): point = digits.count
        case UInt8(ascii: "e"):
            exponent = Int(String(decoding: bytes[(index + 1)...], as: UTF8.self)) ?? .min
            break scan
        default: digits.append(byte)
        }
    }
    exponent += (point ?? digits.count) - 1
    while digits.first == UInt8(ascii: "0") {
        digits.removeFirst()
        exponent -= 1
    }
    while digits.last == UInt8(ascii: "0") { digits.removeLast() }
    return (digits, exponent)
}

@Suite("Writing doubles") struct FormatDoubleTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let value: Double, general: String, json: String, plain: String
        init(_ value: Double, _ general: String, json: String? = nil, plain: String? = nil) {
            self.value = value
            self.general = general
            self.json = json ?? general
            self.plain = plain ?? general
        }
        var testDescription: String { general }
    }

    // `general` and `json` as Go 1.23 prints them with 'g' and by the rule of Prometheus's API.
    static let cases: [Case] = [
        Case(0, "0"), Case(-0.0, "-0"), Case(1, "1"), Case(-1, "-1"), Case(10, "10"), Case(0.1, "0.1"), Case(0.5, "0.5"),
        Case(-2.5, "-2.5"),
        Case(12.34, "12.34"), Case(0.001, "0.001"), Case(1.005, "1.005"), Case(100_000, "100000"), Case(123_456, "123456"),
        Case(999_999.999, "999999.999"), Case(1_000_000, "1e+06", json: "1000000", plain: "1000000"),
        Case(1_234_567, "1.234567e+06", json: "1234567", plain: "1234567"),
        Case(1_234_567.125, "1.234567125e+06", json: "1234567.125", plain: "1234567.125"),
        Case(1_700_000_000.123, "1.700000000123e+09", json: "1700000000.123", plain: "1700000000.123"),
        Case(9_007_199_254_740_991, "9.007199254740991e+15", json: "9007199254740991", plain: "9007199254740991"),
        Case(9_007_199_254_740_992, "9.007199254740992e+15", json: "9007199254740992", plain: "9007199254740992"),
        Case(1e20, "1e+20", json: "100000000000000000000", plain: "100000000000000000000"),
        Case(
            123_456_789_012_345_683_968, "1.2345678901234568e+20", json: "123456789012345680000", plain: "123456789012345680000"),
        Case(1e21, "1e+21"), Case(1.5e21, "1.5e+21"), Case(1e22, "1e+22"), Case(1e23, "1e+23"), Case(1e100, "1e+100"),
        Case(0.0001, "0.0001"), Case(0.000125, "0.000125"), Case(0.00001, "1e-05", json: "0.00001"),
        Case(0.000012345, "1.2345e-05", json: "0.000012345"), Case(0.000001, "1e-06", json: "0.000001"),
        Case(0.00000123, "1.23e-06", json: "0.00000123"),
        Case(0.000001234567890123456, "1.234567890123456e-06", json: "0.000001234567890123456"),
        Case(0.0000009, "9e-07"), Case(1e-7, "1e-07"), Case(.leastNonzeroMagnitude, "5e-324"),
        Case(-.leastNonzeroMagnitude, "-5e-324"),
        Case(.greatestFiniteMagnitude, "1.7976931348623157e+308"), Case(.leastNormalMagnitude, "2.2250738585072014e-308"),
        Case(1.0 / 3, "0.3333333333333333"), Case(.pi, "3.141592653589793"), Case(0.1 + 0.2, "0.30000000000000004"),
        Case(2e-44, "2e-44"), Case(9.5367431640625e-07, "9.5367431640625e-07"), Case(.nan, "NaN"), Case(-.nan, "NaN"),
        Case(.infinity, "+Inf"), Case(-.infinity, "-Inf"),
    ]

    @Test("each style prints what Go prints", arguments: cases)
    func golden(_ one: Case) {
        #expect(text(one.value, .general) == one.general)
        #expect(text(one.value, .json) == one.json)
        #expect(text(one.value, .plain) == one.plain)
    }

    @Test("the fixed style never has an exponent and stays in its bound")
    func fixed() {
        #expect(text(1e22, .fixed) == "10000000000000000000000")
        #expect(text(1e-7, .fixed) == "0.0000001")
        #expect(text(-.leastNonzeroMagnitude, .fixed) == "-0." + String(repeating: "0", count: 323) + "5")
        #expect(text(-2.2250738585072014e-308, .fixed) == "-0." + String(repeating: "0", count: 307) + "22250738585072014")
        #expect(text(.greatestFiniteMagnitude, .fixed) == "17976931348623157" + String(repeating: "0", count: 292))
        for value in [
            -2.2250738585072014e-308, -4.4501477170144023e-308, -.leastNonzeroMagnitude, -Double.greatestFiniteMagnitude,
        ] {
            #expect(text(value, .fixed).utf8.count <= maxFixedDoubleBytes)
            #expect(Double(text(value, .fixed)) == value)
        }
    }

    @Test(
        "the digits are the shortest, as Swift's own printer finds them, for random bit patterns",
        arguments: 0..<8 as Range<UInt64>)
    func randomBitPatterns(seed: UInt64) {
        var random = SplitMix(state: seed)
        var failures = 0
        for _ in 0..<130_000 {
            let magnitude = Double(bitPattern: random.next() & 0x7FFF_FFFF_FFFF_FFFF)
            guard magnitude.isFinite, magnitude > 0 else { continue }
            if !agrees(magnitude) { failures += 1 }
        }
        #expect(failures == 0)
    }

    @Test("the digits are the shortest at powers of two and ten, subnormals and their neighbours")
    func edges() {
        var edges: [Double] = []
        for exponent in -1074...1023 { edges.append(Double(sign: .plus, exponent: exponent, significand: 1)) }
        for exponent in -323...308 { if let power = Double("1e\(exponent)") { edges.append(power) } }
        for bits in 1...2000 as ClosedRange<UInt64> { edges.append(Double(bitPattern: bits)) }
        for edge in edges {
            for value in [edge.nextDown, edge, edge.nextUp] where value > 0 && value.isFinite {
                #expect(agrees(value), "\(value)")
            }
        }
    }

    @Test("short decimals and whole numbers agree with the general path", arguments: 0..<4 as Range<UInt64>)
    func shortCuts(seed: UInt64) {
        var random = SplitMix(state: seed)
        for _ in 0..<50_000 {
            let bits = random.next()
            let whole = Double(bits >> (11 + bits % 53))
            for value in [whole, whole / 1000, whole / 8, whole / 100] where value > 0 {
                let (digits, exponent) = describedDigits(value)
                let decimal = text(value, .fixed)
                #expect(Double(decimal) == value)
                let significant = decimal.utf8.filter { $0 != UInt8(ascii: ".") }.drop { $0 == UInt8(ascii: "0") }
                let trimmed = Array(significant.reversed().drop { $0 == UInt8(ascii: "0") }.reversed())
                #expect(trimmed == digits, "\(value) \(exponent)")
            }
        }
    }

    @Test("every style reads back as the same double", arguments: [DoubleStyle.general, .json, .fixed, .plain])
    func roundTrip(style: DoubleStyle) {
        var random = SplitMix(state: 7)
        for _ in 0..<20_000 {
            let value = Double(bitPattern: random.next())
            guard value.isFinite else { continue }
            let written = text(value, style)
            #expect(Double(written)?.bitPattern == value.bitPattern)
            #expect(written.utf8.count <= style.maxBytes)
        }
    }

    private func agrees(_ magnitude: Double) -> Bool {
        let decimal = shortestDecimal(magnitude).trimmed
        let digits = Array(String(decimal.digits).utf8)
        let expected = describedDigits(magnitude)
        return digits == expected.digits && decimal.exponent + digits.count - 1 == expected.exponent
    }
}

@Suite("Writing integers and times") struct FormatIntegerTests {
    @Test("integers of every length")
    func integers() {
        var values: [Int64] = [0, .min, .max]
        var power: Int64 = 1
        for _ in 0..<19 {
            values += [power, -power, power - 1, power + 1, -power - 1]
            power = power.multipliedReportingOverflow(by: 10).partialValue
        }
        for value in values {
            var bytes: [UInt8] = []
            bytes.appendDecimal(value)
            #expect(String(decoding: bytes, as: UTF8.self) == String(value))
        }
        for value in [0, 9, 10, UInt64.max, .max / 10, 1 << 63] as [UInt64] {
            var bytes: [UInt8] = []
            bytes.appendDecimal(value)
            #expect(String(decoding: bytes, as: UTF8.self) == String(value))
        }
    }

    @Test(
        "times keep three decimals or none",
        arguments: [
            (1_700_000_000_123, "1700000000.123"), (1_700_000_000_000, "1700000000"), (1_700_000_000_120, "1700000000.120"),
            (1, "0.001"),
            (0, "0"), (-1, "-0.001"), (-1500, "-1.500"), (Int64.min, "-9223372036854775.808"), (.max, "9223372036854775.807"),
        ] as [(Int64, String)])
    func times(milliseconds: Int64, expected: String) {
        var bytes: [UInt8] = []
        bytes.appendTimestampSeconds(milliseconds)
        #expect(String(decoding: bytes, as: UTF8.self) == expected)
    }
}

/// Steele, Lea and Flood's SplitMix64: the same numbers for the same seed on every machine.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
