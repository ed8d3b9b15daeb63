public import ApusBytes

/// One name–value pair of a label set.
public struct Label: Hashable, Sendable {
    public var name: ByteString
    public var value: ByteString
    @inlinable public init(_ name: ByteString, _ value: ByteString) {
        self.name = name
        self.value = value
    }
}

/// What names a series: label pairs sorted by name, names unique, no empty value (an empty value is an absent label).
///
/// The pairs live in one buffer, so a label set is one allocation however many labels it has, and equality and
/// hashing are one pass over bytes:
///
///     ┌──────────────┬──────┬──────────────┬───────┬──────────────┬───
///     │ name length, │ name │ value length,│ value │ name length, │ …
///     │   uvarint    │      │   uvarint    │       │   uvarint    │
///     └──────────────┴──────┴──────────────┴───────┴──────────────┴───
///
/// `ranges` walks it without allocating; `self[name]`, `labels` and iteration copy what they return.
public struct LabelSet: Hashable, Sendable {
    /// The buffer drawn above.
    public let encoded: [UInt8]

    public static let empty = LabelSet(alreadyEncoded: [])
    /// The label that holds the metric's name.
    public static let metricName: ByteString = "__name__"

    /// Trusts that `encoded` is as drawn above: sorted, unique, without empty values.
    @inlinable public init(alreadyEncoded encoded: [UInt8]) { self.encoded = encoded }

    /// Sorts by name and drops labels with an empty value. Of several pairs with one name the last wins.
    public init(_ labels: some Sequence<Label>) {
        var sorted: [Label] = []
        for label in labels { sorted.append(label) }
        var needsSort = false
        for index in sorted.indices.dropFirst() where !(sorted[index - 1].name < sorted[index].name) {
            needsSort = true
            break
        }
        if needsSort {
            var lastIndex: [ByteString: Int] = [:]
            for (index, label) in sorted.enumerated() { lastIndex[label.name] = index }
            sorted = sorted.enumerated().filter { lastIndex[$0.element.name] == $0.offset }.map(\.element)
            sorted.sort { $0.name < $1.name }
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(sorted.reduce(0) { $0 + $1.name.count + $1.value.count + 4 })
        for label in sorted where !label.value.isEmpty {
            bytes.appendUvarint(UInt64(label.name.count))
            bytes.append(contentsOf: label.name.bytes)
            bytes.appendUvarint(UInt64(label.value.count))
            bytes.append(contentsOf: label.value.bytes)
        }
        encoded = bytes
    }

    @inlinable public var isEmpty: Bool { encoded.isEmpty }
    /// How many labels. O(n).
    public var count: Int {
        var result = 0
        for _ in ranges { result += 1 }
        return result
    }

    /// Where each pair lies in `encoded`, in order of name; allocates nothing.
    @inlinable public var ranges: LabelRanges { LabelRanges(encoded: encoded) }

    /// All pairs, copied.
    public var labels: [Label] {
        ranges.map { Label(ByteString(encoded[$0.name]), ByteString(encoded[$0.value])) }
    }

    /// The value of `name`, copied, or nil. O(n).
    public subscript(name: ByteString) -> ByteString? {
        valueRange(of: name.bytes.span).map { ByteString(encoded[$0]) }
    }

    /// Where the value of `name` lies in `encoded`, or nil. O(n), allocates nothing.
    public func valueRange(of name: Span<UInt8>) -> Range<Int>? {
        let span = encoded.span
        for pair in ranges where pair.name.count == name.count && equalBytes(span.extracting(pair.name), name) {
            return pair.value
        }
        return nil
    }

    /// A 64-bit hash of names and values.
    @inlinable public func hash64(seed: UInt64 = 0) -> UInt64 { hashBytes(encoded.span, seed: seed) }

    @inlinable public static func == (left: LabelSet, right: LabelSet) -> Bool { equalBytes(left.encoded.span, right.encoded.span) }
    @inlinable public func hash(into hasher: inout Hasher) { hasher.combine(hash64()) }
}

/// The pairs of a `LabelSet` as ranges of its buffer.
public struct LabelRanges: Sequence, IteratorProtocol {
    public struct Pair: Sendable {
        public let name: Range<Int>
        public let value: Range<Int>
        @inlinable init(name: Range<Int>, value: Range<Int>) {
            self.name = name
            self.value = value
        }
    }
    @usableFromInline let encoded: [UInt8]
    @usableFromInline var offset = 0

    @inlinable init(encoded: [UInt8]) { self.encoded = encoded }

    @inlinable public mutating func next() -> Pair? {
        guard offset < encoded.count,
            let name = decodeField(), let value = decodeField()
        else { return nil }
        return Pair(name: name, value: value)
    }

    @inlinable mutating func decodeField() -> Range<Int>? {
        var start = offset
        guard let length = decodeUvarint(encoded.span, at: &start), length <= UInt64(encoded.count - start) else { return nil }
        offset = start + Int(length)
        return start..<offset
    }
}

extension LabelSet: Comparable {
    /// Prometheus's order of series: pair by pair, name before value; a set that is a prefix of another comes first.
    public static func < (left: LabelSet, right: LabelSet) -> Bool { left.compare(to: right) < 0 }

    /// Negative, zero or positive, in the order of `<`.
    public func compare(to other: LabelSet) -> Int {
        var mine = ranges
        var theirs = other.ranges
        let left = encoded.span
        let right = other.encoded.span
        while true {
            switch (mine.next(), theirs.next()) {
            case (nil, nil): return 0
            case (nil, _): return -1
            case (_, nil): return 1
            case let (l?, r?):
                let byName = compareBytes(left.extracting(l.name), right.extracting(r.name))
                if byName != 0 { return byName }
                let byValue = compareBytes(left.extracting(l.value), right.extracting(r.value))
                if byValue != 0 { return byValue }
            }
        }
    }
}

extension LabelSet: Sequence {
    public func makeIterator() -> AnyIterator<Label> {
        var ranges = ranges
        return AnyIterator {
            ranges.next().map { Label(ByteString(encoded[$0.name]), ByteString(encoded[$0.value])) }
        }
    }
}

extension LabelSet: ExpressibleByDictionaryLiteral {
    public init(dictionaryLiteral elements: (ByteString, ByteString)...) { self.init(elements.map { Label($0.0, $0.1) }) }
}

extension LabelSet: CustomStringConvertible {
    /// `{a="1", b="2"}`, values quoted; for display.
    public var description: String {
        "{" + labels.map { "\($0.name)=\(String(describing: $0.value).debugDescription)" }.joined(separator: ", ") + "}"
    }
}

extension LabelSet {
    /// A copy with `changes` applied: a nil or empty value removes the label.
    public func setting(_ changes: [(ByteString, ByteString?)]) -> LabelSet {
        // Each alone is a copy of all labels: cheaper than to take them apart and sort them again, while they are few.
        if changes.count <= Self.fewChanges { return changes.reduce(self) { $0.setting($1.0, to: $1.1) } }
        var all = labels
        for (name, value) in changes {
            all.removeAll { $0.name == name }
            if let value, !value.isEmpty { all.append(Label(name, value)) }
        }
        return LabelSet(all)
    }

    private static let fewChanges = 4

    /// A copy with one label changed: a nil or empty value removes it. Allocates once.
    public func setting(_ name: ByteString, to value: ByteString?) -> LabelSet {
        let span = encoded.span
        // What stands in the label's place, or where that would be.
        var (start, end) = (0, 0)
        for pair in ranges {
            let order = compareBytes(span.extracting(pair.name), name.bytes.span)
            if order > 0 { break }
            if order == 0 {
                end = pair.value.upperBound
                break
            }
            start = pair.value.upperBound
            end = start
        }
        let value = value ?? ByteString()
        if value.isEmpty, start == end { return self }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(encoded.count + name.count + value.count + 20)
        bytes.append(contentsOf: encoded[..<start])
        if !value.isEmpty {
            bytes.appendUvarint(UInt64(name.count))
            bytes.append(contentsOf: name.bytes)
            bytes.appendUvarint(UInt64(value.count))
            bytes.append(contentsOf: value.bytes)
        }
        bytes.append(contentsOf: encoded[end...])
        return LabelSet(alreadyEncoded: bytes)
    }

    /// Only (`keep`), or all but, the labels in `names`. `names` need not be sorted. Allocates once, and not at all when
    /// every label stays or none does.
    public func filtered(_ names: [ByteString], keep: Bool) -> LabelSet {
        filtered(names, isSorted: false, keep: keep)
    }

    /// As `filtered`, with `names` in order of bytes: for lists so long that a search from the start takes too long.
    public func filtered(sorted names: [ByteString], keep: Bool) -> LabelSet {
        filtered(names, isSorted: true, keep: keep)
    }

    @inline(__always)
    private func filtered(_ names: [ByteString], isSorted: Bool, keep: Bool) -> LabelSet {
        var bytes: [UInt8] = []
        let span = encoded.span
        // Pairs lie side by side, so those that stay are copied in runs.
        var runStart = 0
        var previousEnd = 0
        for pair in ranges {
            let end = pair.value.upperBound
            let name = span.extracting(pair.name)
            let isListed = isSorted ? Self.isListed(name, inSorted: names) : Self.isListed(name, in: names)
            if isListed != keep {
                if runStart < previousEnd { bytes.append(contentsOf: encoded[runStart..<previousEnd]) }
                runStart = end
            }
            previousEnd = end
        }
        if runStart == 0 { return self }
        if runStart < previousEnd { bytes.append(contentsOf: encoded[runStart..<previousEnd]) }
        return LabelSet(alreadyEncoded: bytes)
    }

    private static func isListed(_ name: Span<UInt8>, inSorted names: [ByteString]) -> Bool {
        var (low, high) = (0, names.count)
        while low < high {
            let middle = (low + high) / 2
            let candidate = names[middle].bytes
            let order = compareBytes(candidate.span, name)
            if order == 0 { return true }
            if order < 0 { low = middle + 1 } else { high = middle }
        }
        return false
    }

    private static func isListed(_ name: Span<UInt8>, in names: [ByteString]) -> Bool {
        for candidate in names where candidate.count == name.count {
            if equalBytes(candidate.bytes.span, name) { return true }
        }
        return false
    }
}
