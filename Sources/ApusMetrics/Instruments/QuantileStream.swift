/// A quantile to estimate, and how far its rank may be off: 0.99 ± 0.001 is a value between the 0.989 and the 0.991
/// quantile.
public struct Quantile: Sendable, Equatable {
    public let rank: Double
    public let error: Double
    public init(_ rank: Double, error: Double) {
        self.rank = rank
        self.error = error
    }
    var isValid: Bool { (0...1).contains(rank) && error >= 0 && error < 1 }
}

/// Estimates chosen quantiles of a stream in little memory.
///
/// Source: Cormode, Korn, Muthukrishnan, Srivastava, "Effective Computation of Biased Quantiles over Data Streams",
/// ICDE 2005, §4 (targeted quantiles). Kept samples are sorted; each stands for `width` observations, and its rank is
/// known up to `slack`. Neighbours are merged as long as the rank of every target stays within its error.
struct QuantileStream: Sendable {
    private struct Kept {
        var value: Double
        var width: Double
        var slack: Double
    }
    private let targets: [Quantile]
    private var kept: [Kept] = []
    private(set) var count: Double = 0

    init(_ targets: [Quantile]) { self.targets = targets }

    mutating func removeAll() {
        kept.removeAll(keepingCapacity: true)
        count = 0
    }

    /// Adds observations, which must be sorted.
    mutating func insert(sorted values: [Double]) {
        var merged: [Kept] = []
        merged.reserveCapacity(kept.count + values.count)
        var rank = 0.0
        var next = 0
        for value in values {
            while next < kept.count, kept[next].value <= value {
                rank += kept[next].width
                merged.append(kept[next])
                next += 1
            }
            // At either end the rank is exact.
            let slack = next == kept.count ? 0 : max(0, allowedError(atRank: rank).rounded(.down) - 1)
            merged.append(Kept(value: value, width: 1, slack: slack))
            count += 1
            rank += 1
        }
        merged.append(contentsOf: kept[next...])
        kept = merged
        compress()
    }

    /// The value at `rank` (0...1) of what was inserted, NaN if that is nothing.
    func query(_ rank: Double) -> Double {
        guard var previous = kept.first else { return .nan }
        var target = (rank * count).rounded(.up)
        target += (allowedError(atRank: target) / 2).rounded(.up)
        var seen = 0.0
        for sample in kept.dropFirst() {
            seen += previous.width
            if seen + sample.width + sample.slack > target { return previous.value }
            previous = sample
        }
        return previous.value
    }

    /// How uncertain a rank may be here without harm to any target: f(r, n) of the paper.
    private func allowedError(atRank rank: Double) -> Double {
        var allowed = Double.infinity
        for target in targets {
            let error =
                target.rank * count <= rank
                ? 2 * target.error * rank / target.rank
                : 2 * target.error * (count - rank) / (1 - target.rank)
            // 0 ÷ 0 at the ends is no limit.
            if error < allowed { allowed = error }
        }
        return allowed
    }

    private mutating func compress() {
        guard var right = kept.last, kept.count > 1 else { return }
        var compressed: [Kept] = []
        compressed.reserveCapacity(kept.count)
        var rank = count - 1 - right.width
        for left in kept.dropLast().reversed() {
            if left.width + right.width + right.slack <= allowedError(atRank: rank) {
                right.width += left.width
            } else {
                compressed.append(right)
                right = left
            }
            rank -= left.width
        }
        compressed.append(right)
        kept = compressed.reversed()
    }
}
