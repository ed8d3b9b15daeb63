public import ApusBytes

/// What `meta.json` says of a block: its name, the time it covers, what is in it and what it was made of.
///
/// Written as Go indents JSON, with tabs and without the fields that are zero; unknown fields are ignored on reading.
public struct BlockMeta: Sendable, Equatable {
    public static let fileName = "meta.json"
    static let version: Int64 = 1

    /// What is in a block. Counted when it is written.
    public struct Statistics: Sendable, Equatable {
        public var samples: UInt64 = 0
        public var floatSamples: UInt64 = 0
        public var histogramSamples: UInt64 = 0
        public var series: UInt64 = 0
        public var chunks: UInt64 = 0
        /// Deleted intervals.
        public var tombstones: UInt64 = 0
        public init() {}
    }

    /// A block that another was made of.
    public struct Parent: Sendable, Equatable {
        public var ulid: ULID
        public var minTimeMs: Int64
        public var maxTimeMs: Int64
        public init(ulid: ULID, minTimeMs: Int64, maxTimeMs: Int64) {
            self.ulid = ulid
            self.minTimeMs = minTimeMs
            self.maxTimeMs = maxTimeMs
        }
    }

    /// What became of the samples between the head and this block.
    public struct Compaction: Sendable, Equatable {
        /// 1 for a block written from the head; one more than the highest of those it was made of.
        public var level: Int64 = 1
        /// The blocks written from the head that went into it, at last.
        public var sources: [ULID] = []
        /// Nothing was left of its samples, so it can go.
        public var isDeletable = false
        /// The blocks it was made of, directly.
        public var parents: [Parent] = []
        /// A compaction of it failed; it is left alone.
        public var hasFailed = false
        public var hints: [ByteString] = []
        /// Of a block that holds samples that came out of order.
        public static let fromOutOfOrder: ByteString = "from-out-of-order"
        public init() {}
    }

    public var ulid: ULID
    /// ms, included.
    public var minTimeMs: Int64
    /// ms, not included.
    public var maxTimeMs: Int64
    public var statistics = Statistics()
    public var compaction = Compaction()

    public init(ulid: ULID, minTimeMs: Int64, maxTimeMs: Int64) {
        self.ulid = ulid
        self.minTimeMs = minTimeMs
        self.maxTimeMs = maxTimeMs
    }
}

extension BlockMeta {
    /// Whether samples of `[minTimeMs, maxTimeMs]`, both ends included, may be in the block.
    public func overlaps(minTimeMs: Int64, maxTimeMs: Int64) -> Bool {
        self.minTimeMs <= maxTimeMs && minTimeMs < self.maxTimeMs
    }

    /// Reads the file of a block.
    public static func read(directory: String, files: some FileSystem) throws(BlockError) -> BlockMeta {
        let path = joinPath(directory, fileName)
        let bytes: [UInt8]
        do throws(FileError) { bytes = try files.read(path, limit: 256 << 20) } catch {
            throw BlockError(.meta, error.description)
        }
        do throws(JSONError) {
            return try BlockMeta(json: bytes)
        } catch {
            throw BlockError(.meta, "\(error.description) (\(path), offset \(error.offset))")
        }
    }

    /// Replaces the file of a block.
    public func write(directory: String, files: some FileSystem) throws(BlockError) {
        try withFiles { () throws(FileError) in try files.replace(joinPath(directory, Self.fileName), with: json) }
    }

    public init(json: [UInt8]) throws(JSONError) {
        let root = Fields(try JSONReader.read(json), "")
        self.init(
            ulid: try root.ulid("ulid"), minTimeMs: try root.integer("minTime"), maxTimeMs: try root.integer("maxTime"))
        let stats = Fields(root["stats"], "stats.")
        statistics.samples = try stats.unsigned("numSamples")
        statistics.floatSamples = try stats.unsigned("numFloatSamples")
        statistics.histogramSamples = try stats.unsigned("numHistogramSamples")
        statistics.series = try stats.unsigned("numSeries")
        statistics.chunks = try stats.unsigned("numChunks")
        statistics.tombstones = try stats.unsigned("numTombstones")
        let compaction = Fields(root["compaction"], "compaction.")
        self.compaction.level = try compaction.integer("level")
        self.compaction.isDeletable = try compaction.flag("deletable")
        self.compaction.hasFailed = try compaction.flag("failed")
        for source in try compaction.list("sources") {
            self.compaction.sources.append(try Fields.ulid(source, "compaction.sources"))
        }
        for parent in try compaction.list("parents") {
            let fields = Fields(parent, "compaction.parents.")
            self.compaction.parents.append(
                Parent(
                    ulid: try fields.ulid("ulid"), minTimeMs: try fields.integer("minTime"),
                    maxTimeMs: try fields.integer("maxTime")))
        }
        for hint in try compaction.list("hints") {
            guard case .string(let text) = hint else { throw Fields.mismatch("compaction.hints", "string") }
            self.compaction.hints.append(text)
        }
        let version = try root.integer("version")
        if version != Self.version { throw JSONError(description: "unexpected meta file version \(version)", offset: 0) }
    }

    public var json: [UInt8] {
        var writer = IndentedJSON()
        writer.object { writer in
            writer.field("ulid", ulid)
            writer.field("minTime", minTimeMs)
            writer.field("maxTime", maxTimeMs)
            writer.field("stats") { writer in
                writer.object { writer in
                    writer.nonZero("numSamples", statistics.samples)
                    writer.nonZero("numFloatSamples", statistics.floatSamples)
                    writer.nonZero("numHistogramSamples", statistics.histogramSamples)
                    writer.nonZero("numSeries", statistics.series)
                    writer.nonZero("numChunks", statistics.chunks)
                    writer.nonZero("numTombstones", statistics.tombstones)
                }
            }
            writer.field("compaction") { writer in
                writer.object { writer in
                    writer.field("level", compaction.level)
                    writer.list("sources", compaction.sources) { $0.string($1.bytes) }
                    if compaction.isDeletable { writer.field("deletable") { $0.raw("true") } }
                    writer.list("parents", compaction.parents) { writer, parent in
                        writer.object { writer in
                            writer.field("ulid", parent.ulid)
                            writer.field("minTime", parent.minTimeMs)
                            writer.field("maxTime", parent.maxTimeMs)
                        }
                    }
                    if compaction.hasFailed { writer.field("failed") { $0.raw("true") } }
                    writer.list("hints", compaction.hints) { $0.string($1.bytes) }
                }
            }
            writer.field("version", Self.version)
        }
        return writer.bytes
    }
}

/// The fields of one object, with the zero value for those that are not there or null.
private struct Fields {
    private let value: JSONValue?
    private let path: String

    init(_ value: JSONValue?, _ path: String) {
        self.value = value
        self.path = path
    }

    subscript(name: ByteString) -> JSONValue? {
        guard let found = value?[name], found != .null else { return nil }
        return found
    }

    static func mismatch(_ path: String, _ type: String) -> JSONError {
        JSONError(description: "json: cannot unmarshal \(path): expected \(type)", offset: 0)
    }

    func integer(_ name: ByteString) throws(JSONError) -> Int64 {
        guard let field = self[name] else { return 0 }
        guard let number = field.int64 else { throw Self.mismatch(path + name.description, "int64") }
        return number
    }
    func unsigned(_ name: ByteString) throws(JSONError) -> UInt64 {
        guard let field = self[name] else { return 0 }
        guard let number = field.uint64 else { throw Self.mismatch(path + name.description, "uint64") }
        return number
    }
    func flag(_ name: ByteString) throws(JSONError) -> Bool {
        guard let field = self[name] else { return false }
        guard case .bool(let flag) = field else { throw Self.mismatch(path + name.description, "bool") }
        return flag
    }
    func list(_ name: ByteString) throws(JSONError) -> [JSONValue] {
        guard let field = self[name] else { return [] }
        guard case .array(let values) = field else { throw Self.mismatch(path + name.description, "array") }
        return values
    }
    func ulid(_ name: ByteString) throws(JSONError) -> ULID {
        guard let field = self[name] else { return ULID(high: 0, low: 0) }
        return try Self.ulid(field, path + name.description)
    }
    static func ulid(_ value: JSONValue, _ path: String) throws(JSONError) -> ULID {
        guard case .string(let text) = value else { throw mismatch(path, "ulid") }
        guard let ulid = ULID(text.bytes) else {
            throw JSONError(
                description: text.count == 26 ? "ulid: bad data when unmarshaling" : "ulid: bad data size when unmarshaling",
                offset: 0)
        }
        return ulid
    }
}

/// Writes JSON as Go's `json.MarshalIndent(…, "", "\t")` does.
private struct IndentedJSON {
    private(set) var bytes: [UInt8] = []
    private var depth = 0
    private var isFirst = true

    private mutating func newLine() {
        bytes.append(0x0A)
        bytes.append(contentsOf: repeatElement(0x09, count: depth))
    }

    private mutating func element() {
        if !isFirst { bytes.append(UInt8(ascii: ",")) }
        isFirst = false
        newLine()
    }

    private mutating func nested(_ open: String, _ close: String, _ body: (inout IndentedJSON) -> Void) {
        raw(open)
        depth += 1
        isFirst = true
        body(&self)
        depth -= 1
        if !isFirst { newLine() }
        isFirst = false
        raw(close)
    }

    mutating func raw(_ text: String) { bytes.append(contentsOf: text.utf8) }

    mutating func object(_ body: (inout IndentedJSON) -> Void) { nested("{", "}", body) }

    mutating func field(_ name: String, _ body: (inout IndentedJSON) -> Void) {
        element()
        raw("\"\(name)\": ")
        body(&self)
    }
    mutating func field(_ name: String, _ number: Int64) { field(name) { $0.bytes.appendDecimal(number) } }
    mutating func field(_ name: String, _ ulid: ULID) { field(name) { $0.string(ulid.bytes) } }
    mutating func nonZero(_ name: String, _ number: UInt64) {
        if number != 0 { field(name) { $0.bytes.appendDecimal(number) } }
    }
    mutating func list<Element>(_ name: String, _ elements: [Element], _ write: (inout IndentedJSON, Element) -> Void) {
        if elements.isEmpty { return }
        field(name) { writer in
            writer.nested("[", "]") { writer in
                for element in elements {
                    writer.element()
                    write(&writer, element)
                }
            }
        }
    }

    mutating func string(_ content: [UInt8]) {
        let digits = Array("0123456789abcdef".utf8)
        bytes.append(UInt8(ascii: "\""))
        for byte in content {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes.append(contentsOf: [UInt8(ascii: "\\"), byte])
            // Go escapes these three, too, for the sake of HTML.
            case 0..<0x20, 0x7F, UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "&"):
                raw("\\u00")
                bytes.append(digits[Int(byte >> 4)])
                bytes.append(digits[Int(byte & 15)])
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}
