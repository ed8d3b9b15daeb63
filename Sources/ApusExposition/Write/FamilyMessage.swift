import ApusBytes

/// A family as a delimited protobuf message, kept from page to page in pieces: only points that have changed are written
/// anew.
public struct FamilyMessage: Sendable {
    private let family: FamilySnapshot
    private let escaping: NameEscaping
    /// The fields before the points, and behind them.
    private let head: [UInt8]
    private let tail: [UInt8]
    private var points: [[UInt8]]
    private var pointBytes = 0

    public init(_ family: FamilySnapshot, escaping: NameEscaping) {
        self.family = family
        self.escaping = escaping
        head = Self.written(escaping) { $0.writeHead(of: family) }
        tail = Self.written(escaping) { $0.writeTail(of: family) }
        points = family.points.map { point in Self.written(escaping) { $0.write(point, of: family) } }
        pointBytes = points.reduce(0) { $0 + $1.count }
    }

    /// Puts another value in place of that of the point at `index`.
    public mutating func setValue(_ value: PointValue, at index: Int) {
        var point = family.points[index]
        point.value = value
        pointBytes -= points[index].count
        points[index] = Self.written(escaping) { $0.write(point, of: family) }
        pointBytes += points[index].count
    }

    /// Appends the message, its length before it.
    public func append(to page: inout [UInt8]) {
        page.appendUvarint(UInt64(head.count + pointBytes + tail.count))
        page.append(contentsOf: head)
        for point in points { page.append(contentsOf: point) }
        page.append(contentsOf: tail)
    }

    private static func written(_ escaping: NameEscaping, _ write: (inout ProtobufWriter) -> Void) -> [UInt8] {
        var writer = ProtobufWriter([], escaping: escaping)
        write(&writer)
        return writer.bytes
    }
}
