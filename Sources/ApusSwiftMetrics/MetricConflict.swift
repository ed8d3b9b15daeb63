import ApusMetrics
import ApusModel
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Something handed over through swift-metrics that does not fit what was handed over before. It is shown nevertheless:
///
/// | kind | when | shown as |
/// |---|---|---|
/// | `type` | a label is used for two types of metric, or two labels become one name | the later one gets the type's name behind its own |
/// | `dimensions` | a label is used with other names of dimensions than before | a series of the same metric |
/// | `duplicateDimension` | two dimensions have, or become, one name | with the last of them |
/// | `unusable` | no name can be found | not at all; updates go nowhere |
public struct MetricConflict: Sendable, Equatable, CustomStringConvertible {
    public enum Kind: String, Sendable, CaseIterable {
        case type
        case dimensions
        case duplicateDimension = "duplicate_dimension"
        case unusable
    }
    public let kind: Kind
    /// As handed over.
    public let label: String
    /// What happened, and what was done about it.
    public let description: String
}

/// Counts conflicts and reports each only once: a library makes its metrics at each request.
final class ConflictLog: Sendable {
    /// Different conflicts reported; beyond that they are only counted.
    static let maximumReports = 1000

    private struct Report: Hashable {
        let kind: MetricConflict.Kind
        let label: String
        let detail: String
    }
    private struct State {
        var reported: Set<Report> = []
        var pending: [MetricConflict] = []
    }
    private let state = Locked(State())
    private let total = Atomic<UInt64>(0)
    private let counters: [MetricConflict.Kind: Counter]
    private let report: @Sendable (MetricConflict) -> Void

    init(_ registry: MetricRegistry, report: @escaping @Sendable (MetricConflict) -> Void) {
        self.report = report
        // Where the name is taken by somebody the conflicts are counted nonetheless, in `count`.
        let family = try? registry.counter(
            "swift_metrics_conflicts_total", help: "Metrics made through swift-metrics that do not fit those made before.",
            labels: .label("kind", as: String.self))
        var counters: [MetricConflict.Kind: Counter] = [:]
        if let family { for kind in MetricConflict.Kind.allCases { counters[kind] = family(kind.rawValue) } }
        self.counters = counters
    }

    var count: UInt64 { total.load(ordering: .relaxed) }

    func add(_ kind: MetricConflict.Kind, _ label: String, _ detail: String) {
        total.wrappingAdd(1, ordering: .relaxed)
        counters[kind]?.increment()
        state.withLock { state in
            guard state.reported.count < Self.maximumReports,
                state.reported.insert(Report(kind: kind, label: label, detail: detail)).inserted
            else { return }
            state.pending.append(MetricConflict(kind: kind, label: label, description: detail))
        }
    }

    /// Reports what is new. Apart from `add`, which is called under a lock that a report might want.
    func reportAll() {
        let pending = state.withLock { state in
            let pending = state.pending
            state.pending = []
            return pending
        }
        for conflict in pending { report(conflict) }
    }

    /// A line on the standard error.
    static func print(_ conflict: MetricConflict) {
        let line = Array("swift-metrics: \(conflict.label.debugDescription): \(conflict.description)\n".utf8)
        // SAFETY: the pointer is valid for `count` bytes during the call, which reads them.
        _ = unsafe line.withUnsafeBytes { unsafe write(2, $0.baseAddress, $0.count) }
    }
}
