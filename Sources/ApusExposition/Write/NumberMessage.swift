/// A family of single numbers as a delimited protobuf message, kept from page to page: a value takes eight bytes whatever
/// it is, so a new one is put in place of the old.
public struct NumberMessage: Sendable {
    /// The message, its length before it.
    public private(set) var bytes: [UInt8]
    private let valueOffsets: [Int]

    /// Nil if the family's points are not all numbers, or if it is empty.
    public init?(_ family: FamilySnapshot, escaping: NameEscaping) {
        var writer = ProtobufWriter([], escaping: escaping)
        writer.write(family)
        guard !family.points.isEmpty, writer.numberOffsets.count == family.points.count else { return nil }
        bytes = writer.bytes
        valueOffsets = writer.numberOffsets
    }

    /// Puts the double of these bits in place of the value of the point at `index`.
    public mutating func setValue(_ word: UInt64, at index: Int) {
        let offset = valueOffsets[index]
        for shift in 0..<8 { bytes[offset + shift] = UInt8(truncatingIfNeeded: word &>> UInt64(8 &* shift)) }
    }
}
