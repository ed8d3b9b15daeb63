import ApusModel
public import ApusStorage

/// What a record of a log holds: its first byte.
public enum RecordType: UInt8, Sendable, CaseIterable {
    case series = 1
    case samples = 2
    case tombstones = 3
    case exemplars = 4
    /// In a `wbl` only: the out-of-order samples of a series up to here are in a mapped chunk.
    case mmapMarkers = 5
    case metadata = 6
    case histogramSamples = 7
    case floatHistogramSamples = 8
    case customBucketsHistogramSamples = 9
    case customBucketsFloatHistogramSamples = 10
    // With start timestamps: servers before 3.11 skip them without a word. Written when a batch has any.
    case samplesV2 = 11
    case histogramSamplesV2 = 12
    case floatHistogramSamplesV2 = 13
    /// In checkpoints of newer servers: samples before this time are gone on purpose. Read, never written.
    case minValidTime = 14

    /// As errors and metrics call it.
    var name: String {
        switch self {
        case .series: "series"
        case .samples: "samples"
        case .tombstones: "tombstones"
        case .exemplars: "exemplars"
        case .mmapMarkers: "mmap markers"
        case .metadata: "metadata"
        case .histogramSamples: "histogram samples"
        case .floatHistogramSamples: "float histogram samples"
        case .customBucketsHistogramSamples: "custom buckets histogram samples"
        case .customBucketsFloatHistogramSamples: "custom buckets float histogram samples"
        case .samplesV2: "samples v2"
        case .histogramSamplesV2: "histogram samples v2"
        case .floatHistogramSamplesV2: "float histogram samples v2"
        case .minValidTime: "min valid time"
        }
    }
}

/// Samples of a series between two times, both included, were deleted.
public struct TombstoneRecord: Sendable, Equatable {
    public let ref: SeriesRef
    public let minTimeMs: Int64
    public let maxTimeMs: Int64
    public init(ref: SeriesRef, minTimeMs: Int64, maxTimeMs: Int64) {
        self.ref = ref
        self.minTimeMs = minTimeMs
        self.maxTimeMs = maxTimeMs
    }
}

/// All out-of-order samples of a series that were logged before are in mapped chunks, the newest of which is `chunkRef`.
public struct MmapMarkerRecord: Sendable, Equatable {
    public let ref: SeriesRef
    /// File number in the upper 32 bits, offset in that file in the lower.
    public let chunkRef: UInt64
    public init(ref: SeriesRef, chunkRef: UInt64) {
        self.ref = ref
        self.chunkRef = chunkRef
    }
}

/// Why the bytes of a record cannot be decoded.
public struct RecordError: Error, Equatable, Sendable, CustomStringConvertible {
    /// As `RecordType.name`.
    public let type: String
    public let reason: String
    public var description: String { "decode \(type): \(reason)" }
}

extension MetricType {
    /// The number that records of metadata give it.
    var recordCode: UInt8 {
        switch self {
        case .unknown: 0
        case .counter: 1
        case .gauge: 2
        case .histogram: 3
        case .gaugehistogram: 4
        case .summary: 5
        case .info: 6
        case .stateset: 7
        }
    }

    init(recordCode: UInt8) {
        self =
            switch recordCode {
            case 1: .counter
            case 2: .gauge
            case 3: .histogram
            case 4: .gaugehistogram
            case 5: .summary
            case 6: .info
            case 7: .stateset
            default: .unknown
            }
    }
}
