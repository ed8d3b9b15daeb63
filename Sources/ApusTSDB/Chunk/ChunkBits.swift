/// Why the bytes of a chunk cannot be decoded.
public struct ChunkError: Error, Equatable, Sendable, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }
}

/// Bytes that must be readable behind a chunk for `decodeXOR`: a sample reads at most that far before its end is checked.
let chunkReadSlackBytes = 32

/// 57 bits or more at the top, from bit `position` on.
@inline(__always)
func loadWindow(_ base: UnsafeRawPointer, _ position: Int) -> UInt64 {
    // SAFETY: the callers keep `position` within the chunk and its slack.
    let word = unsafe UInt64(bigEndian: (base + (position &>> 3)).loadUnaligned(as: UInt64.self))
    return word &<< UInt64(truncatingIfNeeded: position & 7)
}

/// Reads 1 to 64 bits.
@inline(__always)
func readBits(_ base: UnsafeRawPointer, _ position: inout Int, _ width: Int) -> UInt64 {
    if width <= 57 {
        let bits = unsafe loadWindow(base, position) &>> UInt64(truncatingIfNeeded: 64 &- width)
        position &+= width
        return bits
    }
    let high = unsafe loadWindow(base, position) &>> 32
    position &+= 32
    let rest = width &- 32
    let low = unsafe loadWindow(base, position) &>> UInt64(truncatingIfNeeded: 64 &- rest)
    position &+= rest
    return high &<< UInt64(truncatingIfNeeded: rest) | low
}

func readUvarint(_ base: UnsafeRawPointer, _ position: inout Int, _ end: Int) throws(ChunkError) -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while true {
        if position &+ 8 > end { throw ChunkError("chunk ends inside a varint") }
        let byte = unsafe readBits(base, &position, 8)
        if shift == 63 && byte > 1 { throw ChunkError("chunk holds a varint of more than 64 bits") }
        value |= (byte & 0x7F) &<< shift
        if byte < 0x80 { return value }
        shift &+= 7
        if shift > 63 { throw ChunkError("chunk holds a varint of more than 64 bits") }
    }
}

/// Reads a chunk bit by bit, for the encodings that are not the hot one. Each read checks the chunk's end first, so any
/// bytes are safe as long as `chunkReadSlackBytes` are readable behind them.
@safe struct ChunkBitReader {
    private let base: UnsafeRawPointer
    /// In bits from the chunk's start.
    private(set) var position: Int
    /// The chunk's end, in bits.
    let end: Int

    /// - Parameter base: `sizeBytes` bytes of chunk with the slack behind; must outlive the reader.
    init(_ base: UnsafeRawPointer, sizeBytes: Int, offsetBytes: Int) {
        unsafe self.base = base
        end = sizeBytes &* 8
        position = offsetBytes &* 8
    }

    var remainingBits: Int { max(0, end &- position) }

    static func pastEnd() -> ChunkError { ChunkError("chunk ends inside a sample or its header") }

    /// 1 to 64 bits.
    @inline(__always)
    mutating func bits(_ width: Int) throws(ChunkError) -> UInt64 {
        if position &+ width > end { throw Self.pastEnd() }
        // SAFETY: starts before the end; what is read beyond lies in the slack.
        return unsafe readBits(base, &position, width)
    }

    @inline(__always)
    mutating func bit() throws(ChunkError) -> Bool { try bits(1) != 0 }

    mutating func uvarint() throws(ChunkError) -> UInt64 {
        // SAFETY: as `bits`; it checks the end before each byte.
        try unsafe readUvarint(base, &position, end)
    }

    mutating func varint() throws(ChunkError) -> Int64 {
        let raw = try uvarint()
        return Int64(bitPattern: raw &>> 1) ^ -Int64(bitPattern: raw & 1)
    }

    /// The bits behind the prefix of a varbit: as many ones as the class has, and a zero unless there are eight. Width 0 for 0.
    @inline(__always)
    private mutating func varbit() throws(ChunkError) -> (bits: UInt64, width: Int) {
        if position >= end { throw Self.pastEnd() }
        // SAFETY: starts before the end; the window of 8 bytes lies in the chunk or its slack.
        let ones = min((~(unsafe loadWindow(base, position))).leadingZeroBitCount, 8)
        let width = varbitWidth(ones)
        position &+= min(ones &+ 1, 8)
        if position &+ width > end { throw Self.pastEnd() }
        return width == 0 ? (0, 0) : (unsafe readBits(base, &position, width), width)
    }

    /// A signed number in 1 to 72 bits; layout: `BitWriter.varbit`.
    @inline(__always)
    mutating func varbitInt() throws(ChunkError) -> Int64 {
        let (bits, width) = try varbit()
        if width == 0 || width == 64 { return Int64(bitPattern: bits) }
        // Each range is lopsided, −(2ⁿ⁻¹ − 1) … 2ⁿ⁻¹, by the format.
        return bits > 1 &<< UInt64(truncatingIfNeeded: width &- 1)
            ? Int64(bitPattern: bits &- (1 &<< UInt64(truncatingIfNeeded: width))) : Int64(bitPattern: bits)
    }

    /// A number in 1 to 72 bits; layout: `BitWriter.varbit`.
    @inline(__always)
    mutating func varbitUint() throws(ChunkError) -> UInt64 { try varbit().bits }

    /// A 64-bit pattern as its difference to `old`, as in XOR chunks.
    @inline(__always)
    mutating func xor(_ old: UInt64, _ window: inout XORWindow) throws(ChunkError) -> UInt64 {
        if try !bit() { return old }
        if try bit() { try newWindow(&window) }
        return try old ^ windowBits(window)
    }

    mutating func newWindow(_ window: inout XORWindow) throws(ChunkError) {
        let header = Int(truncatingIfNeeded: try bits(11))
        let leading = header &>> 6
        // Six bits hold the number of significant bits; 0 is 64.
        let width = header & 63 == 0 ? 64 : header & 63
        if leading &+ width > 64 { throw ChunkError("chunk has a value of \(width) bits after \(leading) leading zeros") }
        window.leading = UInt8(truncatingIfNeeded: leading)
        window.trailing = UInt8(truncatingIfNeeded: 64 &- leading &- width)
    }

    /// The difference that a window lets through.
    @inline(__always)
    mutating func windowBits(_ window: XORWindow) throws(ChunkError) -> UInt64 {
        // Before the first window all 64 bits count.
        let leading = window.leading == XORWindow.none ? 0 : Int(window.leading)
        return try bits(64 &- leading &- Int(window.trailing)) &<< UInt64(window.trailing)
    }
}

/// The significant bits of the last difference written: the next one takes the same place when it fits.
struct XORWindow {
    static let none: UInt8 = 0xFF
    var leading = XORWindow.none
    var trailing: UInt8 = 0
}

/// How many bits follow a prefix of so many ones; 0 to 8.
@inline(__always)
func varbitWidth(_ ones: Int) -> Int {
    // 0, 3, 6, 9, 12, 18, 25, 56, 64; a byte each.
    ones == 8 ? 64 : Int(truncatingIfNeeded: (0x3819_120C_0906_0300 as UInt64 &>> UInt64(truncatingIfNeeded: ones &* 8)) & 0xFF)
}
