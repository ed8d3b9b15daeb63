import ApusBytes
public import ApusModel

/// The labels of one line as its page has them: `__name__` first, then in order of appearance, duplicates and empty values
/// included.
///
/// They lie in one buffer that is used again for line after line:
///
///     bytes:  ┌──────────┬────────────────────────────────────────┬────────────┬─────────
///             │ __name__ │ the line's series part, as it is there │ what had   │ a bound
///             └──────────┴────────────────────────────────────────┴─ escapes ──┴─ as 1.0 ─
///     fields: where name and value of each label lie in it
///
/// A `SeriesResolver` that keeps labels makes a `LabelSet` of them, which is one allocation.
public struct PageLabels: Sendable {
    /// Offsets in `bytes`.
    private struct Field {
        var name: Range<Int>
        var value: Range<Int>
    }
    /// Those from `used` on mean nothing.
    private var bytes: [UInt8]
    private var used = 0
    private var fields: [Field] = []
    public private(set) var count = 0

    /// Loads of whole words may go this far beyond a field.
    private static let padding = 8
    private static let metricName = Array(LabelSet.metricName.bytes)
    /// Bytes kept from page to page.
    private static let keptBytes = 64 * 1024
    /// Labels that can be put in order here.
    private static let sortableCount = 64

    public init() { bytes = Self.metricName + [UInt8](repeating: 0, count: 1024) }

    public init(_ labels: [Label]) {
        self.init()
        set(labels)
    }

    /// Gives back what exceeds a usual line.
    mutating func trim() {
        if bytes.count > Self.keptBytes || fields.count > Self.keptBytes / 32 { self = PageLabels() }
    }

    // MARK: Filling

    mutating func reset() {
        used = Self.metricName.count
        count = 0
    }

    mutating func set(_ labels: [Label]) {
        reset()
        for label in labels { append(label.name.bytes.span, label.value.bytes.span) }
    }

    /// The labels of the series line whose pieces these are.
    /// - Parameter type: of the family, which decides how bounds are written.
    @inline(__always)
    mutating func set(_ parts: SeriesParts, _ page: Span<UInt8>, type: MetricType?) {
        reset()
        let origin = used
        _ = append(page.extracting(parts.text))
        if let name = parts.name {
            let value = parts.nameIsQuoted ? unescape(name, origin) : shift(name, origin)
            add(Field(name: 0..<origin, value: value))
        }
        let hasBounds = type == .histogram || type == .summary
        for index in 0..<parts.pairs.count {
            let pair = parts.pairs[index]
            let name = pair.nameIsQuoted ? unescape(pair.name, origin) : shift(pair.name, origin)
            let value = pair.mayHaveEscapes ? unescape(pair.value, origin) : shift(pair.value, origin)
            add(Field(name: name, value: hasBounds ? canonical(value, of: name, type: type) : value))
        }
    }

    /// The labels of an exemplar, whose pieces are ranges of the page.
    mutating func set(_ pairs: PairList, _ page: Span<UInt8>) {
        reset()
        for index in 0..<pairs.count {
            let pair = pairs[index]
            if pair.nameIsQuoted || pair.mayHaveEscapes {
                let name = unescaped(page, pair.name, quoted: pair.nameIsQuoted)
                append(name.bytes.span, unescaped(page, pair.value, quoted: true).bytes.span)
            } else {
                append(page.extracting(pair.name), page.extracting(pair.value))
            }
        }
    }

    mutating func append(_ name: Span<UInt8>, _ value: Span<UInt8>) {
        let name = append(name)
        add(Field(name: name, value: append(value)))
    }

    /// Makes the first label's value, the metric's name, longer.
    mutating func addSuffix(_ suffix: String) {
        guard count > 0, !suffix.isEmpty else { return }
        let start = duplicate(fields[0].value).lowerBound
        fields[0].value = start..<append(Array(suffix.utf8).span).upperBound
    }

    @inline(__always)
    private mutating func add(_ field: Field) {
        if count < fields.count { fields[count] = field } else { fields.append(field) }
        count &+= 1
    }

    @inline(__always)
    private func shift(_ range: Range<Int>, _ by: Int) -> Range<Int> { range.lowerBound &+ by..<range.upperBound &+ by }

    /// Copies bytes to the end. Returns where they lie.
    @inline(__always)
    private mutating func append(_ source: Span<UInt8>) -> Range<Int> {
        let start = used
        if bytes.count - used < source.count + Self.padding { grow(by: source.count) }
        // SAFETY: `source.count` bytes from `start` on are there, as just seen to, and `source` is not of this array.
        unsafe source.withUnsafeBufferPointer { from in
            unsafe bytes.withUnsafeMutableBufferPointer { to in
                guard let from = from.baseAddress, let to = to.baseAddress else { return }
                unsafe (to + start).update(from: from, count: source.count)
            }
        }
        used = start &+ source.count
        return start..<used
    }

    /// The same of bytes that lie here already.
    private mutating func duplicate(_ range: Range<Int>) -> Range<Int> {
        let start = used
        if bytes.count - used < range.count + Self.padding { grow(by: range.count) }
        precondition(range.upperBound <= start, "a field beyond what is used")
        // SAFETY: `range` lies below `start`, from which on `range.count` bytes are there, as just seen to.
        unsafe bytes.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            unsafe (base + start).update(from: base + range.lowerBound, count: range.count)
        }
        used = start &+ range.count
        return start..<used
    }

    @inline(never)
    private mutating func grow(by count: Int) {
        bytes.append(contentsOf: repeatElement(0, count: max(bytes.count, count) + Self.padding))
    }

    /// A text of the series part, which begins at `origin`, with its escapes resolved.
    private mutating func unescape(_ range: Range<Int>, _ origin: Int) -> Range<Int> {
        let range = shift(range, origin)
        guard firstIndex(of: .backslash, in: bytes.span.extracting(range), from: 0) < range.count else { return range }
        let plain = unescaped(bytes.span, range, quoted: true)
        return append(plain.bytes.span)
    }

    /// A bound is written in one way: with a point or an exponent.
    @inline(never)
    private mutating func canonical(_ value: Range<Int>, of name: Range<Int>, type: MetricType?) -> Range<Int> {
        guard let bound = boundName(type), equalBytes(bytes.span.extracting(name), bound.bytes.span) else { return value }
        switch boundForm(bytes.span.extracting(value)) {
        case .canonical: return value
        case .whole:
            let start = duplicate(value).lowerBound
            return start..<append(Self.pointZero.span).upperBound
        case .other:
            guard let number = parseDouble(bytes.span.extracting(value)) else { return value }
            return append(formatOpenMetricsNumber(number).span)
        }
    }
    private static let pointZero = Array(".0".utf8)

    // MARK: Reading

    /// All of them, copied.
    public var labels: [Label] {
        let bytes = bytes.span
        return (0..<count).map { index in
            Label(ByteString(copying: bytes.extracting(fields[index].name)), ByteString(copying: bytes.extracting(fields[index].value)))
        }
    }

    /// The label set of these labels and `others`; nil when a name stands twice or a value is empty, which is for the caller
    /// to judge, and for more labels than are usual. Allocates once.
    public func labelSet(with others: LabelSet = .empty) -> LabelSet? {
        let count = count
        guard count <= Self.sortableCount, count <= fields.count else { return nil }
        // SAFETY: fields lie in the used part of `bytes`, and `padding` bytes follow that. `order` has room for each field,
        // the result for each byte that is counted before.
        return unsafe bytes.withUnsafeBufferPointer { bytes in
            unsafe fields.withUnsafeBufferPointer { fields in
                unsafe withUnsafeTemporaryAllocation(of: SortedField.self, capacity: Self.sortableCount) { order in
                    guard let base = bytes.baseAddress, let order = order.baseAddress else { return nil }
                    var size = others.encoded.count
                    for index in 0..<count {
                        let field = unsafe fields[index]
                        if field.value.isEmpty { return nil }
                        size &+= Self.encodedSize(field.name.count) &+ Self.encodedSize(field.value.count)
                        let sorted = unsafe SortedField(base, field)
                        var place = index
                        while place > 0 {
                            let difference = unsafe order[place &- 1].compare(to: sorted, base)
                            if difference == 0 { return nil }
                            if difference < 0 { break }
                            unsafe order[place] = order[place &- 1]
                            place &-= 1
                        }
                        unsafe order[place] = sorted
                    }
                    return unsafe Self.merge(UnsafeBufferPointer(start: order, count: count), base, others, size: size)
                }
            }
        }
    }
    // MARK: Order

    /// A field with the first bytes of its name as a number, by which most names are told apart.
    private struct SortedField {
        var key: UInt64
        var field: Field

        @inline(__always)
        init(_ base: UnsafePointer<UInt8>, _ field: Field) {
            self.field = field
            // SAFETY: `padding` bytes follow each field.
            key = unsafe nameKey(UnsafeRawPointer(base + field.name.lowerBound), count: field.name.count)
        }

        @inline(__always)
        func compare(to other: SortedField, _ base: UnsafePointer<UInt8>) -> Int {
            if key != other.key { return key < other.key ? -1 : 1 }
            return unsafe compareBytes(
                Span(_unsafeStart: base + field.name.lowerBound, count: field.name.count),
                Span(_unsafeStart: base + other.field.name.lowerBound, count: other.field.name.count))
        }
    }

    @inline(__always)
    private static func encodedSize(_ count: Int) -> Int {
        if count < 0x80 { return count &+ 1 }
        var size = count &+ 1
        var rest = count &>> 7
        while rest > 0 {
            size &+= 1
            rest &>>= 7
        }
        return size
    }

    /// Writes fields and the pairs of `others`, both in order, as one label set; nil when they have a name in common.
    @inline(__always)
    private static func merge(
        _ order: UnsafeBufferPointer<SortedField>, _ base: UnsafePointer<UInt8>, _ others: LabelSet, size: Int
    ) -> LabelSet? {
        var isUnique = true
        let encoded = unsafe [UInt8](unsafeUninitializedCapacity: size) { output, initialized in
            guard let out = output.baseAddress else { return }
            var position = 0
            var next = 0
            let otherBytes = others.encoded.span
            var copied = 0
            for pair in others.ranges {
                let name = otherBytes.extracting(pair.name)
                while next < order.count {
                    let field = unsafe order[next].field
                    let difference = unsafe compareBytes(
                        Span(_unsafeStart: base + field.name.lowerBound, count: field.name.count), name)
                    if difference == 0 { isUnique = false }
                    if difference >= 0 { break }
                    unsafe write(field, base, to: out, at: &position)
                    next &+= 1
                }
                if !isUnique { return }
                let run = otherBytes.extracting(copied..<pair.value.upperBound)
                unsafe run.withUnsafeBufferPointer { run in
                    guard let start = run.baseAddress else { return }
                    unsafe (out + position).update(from: start, count: run.count)
                }
                position &+= run.count
                copied = pair.value.upperBound
            }
            while next < order.count {
                unsafe write(order[next].field, base, to: out, at: &position)
                next &+= 1
            }
            initialized = position
        }
        return isUnique ? LabelSet(alreadyEncoded: encoded) : nil
    }

    @inline(__always)
    private static func write(_ field: Field, _ base: UnsafePointer<UInt8>, to out: UnsafeMutablePointer<UInt8>, at position: inout Int) {
        unsafe write(field.name, base, to: out, at: &position)
        unsafe write(field.value, base, to: out, at: &position)
    }

    @inline(__always)
    private static func write(
        _ range: Range<Int>, _ base: UnsafePointer<UInt8>, to out: UnsafeMutablePointer<UInt8>, at position: inout Int
    ) {
        var rest = range.count
        while rest >= 0x80 {
            unsafe out[position] = UInt8(truncatingIfNeeded: rest) | 0x80
            position &+= 1
            rest &>>= 7
        }
        unsafe out[position] = UInt8(truncatingIfNeeded: rest)
        position &+= 1
        unsafe (out + position).update(from: base + range.lowerBound, count: range.count)
        position &+= range.count
    }
}

extension LabelSet {
    /// Of several labels with one name the last wins; one with an empty value is none.
    public init(_ labels: PageLabels) { self = labels.labelSet() ?? LabelSet(labels.labels) }
}

/// The first eight bytes as a number that orders as they do. Those beyond `count` may be read, and do not count.
@inline(__always)
private func nameKey(_ start: UnsafeRawPointer, count: Int) -> UInt64 {
    let word = unsafe UInt64(bigEndian: start.loadUnaligned(as: UInt64.self))
    return count >= 8 ? word : word & ~(UInt64.max &>> UInt64(truncatingIfNeeded: count &* 8))
}
