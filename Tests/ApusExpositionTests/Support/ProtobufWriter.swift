/// Writes protobuf messages field by field, for tests.
struct ProtobufWriter {
    private(set) var bytes: [UInt8] = []

    private mutating func uvarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
    private mutating func key(_ number: UInt64, _ type: UInt64) { uvarint(number << 3 | type) }

    mutating func unsigned(_ number: UInt64, _ value: UInt64) {
        key(number, 0)
        uvarint(value)
    }
    static func zigzag(_ value: Int64) -> UInt64 { UInt64(bitPattern: value << 1) ^ UInt64(bitPattern: value >> 63) }
    mutating func zigzag(_ number: UInt64, _ value: Int64) { unsigned(number, Self.zigzag(value)) }
    mutating func double(_ number: UInt64, _ value: Double) {
        key(number, 1)
        for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: value.bitPattern >> UInt64(8 * shift))) }
    }
    mutating func data(_ number: UInt64, _ content: [UInt8]) {
        key(number, 2)
        uvarint(UInt64(content.count))
        bytes += content
    }
    mutating func text(_ number: UInt64, _ content: String) { data(number, Array(content.utf8)) }
    mutating func message(_ number: UInt64, _ body: (inout ProtobufWriter) -> Void) {
        var inner = ProtobufWriter()
        body(&inner)
        data(number, inner.bytes)
    }
    mutating func packedZigzag(_ number: UInt64, _ values: [Int64]) {
        var inner = ProtobufWriter()
        for value in values { inner.uvarint(Self.zigzag(value)) }
        data(number, inner.bytes)
    }
    mutating func packedDoubles(_ number: UInt64, _ values: [Double]) {
        var content: [UInt8] = []
        for value in values { for shift in 0..<8 { content.append(UInt8(truncatingIfNeeded: value.bitPattern >> UInt64(8 * shift))) } }
        data(number, content)
    }
    /// A message with its length before it.
    mutating func delimited(_ body: (inout ProtobufWriter) -> Void) {
        var inner = ProtobufWriter()
        body(&inner)
        uvarint(UInt64(inner.bytes.count))
        bytes += inner.bytes
    }
}

/// What a page of the protobuf format is made of.
extension ProtobufWriter {
    mutating func family(_ name: String, type: UInt64, help: String = "", unit: String = "", _ metrics: (inout ProtobufWriter) -> Void) {
        delimited { family in
            family.text(1, name)
            if !help.isEmpty { family.text(2, help) }
            family.unsigned(3, type)
            metrics(&family)
            if !unit.isEmpty { family.text(5, unit) }
        }
    }
    mutating func labels(_ pairs: [(String, String)]) {
        for (name, value) in pairs {
            message(1) {
                $0.text(1, name)
                $0.text(2, value)
            }
        }
    }
    mutating func exemplar(_ number: UInt64, _ pairs: [(String, String)], _ value: Double, seconds: Int64? = nil) {
        message(number) {
            $0.labels(pairs)
            $0.double(2, value)
            if let seconds { $0.message(3) { $0.unsigned(1, UInt64(bitPattern: seconds)) } }
        }
    }
    mutating func bucket(_ bound: Double, _ count: UInt64, exemplar: Double? = nil, seconds: Int64? = nil) {
        message(3) {
            $0.unsigned(1, count)
            $0.double(2, bound)
            if let exemplar { $0.exemplar(3, [("trace", "t")], exemplar, seconds: seconds) }
        }
    }
    mutating func span(_ number: UInt64, _ offset: Int64, _ length: UInt64) {
        message(number) {
            $0.zigzag(1, offset)
            $0.unsigned(2, length)
        }
    }
}
