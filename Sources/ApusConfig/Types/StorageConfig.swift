import ApusModel

/// What the `storage` section sets; nil where the file says nothing and a flag may.
public struct StorageConfig: Sendable, Hashable {
    /// How long the series that a selector finds are kept, where that is not as long as the rest.
    public struct RetentionRule: Sendable, Hashable {
        /// A selector such as `{job="debug"}`, still text: this module knows no query language.
        public var match: String
        public var timeMs: Int64
        /// Where the file has the rule, for an error about its selector.
        public var position: ConfigPosition?
    }

    /// 0 keeps everything, whatever its age.
    public var retentionMs: Int64?
    /// Bytes of all the database's files; 0 means no limit by size.
    public var retentionSizeBytes: Int64?
    /// The same as a share of the disk, 0 to 100; 0 means no limit. Goes before the size in bytes.
    public var retentionPercentage: Double?
    public var retentionRules: [RetentionRule] = []
    public var outOfOrderTimeWindowMs: Int64 = 0
    /// How many exemplars are kept in memory; 0 for none, nil when there is no section about them.
    public var maxExemplars: Int64?
    /// What a section without a number, or the feature's flag alone, means.
    public static let defaultMaxExemplars: Int64 = 100_000
    /// Whether new chunks of floats are XOR2, which Prometheus before 3.11 can't read; nil when the file doesn't say.
    public var usesXOR2Chunks: Bool?
    /// Where the file has the encoding, for an error about it.
    public var chunkEncodingPosition: ConfigPosition?

    public init() {}

    init(_ section: ConfigObject?) {
        guard let section else { return }
        if let exemplars = section.object("exemplars") { maxExemplars = exemplars.int("max_exemplars") }
        guard let tsdb = section.object("tsdb") else { return }
        outOfOrderTimeWindowMs = tsdb.int("out_of_order_time_window")
        if let encoding = tsdb.object("chunk_encoding"), encoding.isSet("floats") {
            usesXOR2Chunks = encoding.string("floats") == "xor2"
            chunkEncodingPosition = encoding.position(of: "floats")
        }
        guard let retention = tsdb.object("retention") else { return }
        if retention.isSet("time") { retentionMs = retention.int("time") }
        if retention.isSet("size") { retentionSizeBytes = retention.int("size") }
        if retention.isSet("percentage") { retentionPercentage = retention.double("percentage") }
        retentionRules = retention.objects("rules").map { rule in
            RetentionRule(match: rule.string("match"), timeMs: rule.int("time"), position: rule.position(of: "match"))
        }
    }
}
