import ApusBytes
import ApusExposition
import ApusModel
import Synchronization

/// Labels that lead from one observation elsewhere, mostly to a trace: `[("trace_id", "4bf9…")]`.
public typealias ExemplarLabels = [(String, String)]

/// Asked at an update what leads elsewhere from it; nil for nothing, as when the request is not traced.
public typealias ExemplarProvider = @Sendable () -> ExemplarLabels?

/// The exemplars of one metric: one for a counter, one for each bucket of a histogram.
final class ExemplarSlots: Sendable {
    struct Slot {
        var exemplar: Exemplar?
        /// When the provider may be asked again.
        var nextSampleNs: UInt64 = 0
    }
    let slots: Locked<[Slot]>
    init(count: Int) { slots = Locked([Slot](repeating: Slot(), count: max(count, 1))) }

    var exemplars: [Exemplar?] { slots.withLock { $0.map(\.exemplar) } }
}

extension Instrument {
    var hasExemplars: Bool { exemplarSlots.load(ordering: .relaxed) != 0 }

    /// The slots, if something was ever put there.
    var currentExemplars: [Exemplar?] { slotsIfMade?.exemplars ?? [] }

    private var slotsIfMade: ExemplarSlots? {
        let address = exemplarSlots.load(ordering: .acquiring)
        // SAFETY: the address of an object that this instrument retains until it is freed.
        return unsafe UnsafeRawPointer(bitPattern: address).map {
            unsafe Unmanaged<ExemplarSlots>.fromOpaque($0).takeUnretainedValue()
        }
    }

    private func makeSlots(_ count: Int) -> ExemplarSlots {
        if let made = slotsIfMade { return made }
        let fresh = unsafe Unmanaged.passRetained(ExemplarSlots(count: count))
        let address = unsafe UInt(bitPattern: fresh.toOpaque())
        let (exchanged, _) = exemplarSlots.compareExchange(expected: 0, desired: address, ordering: .acquiringAndReleasing)
        if exchanged { return unsafe fresh.takeUnretainedValue() }
        // Another thread was first.
        unsafe fresh.release()
        return slotsIfMade ?? ExemplarSlots(count: count)
    }

    func releaseExemplarSlots() {
        let address = exemplarSlots.load(ordering: .acquiring)
        if let pointer = unsafe UnsafeRawPointer(bitPattern: address) { unsafe Unmanaged<ExemplarSlots>.fromOpaque(pointer).release() }
    }

    /// Makes `labels` lead from `value`, in the slot of this index out of `count`. What is no exemplar is dropped and counted.
    func keepExemplar(_ labels: ExemplarLabels, value: Double, slot: Int = 0, of count: Int = 1) {
        guard let exemplar = makeExemplar(labels, value: value) else { return }
        makeSlots(count).slots.withLock { slots in if slot < slots.count { slots[slot].exemplar = exemplar } }
    }

    /// An exemplar of now; nil, and counted, if its labels can't be.
    func makeExemplar(_ labels: ExemplarLabels, value: Double) -> Exemplar? {
        let pairs = labels.map { Label(ByteString($0.0), ByteString($0.1)) }
        let characters = labels.reduce(0) { $0 + $1.0.unicodeScalars.count + $1.1.unicodeScalars.count }
        guard characters <= Exemplar.maxLabelCharacters, pairs.allSatisfy({ TextFormat.isClassicLabelName($0.name.bytes.span) }) else {
            context.faults.count(.badExemplar)
            return nil
        }
        return Exemplar(labels: LabelSet(pairs), value: value, timestampMs: context.time.wallMs())
    }

    /// What an update does beside updating.
    @inline(never)
    func doDuties(value: Double, slot: Int = 0, of count: Int = 1) {
        touch()
        guard duties.contains(.samplesExemplars), let provider = context.exemplarProvider else { return }
        let now = context.time.monotonicNs()
        let interval = context.exemplarIntervalNs
        let isDue = makeSlots(count).slots.withLock { slots in
            guard slot < slots.count, now >= slots[slot].nextSampleNs else { return false }
            slots[slot].nextSampleNs = now.addingReportingOverflow(interval).partialValue
            return true
        }
        // Outside the lock: it is somebody else's code.
        guard isDue, let labels = provider() else { return }
        keepExemplar(labels, value: value, slot: slot, of: count)
    }
}
