/// Bits one after another, the highest first, into bytes that grow.
struct BitWriter {
    private(set) var bytes: [UInt8]
    /// Bits of the last byte that are not used yet; 0 to 7.
    private var free = 0

    /// Begins behind whole bytes.
    init(_ bytes: [UInt8] = []) { self.bytes = bytes }

    var bitCount: Int { bytes.count &* 8 &- free }

    /// For what stands in a header and changes later. Trap: `index` must be a byte that was written.
    mutating func set(byte: UInt8, at index: Int) { bytes[index] = byte }

    /// The low `width` bits, 0 to 64.
    mutating func write(_ bits: UInt64, _ width: Int) {
        var left = width
        if left > 0 && free > 0 {
            let taken = min(left, free)
            left &-= taken
            free &-= taken
            let piece = UInt8(truncatingIfNeeded: bits &>> UInt64(left)) & (0xFF &>> UInt8(8 &- taken))
            bytes[bytes.count &- 1] |= piece &<< UInt8(free)
        }
        while left >= 8 {
            left &-= 8
            bytes.append(UInt8(truncatingIfNeeded: bits &>> UInt64(left)))
        }
        if left > 0 {
            free = 8 &- left
            bytes.append(UInt8(truncatingIfNeeded: bits) &<< UInt8(free))
        }
    }

    mutating func write(_ bit: Bool) { write(bit ? 1 : 0, 1) }

    mutating func writeUvarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            write(rest & 0x7F | 0x80, 8)
            rest &>>= 7
        }
        write(rest, 8)
    }

    mutating func writeVarint(_ value: Int64) { writeUvarint(UInt64(bitPattern: (value &<< 1) ^ (value &>> 63))) }

    /// A signed number in the fewest bits of nine classes: a prefix of ones and a zero, then two's complement.
    ///
    ///     0 ▶ 0    10 + 3    110 + 6    1110 + 9    11110 + 12    111110 + 18    1111110 + 25    11111110 + 56    11111111 + 64
    ///
    /// Each range is lopsided, −(2ⁿ⁻¹ − 1) … 2ⁿ⁻¹, by the format.
    mutating func writeVarbit(_ value: Int64) {
        if value == 0 { return write(0, 1) }
        var ones = 1
        while ones < 8 {
            let half: Int64 = 1 &<< Int64(varbitWidth(ones) &- 1)
            if value >= 1 &- half && value <= half { break }
            ones &+= 1
        }
        writeVarbit(UInt64(bitPattern: value), ones)
    }

    /// The same for a number without sign.
    mutating func writeVarbit(_ value: UInt64) {
        if value == 0 { return write(0, 1) }
        let needed = 64 &- value.leadingZeroBitCount
        var ones = 1
        while varbitWidth(ones) < needed { ones &+= 1 }
        writeVarbit(value, ones)
    }

    private mutating func writeVarbit(_ bits: UInt64, _ ones: Int) {
        write(ones == 8 ? 0xFF : (1 &<< UInt64(ones &+ 1)) &- 2, min(ones &+ 1, 8))
        write(bits, varbitWidth(ones))
    }

    /// A 64-bit pattern as its difference to the one before, as in XOR chunks.
    mutating func writeXOR(_ new: UInt64, _ old: UInt64, _ window: inout XORWindow) {
        let difference = new ^ old
        if difference == 0 { return write(0, 1) }
        let leading = min(difference.leadingZeroBitCount, 31)
        let trailing = difference.trailingZeroBitCount
        if window.leading != XORWindow.none && leading >= Int(window.leading) && trailing >= Int(window.trailing) {
            write(0b10, 2)
            write(difference &>> UInt64(window.trailing), 64 &- Int(window.leading) &- Int(window.trailing))
            return
        }
        window.leading = UInt8(truncatingIfNeeded: leading)
        window.trailing = UInt8(truncatingIfNeeded: trailing)
        let width = 64 &- leading &- trailing
        write(0b11 &<< 11 | UInt64(truncatingIfNeeded: leading) &<< 6 | UInt64(truncatingIfNeeded: width & 63), 13)
        write(difference &>> UInt64(truncatingIfNeeded: trailing), width)
    }
}
