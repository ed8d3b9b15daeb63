#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The upper bounds of a histogram's buckets, without the last one, which takes the rest.
public struct Buckets: Sendable, Equatable, ExpressibleByArrayLiteral {
    public let upperBounds: [Double]

    public init(_ upperBounds: [Double]) {
        // `+Inf` is always there; written out, it is the same bucket.
        self.upperBounds = upperBounds.last == .infinity ? Array(upperBounds.dropLast()) : upperBounds
    }
    public init(arrayLiteral elements: Double...) { self.init(elements) }

    /// 5 ms to 10 s: for the time it takes to answer a request, in seconds.
    public static let requestSeconds = Buckets([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10])

    /// No bucket but the native ones, which must be asked for beside it.
    public static let none = Buckets([])

    /// `start`, `start + width`, …, `count` of them.
    public static func linear(start: Double, width: Double, count: Int) -> Buckets {
        Buckets((0..<min(max(count, 0), maxCount + 1)).map { start + Double($0) * width })
    }

    /// `start`, `start × factor`, …, `count` of them.
    public static func exponential(start: Double, factor: Double, count: Int) -> Buckets {
        var bounds: [Double] = []
        var bound = start
        for _ in 0..<min(max(count, 0), maxCount + 1) {
            bounds.append(bound)
            bound *= factor
        }
        return Buckets(bounds)
    }

    /// From `min` to `max`, each as many times the one before, `count` of them.
    public static func exponentialRange(min: Double, max: Double, count: Int) -> Buckets {
        let count = Swift.min(Swift.max(count, 0), maxCount + 1)
        let factor = count > 1 ? pow(max / min, 1 / Double(count - 1)) : 1
        return Buckets((0..<count).map { min * pow(factor, Double($0)) })
    }

    /// Beyond this a histogram costs more series than it tells.
    public static let maxCount = 512

    var isValid: Bool {
        !upperBounds.isEmpty && upperBounds.count <= Self.maxCount && upperBounds.allSatisfy(\.isFinite)
            && zip(upperBounds, upperBounds.dropFirst()).allSatisfy { $0 < $1 }
    }
}
