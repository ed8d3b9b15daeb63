import ApusConfig
import ApusModel
import Glibc

/// What a job's configuration wants of native histograms: no more than so many buckets, none of them too narrow.
struct HistogramLimits {
    struct Refusal: Error, Equatable {
        let reason: String
        var isBucketLimit = false
    }

    /// Buckets on both sides; 0 for any number.
    let bucketLimit: Int
    /// Histograms of a finer schema are made coarser.
    let maxSchema: Int32

    init(_ config: ScrapeConfig) {
        self.init(bucketLimit: config.nativeHistogramBucketLimit, minBucketFactor: config.nativeHistogramMinBucketFactor)
    }

    /// - Parameter minBucketFactor: the least growth from one bucket's bound to the next; 0 for any.
    init(bucketLimit: Int, minBucketFactor: Double) {
        self.bucketLimit = bucketLimit
        let finest = HistogramLayout.exponentialSchemas.upperBound
        guard minBucketFactor > 1 else {
            maxSchema = finest
            return
        }
        // Of schema s the growth is 2^(2^−s); the finest that grows by at least the factor.
        let schema = (-log2(log2(minBucketFactor))).rounded(.down)
        maxSchema = schema >= Double(finest) ? finest : Int32(max(schema, Double(HistogramLayout.exponentialSchemas.lowerBound)))
    }

    /// The histogram as it may be stored.
    /// - Throws: when it makes no sense, or has too many buckets even when they are as wide as they can be.
    func apply(to histogram: NativeHistogram) throws(Refusal) -> NativeHistogram {
        var result = histogram
        if !result.layout.hasCustomBounds, HistogramLayout.reservedSchemas.contains(result.layout.schema) {
            result = result.reduced(toSchema: maxSchema)
        }
        do throws(HistogramError) { try result.validate() } catch { throw Refusal(reason: error.description) }
        guard bucketLimit > 0 else { return result }
        let lowest = HistogramLayout.exponentialSchemas.lowerBound
        while result.words.count > bucketLimit {
            if result.layout.hasCustomBounds || result.layout.schema <= lowest {
                throw Refusal(reason: "histogram bucket limit exceeded", isBucketLimit: true)
            }
            result = result.reduced(toSchema: result.layout.schema - 1)
        }
        return result
    }
}
