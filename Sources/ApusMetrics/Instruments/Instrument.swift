import ApusBytes
import ApusExposition
import ApusModel
import Synchronization

/// What all metrics of a registry share.
@usableFromInline
final class RegistryContext: Sendable {
    let faults = UpdateFaults()
    let time: any TimeSource
    /// Says what leads from an observation elsewhere, or nil.
    let exemplarProvider: ExemplarProvider?
    /// How old an exemplar must be before another one, asked of the provider, takes its place.
    let exemplarIntervalNs: UInt64

    init(time: any TimeSource, exemplarProvider: ExemplarProvider?, exemplarIntervalMs: Int64) {
        self.time = time
        self.exemplarProvider = exemplarProvider
        exemplarIntervalNs = UInt64(clamping: max(0, exemplarIntervalMs)).multipliedReportingOverflow(by: 1_000_000).partialValue
    }
}

/// What a family gives to a metric it makes.
struct InstrumentSeed: Sendable {
    /// The label values, as `LabelWriter` writes them.
    let key: [UInt8]
    let context: RegistryContext
    /// Whether the metric goes when nobody updates it.
    var expires = false
}

/// What counters, gauges, histograms and the others have in common: the series they are.
///
/// Keep the handle where a metric is updated often: an update through it touches nothing but the metric's own cells.
/// A handle stays usable after its series was removed from the registry; it is only no longer shown.
@safe
public class Instrument: @unchecked Sendable {
    // `@unchecked` because it has subclasses: everything here is constant or atomic, and theirs is, too, or locked.

    let context: RegistryContext
    /// The label values by which the family finds it. Owned; the family's table points here.
    let keyStart: UnsafeMutablePointer<UInt8>
    let keyCount: Int
    /// When counting began, in milliseconds since the epoch.
    let createdMs: Atomic<Int64>
    /// What an update does beside updating; mostly nothing, so that one comparison with zero decides.
    let duties: Duties
    /// Whether it was updated or asked for since a family last looked for what expired. Kept only if it `expires`.
    let isTouched = Atomic<Bool>(true)
    let lastTouchedMs: Atomic<Int64>
    /// The address of its `ExemplarSlots`, retained; 0 for as long as it has none.
    let exemplarSlots = Atomic<UInt>(0)

    struct Duties: OptionSet {
        let rawValue: UInt8
        static let expires = Duties(rawValue: 1)
        static let samplesExemplars = Duties(rawValue: 2)
    }

    init(_ seed: InstrumentSeed) {
        context = seed.context
        keyCount = seed.key.count
        unsafe keyStart = .allocate(capacity: max(seed.key.count, 1))
        for (index, byte) in seed.key.enumerated() { unsafe (keyStart + index).initialize(to: byte) }
        let now = seed.context.time.wallMs()
        createdMs = Atomic(now)
        lastTouchedMs = Atomic(now)
        var duties: Duties = seed.expires ? .expires : []
        if seed.context.exemplarProvider != nil { duties.insert(.samplesExemplars) }
        self.duties = duties
    }

    deinit {
        unsafe keyStart.deallocate()
        releaseExemplarSlots()
    }

    /// The number of a cell, if an update is to add to it and nothing else; else -1.
    var simpleCell: Int32 { -1 }

    /// The label values by which its family finds it.
    var key: [UInt8] { unsafe Array(UnsafeBufferPointer(start: keyStart, count: keyCount)) }

    /// Begins a page. Whether a wait for all threads, once for all that say so, makes what follows faster.
    func prepareForPage() -> Bool { false }

    /// What it says now, exemplars included.
    func currentValue() -> PointValue { .number(0) }

    /// Appends the values of its lines, in the order of `TextLines.forEachLine`.
    func appendWords(to words: inout [UInt64]) { currentValue().appendWords(to: &words) }

    /// When its counting began; nil for what does not count.
    var countsSinceMs: Int64? { createdMs.load(ordering: .relaxed) }

    /// Remembers that somebody uses it.
    @inline(__always)
    func touch() {
        if duties.contains(.expires), !isTouched.load(ordering: .relaxed) { isTouched.store(true, ordering: .relaxed) }
    }

    /// Whether it has not been touched for `ageMs`.
    func hasExpired(now: Int64, ageMs: Int64) -> Bool {
        if isTouched.exchange(false, ordering: .relaxed) {
            lastTouchedMs.store(now, ordering: .relaxed)
            return false
        }
        return now.subtractingReportingOverflow(lastTouchedMs.load(ordering: .relaxed)).partialValue >= ageMs
    }
}
