#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Exponential buckets that come into being where observations fall: how fine, and how many at most.
///
///     let latency = try registry.histogram("latency_seconds", help: "…", buckets: .none, native: NativeBuckets())
///
/// When there would be too many, three things are done in this order: begin anew, if the histogram is old enough; else
/// take the buckets nearest to zero into the zero bucket, if it may grow that far; else join neighbours, which halves the
/// resolution. Only the protobuf format and OpenMetrics 2.0 carry such buckets.
public struct NativeBuckets: Sendable, Equatable {
    /// Each bucket's bound is at most this times the one before. Above 1; 1.1 gives quantiles within 5 %.
    public var factor = 1.1
    /// Values of at most this magnitude are zero.
    public var zeroThreshold = NativeBuckets.smallestZeroThreshold
    /// More buckets than this, not counting the zero bucket, are reduced; 0 for no limit.
    public var maxBuckets = 160
    /// How far the zero bucket may grow when there are too many buckets; 0 for not at all.
    public var maxZeroThreshold = 0.0
    /// How old, in milliseconds, a histogram must be to begin anew when it has too many buckets, or has had; 0 for never.
    public var minResetMs: Int64 = 0
    /// Observations that are kept to lead elsewhere.
    public var maxExemplars = 10
    /// How long such an observation is kept, in milliseconds, before any other may take its place.
    public var exemplarTTLMs: Int64 = 300_000

    public init(factor: Double = 1.1) { self.factor = factor }

    /// 2⁻¹²⁸, which what is meant as zero does not exceed.
    public static let smallestZeroThreshold = 0x1p-128

    /// The coarsest schema whose buckets grow by no more than `factor`: the largest power 2^(2^-schema) below it.
    var schema: Int32 {
        let exponent = log2(log2(factor)).rounded(.down)
        if exponent <= -8 { return 8 }
        if exponent >= 4 { return -4 }
        return -Int32(exponent)
    }

    var isValid: Bool {
        factor > 1 && factor.isFinite && zeroThreshold >= 0 && zeroThreshold.isFinite && maxBuckets >= 0 && maxZeroThreshold >= 0
            && maxZeroThreshold.isFinite && minResetMs >= 0 && (0...1000).contains(maxExemplars) && exemplarTTLMs >= 0
    }
}
