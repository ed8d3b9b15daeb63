import ApusBytes
import ApusExposition
import ApusModel
import Synchronization

/// A declared family and its series: the untyped part of `MetricFamily` and `OpenFamily`.
@usableFromInline
final class FamilyCore: DeclaredFamily {
    let descriptor: FamilyDescriptor
    /// How many series may exist beside the overflow series.
    let limit: Int
    let children = ChildTable()
    let context: RegistryContext
    private let overflow = Locked<Instrument?>(nil)
    private let make: @Sendable (InstrumentSeed) -> Instrument
    private let caches = Locked<[LineCache]>([])
    private let message = Locked<MessageCache?>(nil)

    init(
        _ descriptor: FamilyDescriptor, limit: Int, context: RegistryContext,
        make: @escaping @Sendable (InstrumentSeed) -> Instrument
    ) {
        self.descriptor = descriptor
        self.limit = limit
        self.context = context
        self.make = make
    }

    // MARK: Looking up

    /// What the hash of a key begins with.
    var seed: UInt64 { children.seed }

    @usableFromInline func find(_ key: SeriesKey) -> Instrument {
        if let child = unsafe children.find(key) {
            child.touch()
            return child
        }
        return unsafe findOrMake(key.bytes)
    }

    @inline(never)
    func findOrMake(_ key: [UInt8]) -> Instrument {
        let seed = InstrumentSeed(key: key, context: context, expires: descriptor.expiresAfterMs != nil)
        if let child = children.findOrInsert(key, limit: limit, make: { make(seed) }) {
            child.touch()
            return child
        }
        // Those that expired may have made room.
        if removeExpired() > 0, let child = children.findOrInsert(key, limit: limit, make: { make(seed) }) { return child }
        context.faults.count(.overflowedLabelSet)
        return overflow.withLock { overflow in
            if let overflow { return overflow }
            let child = make(InstrumentSeed(key: [], context: context))
            overflow = child
            return child
        }
    }

    // MARK: Updating without a handle

    // The series is used inside the critical section that keeps it alive, so that its reference count, which threads
    // would fight for, is not touched. Only what adds to cells is done there.

    @usableFromInline func increment(_ key: SeriesKey, by amount: Int) {
        if amount >= 0, let record = unsafe ThreadRecord.current {
            unsafe ThreadRecord.enter(record)
            // The series itself is not looked at: its place tells the cell.
            var isDone = false
            if let place = unsafe children.lookUp(key), unsafe place.pointee.cells >= 0,
                let cell = unsafe ThreadRecord.cell(Int(place.pointee.cells), in: record)
            {
                unsafe Counter.add(UInt64(amount), to: cell)
                isDone = true
            }
            unsafe ThreadRecord.leave(record)
            if isDone { return }
        }
        unsafe incrementSlowly(key, amount)
    }

    @inline(never)
    private func incrementSlowly(_ key: SeriesKey, _ amount: Int) {
        // SAFETY: the family of a counter's handle has only counters.
        unsafe unsafeDowncast(find(key), to: Counter.self).increment(by: amount)
    }

    @usableFromInline func observe(_ key: SeriesKey, _ value: Double) {
        if let record = unsafe ThreadRecord.current {
            unsafe ThreadRecord.enter(record)
            // SAFETY: the family of a histogram's handle has only histograms, which live while somebody is inside.
            let isDone = unsafe children.lookUp(key)?.pointee.child?._withUnsafeGuaranteedRef {
                unsafe unsafeDowncast($0, to: Histogram.self).observeInside(value, in: record)
            }
            unsafe ThreadRecord.leave(record)
            if isDone == true { return }
        }
        unsafe observeSlowly(key, value)
    }

    @inline(never)
    private func observeSlowly(_ key: SeriesKey, _ value: Double) {
        // SAFETY: the family of a histogram's handle has only histograms.
        unsafe unsafeDowncast(find(key), to: Histogram.self).observe(value)
    }

    // MARK: Removing

    @usableFromInline func remove(_ key: SeriesKey) -> Bool { unsafe children.remove(key.bytes) }

    func remove(_ key: [UInt8]) -> Bool { children.remove(key) }

    @usableFromInline func removeAll() {
        children.removeAll()
        overflow.withLock { $0 = nil }
    }

    /// Removes the series whose labels have all these values.
    func removeAll(where labels: [(String, String)]) -> Int {
        let wanted = labels.map { Label(ByteString($0.0), ByteString($0.1)) }
        return children.remove { child in
            let own = labelsOf(child)
            return wanted.allSatisfy { label in
                // An absent label has an empty value.
                own.first { $0.name == label.name }.map { $0.value == label.value } ?? label.value.isEmpty
            }
        }
    }

    /// Removes what nobody touched for as long as was declared; returns how many.
    @discardableResult
    func removeExpired() -> Int {
        guard let ageMs = descriptor.expiresAfterMs else { return 0 }
        let now = context.time.wallMs()
        return children.remove { $0.hasExpired(now: now, ageMs: ageMs) }
    }

    @usableFromInline var count: Int { children.count }
    var retiredCount: Int { children.retiredCount }

    // MARK: Showing

    /// Constant labels, then its own.
    func labelsOf(_ child: Instrument) -> [Label] { descriptor.constantLabels + ownLabels(child.key) }

    private func ownLabels(_ key: [UInt8]) -> [Label] {
        let texts = decodeLabelKey(key)
        if descriptor.isOpen {
            if key.isEmpty { return [Label("overflow", ByteString(overflowLabelValue))] }
            return stride(from: 0, to: texts.count - 1, by: 2).map { Label(texts[$0], texts[$0 + 1]) }
        }
        // Only the overflow series has no key although there are labels.
        if texts.isEmpty { return descriptor.labelNames.map { Label($0, ByteString(overflowLabelValue)) } }
        return zip(descriptor.labelNames, texts).map { Label($0, $1) }
    }

    /// All series, in the order of their label values; the overflow series last.
    private func shown() -> (children: [Instrument], version: UInt64) {
        removeExpired()
        var (children, version) = children.all { [self] left, right in isBefore(left, right) }
        if let overflow = overflow.withLock({ $0 }) {
            children.append(overflow)
            version |= 1 << 63
        }
        return (children, version)
    }

    private func isBefore(_ left: [ByteString], _ right: [ByteString]) -> Bool {
        for (mine, theirs) in zip(left, right) where mine != theirs { return mine < theirs }
        return left.count < right.count
    }

    func prepareForPage() -> Bool {
        guard descriptor.type == .histogram else { return false }
        return shown().children.reduce(false) { $1.prepareForPage() || $0 }
    }

    func points() -> [MetricPoint] { points(of: shown().children) }

    private func points(of children: [Instrument]) -> [MetricPoint] {
        children.map { child in
            MetricPoint(labels: labelsOf(child), value: child.currentValue(), createdMs: child.countsSinceMs)
        }
    }

    private func appendMessage(_ escaping: NameEscaping, to page: inout [UInt8]) -> Bool {
        let bounds: [Double]?
        switch (descriptor.type, descriptor.shape) {
        case (.counter, _), (.gauge, _), (.unknown, _), (.info, _): bounds = nil
        case (.histogram, .histogram(let buckets, nil)): bounds = buckets.upperBounds
        default: return false
        }
        let (children, version) = shown()
        if children.isEmpty { return true }
        // Exemplars change from page to page.
        if children.contains(where: { $0.hasExemplars }) { return false }
        return message.withLock { cached in
            if cached?.version == version, cached?.escaping == escaping, cached?.append(to: &page) == true { return true }
            let family = FamilySnapshot(
                name: descriptor.name, help: descriptor.help, unit: descriptor.unit, type: descriptor.type,
                points: points(of: children))
            cached = MessageCache(family, of: children, bounds: bounds, version: version, escaping: escaping)
            return cached?.append(to: &page) ?? false
        }
    }

    func appendLines(_ encoding: PageEncoding, to page: inout [UInt8]) -> Bool {
        if encoding.format == .protobuf { return appendMessage(encoding.escaping, to: &page) }
        guard encoding.format != .openMetrics2, !encoding.writesCreatedSeries else { return false }
        let (children, version) = shown()
        if children.isEmpty { return true }
        let isOpenMetrics = encoding.format == .openMetrics
        // Exemplars change from page to page.
        if isOpenMetrics, children.contains(where: { $0.hasExemplars }) { return false }
        let descriptor = descriptor
        return caches.withLock { caches in
            let index: Int
            if let known = caches.firstIndex(where: { $0.encoding == encoding }) {
                index = known
            } else {
                // One for the server, one for who looks with another program.
                if caches.count >= 2 { caches.removeFirst() }
                let lines = TextLines(
                    name: descriptor.name, help: descriptor.help, unit: descriptor.unit, type: descriptor.type, encoding: encoding
                )
                caches.append(LineCache(lines))
                index = caches.count - 1
            }
            if caches[index].version != version {
                caches[index].rebuild(children, version: version) { MetricPoint(labels: labelsOf($0), value: $0.currentValue()) }
            }
            return caches[index].append(to: &page)
        }
    }
}

/// The value of every label of a family's overflow series: what is updated under label sets that would exceed its limit.
public let overflowLabelValue = "__overflow__"
