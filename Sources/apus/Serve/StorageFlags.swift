import ApusModel
import ApusTSDB
import ArgumentParser

/// Where samples are kept.
enum StorageMode: String, ExpressibleByArgument, CaseIterable, Sendable {
    /// In a directory, as Prometheus keeps them.
    case disk
    /// Nowhere but in memory.
    case memory
}

extension WALCompression: ExpressibleByArgument {
    public init?(argument: String) { self.init(rawValue: argument) }
}

/// Bytes with a unit, `512MB`, `1.5GiB`, all powers of 1024, or 0.
struct SizeFlag: ExpressibleByArgument, Sendable, CustomStringConvertible {
    let bytes: Int
    let text: String
    init(bytes: Int) {
        self.bytes = bytes
        text = bytes == 0 ? "0" : "\(bytes)B"
    }
    init?(argument: String) {
        let number = argument.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let unit = argument.dropFirst(number.count)
        guard let value = Double(number), value >= 0 else { return nil }
        let shifts: [Substring: Int] = [
            "B": 0, "KB": 10, "KiB": 10, "MB": 20, "MiB": 20, "GB": 30, "GiB": 30, "TB": 40, "TiB": 40, "PB": 50, "PiB": 50,
            "EB": 60, "EiB": 60,
        ]
        if unit.isEmpty, value == 0 {
            bytes = 0
        } else {
            guard let shift = shifts[unit], let whole = Int(exactly: (value * Double(1 << shift)).rounded(.towardZero)) else {
                return nil
            }
            bytes = whole
        }
        text = argument
    }
    var description: String { text }
    var defaultValueDescription: String { text }
}

struct StorageFlags: ParsableArguments {
    @Option(
        name: .customLong("storage.mode"),
        help:
            "Where samples are kept. disk: in --storage.tsdb.path. memory: nowhere else, and they are gone when the server stops."
    )
    var mode = StorageMode.disk

    @Option(
        name: .customLong("storage.tsdb.path"),
        help: "Directory for samples, as Prometheus has it. Not used with --storage.mode=memory.")
    var path = "data/"

    @Option(
        name: .customLong("storage.tsdb.retention.time"),
        help:
            "How long to keep samples; 15d when neither time nor size is given. The configuration's storage.tsdb.retention wins.")
    var retentionTime: DurationFlag?

    @Option(
        name: .customLong("storage.tsdb.retention.size"),
        help:
            "Most bytes of blocks and logs, with a unit: 512MB. The oldest blocks go. The configuration's storage.tsdb.retention wins."
    )
    var retentionSize = SizeFlag(bytes: 0)

    @Flag(name: .customLong("storage.tsdb.no-lockfile"), inversion: .prefixedNo, help: "Do not lock the data directory. Two servers in one directory ruin it.")
    var hasNoLockFile = false

    @Option(
        name: .customLong("storage.tsdb.min-block-duration"),
        help: ArgumentHelp("Time of a block written from memory.", visibility: .hidden))
    var minBlockDuration = DurationFlag(ms: DatabaseOptions.defaultBlockDurationMs)

    @Option(
        name: .customLong("storage.tsdb.max-block-duration"),
        help: ArgumentHelp("Longest time of a compacted block; 0: 31 days or a tenth of the retention.", visibility: .hidden))
    var maxBlockDuration = DurationFlag(ms: 0)

    @Option(
        name: .customLong("storage.tsdb.wal-segment-size"),
        help: ArgumentHelp("Size of a segment of the log.", visibility: .hidden))
    var walSegmentSize = SizeFlag(bytes: 128 << 20)

    @Flag(
        name: .customLong("storage.tsdb.wal-compression"), inversion: .prefixedNo,
        help: ArgumentHelp("Compress the log.", visibility: .hidden))
    var isWALCompressed = true

    @Option(
        name: .customLong("storage.tsdb.wal-compression-type"),
        help: ArgumentHelp("How the log is compressed.", visibility: .hidden))
    var walCompression = WALCompression.snappy

    @Option(
        name: .customLong("storage.wal.sync-interval"),
        help: "How often the log is synced to the disk: what a power cut may take. A killed server loses nothing.")
    var walSyncInterval = DurationFlag(ms: 1000)

    @Option(
        name: .customLong("storage.tsdb.samples-per-chunk"),
        help: ArgumentHelp("Samples after which a chunk is full.", visibility: .hidden))
    var samplesPerChunk = 120

    @Option(
        name: .customLong("storage.tsdb.head-chunks-write-queue-size"),
        help: ArgumentHelp("Taken and not needed.", visibility: .hidden))
    var headChunksWriteQueueSize = 0

    @Flag(
        name: .customLong("storage.tsdb.allow-overlapping-blocks"), inversion: .prefixedNo,
        help: ArgumentHelp("Taken; overlapping blocks are always allowed.", visibility: .hidden))
    var allowsOverlappingBlocks = true

    @Flag(
        name: .customLong("storage.fast-start"), inversion: .prefixedNo,
        help: "Leave a snapshot of what is in memory when stopping, from which the next start is quick.")
    var hasFastStart = true

    @Option(
        name: .customLong("storage.decoded-cache-size"),
        help: "Memory for decoded samples of blocks, so that the next refresh of a dashboard is quicker, with a unit: 64MB. 0: none.")
    var decodedCacheSize = SizeFlag(argument: "24MB") ?? SizeFlag(bytes: DecodedCache.defaultLimitBytes)

    @Option(
        name: .customLong("storage.head.max-series"), help: "Most series in memory; new ones beyond are refused. 0: no limit.")
    var maximumSeries = 0

    @Option(
        name: .customLong("memory.limit"),
        help:
            "Memory for samples, series and queries, with a unit: 2GB. Near it, chunks are sealed early, expensive queries and then new series refused. 0: no limit."
    )
    var memoryLimit = SizeFlag(bytes: 0)
}

extension StorageFlags {
    func validate() throws {
        guard maximumSeries >= 0 else { throw ValidationError("--storage.head.max-series must not be negative") }
        guard minBlockDuration.ms > 0 else { throw ValidationError("--storage.tsdb.min-block-duration must be greater than 0") }
        guard maxBlockDuration.ms == 0 || maxBlockDuration.ms >= minBlockDuration.ms else {
            throw ValidationError("--storage.tsdb.max-block-duration must not be less than --storage.tsdb.min-block-duration")
        }
        // Upstream's bounds.
        guard (10 << 20)...(256 << 20) ~= walSegmentSize.bytes else {
            throw ValidationError("flag 'storage.tsdb.wal-segment-size' must be set between 10MB and 256MB")
        }
        guard walSyncInterval.ms > 0 else { throw ValidationError("--storage.wal.sync-interval must be greater than 0") }
        guard (2...440).contains(samplesPerChunk) else {
            throw ValidationError("--storage.tsdb.samples-per-chunk must be between 2 and 440")
        }
        guard memoryLimit.bytes == 0 || memoryLimit.bytes >= Self.leastMemoryLimit else {
            throw ValidationError("--memory.limit must be 0 or at least \(Self.leastMemoryLimit >> 20)MB")
        }
    }

    /// What the server itself needs before it has a series.
    static let leastMemoryLimit = 16 << 20

    /// The flags as `/status/flags` shows them.
    var shown: [String: String] {
        [
            "storage.mode": mode.rawValue,
            "storage.tsdb.path": path,
            "storage.tsdb.retention.time": (retentionTime ?? DurationFlag(ms: 0)).description,
            "storage.tsdb.retention.size": retentionSize.description,
            "storage.tsdb.no-lockfile": String(hasNoLockFile),
            "storage.tsdb.min-block-duration": minBlockDuration.description,
            "storage.tsdb.max-block-duration": maxBlockDuration.description,
            "storage.tsdb.wal-segment-size": walSegmentSize.description,
            "storage.tsdb.wal-compression": String(isWALCompressed),
            "storage.tsdb.wal-compression-type": walCompression.rawValue,
            "storage.wal.sync-interval": walSyncInterval.description,
            "storage.tsdb.samples-per-chunk": String(samplesPerChunk),
            "storage.tsdb.head-chunks-write-queue-size": String(headChunksWriteQueueSize),
            "storage.fast-start": String(hasFastStart),
            "storage.decoded-cache-size": decodedCacheSize.description,
            "storage.head.max-series": String(maximumSeries),
            "memory.limit": memoryLimit.description,
        ]
    }
}
