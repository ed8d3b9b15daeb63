import ApusMetrics
import ApusModel
import Synchronization

extension MetricRegistry {
    var page: String { String(decoding: renderText(), as: UTF8.self) }
    /// The page without comment lines.
    var samples: [String] { page.split(separator: "\n").filter { !$0.hasPrefix("#") }.map(String.init) }
}

/// A clock that stands until it is moved.
final class TestTime: TimeSource {
    private let nowNs = Atomic<UInt64>(1_000_000_000)
    func advance(ms: UInt64) { nowNs.wrappingAdd(ms * 1_000_000, ordering: .relaxed) }
    func wallMs() -> Int64 { 1_700_000_000_000 + Int64(nowNs.load(ordering: .relaxed) / 1_000_000) }
    func monotonicNs() -> UInt64 { nowNs.load(ordering: .relaxed) }
}

enum Method: String, LabelValue { case get, post, put }
