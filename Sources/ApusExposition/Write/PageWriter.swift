public import ApusBytes

/// Puts families together to a page in one of the encodings.
///
///     var writer = PageWriter(encoding)
///     for family in families { writer.write(family) }
///     let page = writer.finish()
///
/// A family whose name another one had before is left out: names may become one by escaping, and a name that stands twice
/// makes a page unreadable.
public struct PageWriter: Sendable {
    public let encoding: PageEncoding
    /// The page so far. Who has a family's lines ready appends them here.
    public var bytes: [UInt8]
    private var names: Set<ByteString> = []
    /// Families left out because of their name.
    public private(set) var droppedFamilies = 0

    /// Goes on behind `bytes`.
    public init(_ encoding: PageEncoding, into bytes: consuming [UInt8] = []) {
        self.encoding = encoding
        self.bytes = bytes
    }

    /// Whether a family of this name may be written; says yes once for each name.
    public mutating func admit(_ name: ByteString) -> Bool {
        if names.insert(encoding.escaping.escape(name)).inserted { return true }
        droppedFamilies += 1
        return false
    }

    /// Writes a family. One without points has nothing to say and is left out.
    public mutating func write(_ family: FamilySnapshot) {
        guard !family.points.isEmpty, admit(family.name) else { return }
        writeAdmitted(family)
    }

    /// Writes a family whose name was admitted.
    public mutating func writeAdmitted(_ family: FamilySnapshot) {
        guard !family.points.isEmpty else { return }
        switch encoding.format {
        case .protobuf:
            var writer = ProtobufWriter(take(), escaping: encoding.escaping)
            writer.write(family)
            bytes = writer.bytes
        case .openMetrics2: OpenMetrics2Writer(family, encoding: encoding).append(to: &bytes)
        case .text, .textUTF8, .openMetrics:
            let lines = TextLines(name: family.name, help: family.help, unit: family.unit, type: family.type, encoding: encoding)
            lines.appendHeader(to: &bytes)
            for point in family.points { lines.append(point, to: &bytes) }
        }
    }

    /// The page, with its end marked where the format wants that.
    public consuming func finish() -> [UInt8] {
        let encoding = encoding
        var writer = consume self
        var page = writer.take()
        if encoding.format == .openMetrics || encoding.format == .openMetrics2 { page.appendStatic("# EOF\n") }
        return page
    }

    /// The bytes so far, with no second owner, so that appending does not copy them.
    private mutating func take() -> [UInt8] {
        var taken: [UInt8] = []
        swap(&taken, &bytes)
        return taken
    }
}
