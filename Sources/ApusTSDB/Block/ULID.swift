/// What names a block: 48 bits of time and 80 of chance, so that names sort by the time they were made.
///
///     01M83RV6B2 13WDT0QDJ74YDY8Y      26 digits of Crockford's base 32
///     └ ms since ┘└──── chance ────┘
///       the epoch
///
/// Source: github.com/ulid/spec.
public struct ULID: Hashable, Sendable {
    /// Bits 127 to 64: the time, ms, and the first 16 bits of chance.
    public let high: UInt64
    public let low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// - Parameter timeMs: since the epoch; of more than 48 bits the low ones are taken, of a negative one none.
    public init(timeMs: Int64, using generator: inout some RandomNumberGenerator) {
        high = UInt64(max(0, timeMs)) << 16 | generator.next() & 0xFFFF
        low = generator.next()
    }

    /// Reads 26 digits, of either case; nil when they are not, or say more than 128 bits.
    public init?(_ text: some Sequence<UInt8>) {
        var high: UInt64 = 0
        var low: UInt64 = 0
        var count = 0
        for byte in text {
            guard let digit = Self.digit(byte), count < 26, count > 0 || digit < 8 else { return nil }
            high = high << 5 | low >> 59
            low = low << 5 | digit
            count += 1
        }
        if count != 26 { return nil }
        self.init(high: high, low: low)
    }
    public init?(_ text: String) { self.init(text.utf8) }

    /// When the name was made, ms since the epoch.
    public var timeMs: Int64 { Int64(high >> 16) }

    private static let alphabet = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ".utf8)

    private static func digit(_ byte: UInt8) -> UInt64? {
        let upper = (0x61...0x7A).contains(byte) ? byte - 0x20 : byte
        return alphabet.firstIndex(of: upper).map(UInt64.init)
    }

    /// 26 digits.
    public var bytes: [UInt8] {
        var digits = [UInt8](repeating: 0, count: 26)
        var (high, low) = (high, low)
        for index in (0..<26).reversed() {
            digits[index] = Self.alphabet[Int(low & 31)]
            low = low >> 5 | high << 59
            high >>= 5
        }
        return digits
    }
}

extension ULID: Comparable {
    public static func < (left: ULID, right: ULID) -> Bool {
        left.high != right.high ? left.high < right.high : left.low < right.low
    }
}

extension ULID: CustomStringConvertible {
    public var description: String { String(decoding: bytes, as: UTF8.self) }
}

/// Gives names that only grow: within one millisecond, or when the clock goes back, the last one plus one.
public struct ULIDGenerator<Random: RandomNumberGenerator>: ~Copyable {
    private var random: Random
    private var last: ULID?

    public init(random: Random) { self.random = random }

    public mutating func next(timeMs: Int64) -> ULID {
        var ulid = ULID(timeMs: timeMs, using: &random)
        if let last, ulid.timeMs <= last.timeMs {
            let (low, overflow) = last.low.addingReportingOverflow(1)
            ulid = ULID(high: overflow ? last.high &+ 1 : last.high, low: low)
        }
        last = ulid
        return ulid
    }
}

extension ULIDGenerator where Random == SystemRandomNumberGenerator {
    public init() { self.init(random: SystemRandomNumberGenerator()) }
}
