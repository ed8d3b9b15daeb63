import ApusBytes
import ApusModel

/// Label names with a meaning.
enum LabelNames {
    static let name: ByteString = "__name__"
    static let bucket: ByteString = "le"
    /// The metric's type, where a target's pages said it and were asked for it.
    static let type: ByteString = "__type__"
    /// What an operation removes when its result is no longer the metric that went in.
    static let reserved: [ByteString] = ["__name__", "__type__", "__unit__"]
}

/// What a row is called.
struct RowLabels {
    var labels: LabelSet
    /// With delayed name removal: the name goes at the end of the query.
    var dropsName = false
}

extension LabelSet {
    var withoutReserved: LabelSet { filtered(LabelNames.reserved, keep: false) }

    /// As error texts show a set: `{__name__="a", b="c"}`.
    var quotedDescription: String {
        var text = "{"
        for label in labels {
            if text.utf8.count > 1 { text += ", " }
            text += label.name.isLegacyLabelName ? label.name.description : quoted(label.name.bytes)
            text += "=" + quoted(label.value.bytes)
        }
        return text + "}"
    }
}

extension ByteString {
    /// `[a-zA-Z_][a-zA-Z0-9_]*`
    var isLegacyLabelName: Bool {
        guard let first = bytes.first, isAlpha(first) else { return false }
        return bytes.allSatisfy { isAlphaNumeric($0) }
    }

    /// Any text that is UTF-8 names a label, except none.
    var isValidLabelName: Bool { !isEmpty && isValidUTF8 }
}

/// Cuts label sets to the labels that matter: those listed, or all but those.
struct LabelFilter {
    private let names: [ByteString]
    private let keeps: Bool
    private let isSorted: Bool

    /// Lists up to this length are searched from the start, which for them is fastest.
    private static let longestUnsorted = 16

    /// - Parameter names: the labels to keep, or (`keeps` false) the ones to leave out.
    init(_ names: [ByteString], keeps: Bool) {
        isSorted = names.count > Self.longestUnsorted
        self.names = isSorted ? names.sorted() : names
        self.keeps = keeps
    }

    func apply(to labels: LabelSet) -> LabelSet {
        if names.isEmpty { return keeps ? .empty : labels }
        return isSorted ? labels.filtered(sorted: names, keep: keeps) : labels.filtered(names, keep: keeps)
    }
}

/// Numbers label sets in the order they come, cut to the labels that matter: groups, match signatures.
struct LabelIndex {
    private var numbers: [LabelSet: Int] = [:]
    private let filter: LabelFilter

    /// - Parameter names: the labels to keep, or (`keeps` false) the ones to leave out.
    init(_ names: [ByteString], keeps: Bool) { filter = LabelFilter(names, keeps: keeps) }

    /// Makes room for as many sets as may come.
    mutating func reserveCapacity(_ count: Int) { numbers.reserveCapacity(count) }

    /// How many numbers were given.
    var count: Int { numbers.count }

    func key(of labels: LabelSet) -> LabelSet { filter.apply(to: labels) }

    /// The number of the group, and its labels when it is new.
    mutating func number(of labels: LabelSet) -> (number: Int, new: LabelSet?) {
        let key = key(of: labels)
        if let number = numbers[key] { return (number, nil) }
        numbers[key] = numbers.count
        return (numbers.count - 1, key)
    }

    func existingNumber(of labels: LabelSet) -> Int? { numbers[key(of: labels)] }
}
