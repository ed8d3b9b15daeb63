import ApusModel

/// The `name[]` parameters of a query: of which families the page is to be.
struct NameFilter: Sendable, Equatable {
    /// As sent, with the percent signs resolved. Empty for all families.
    let names: Set<[UInt8]>

    /// Nil when there are more than `limit`.
    init?(query: Substring, limit: Int) {
        var names: Set<[UInt8]> = []
        for pair in query.utf8.split(separator: UInt8(ascii: "&")) {
            let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard let key = parts.first, percentDecoded(key) == Array("name[]".utf8) else { continue }
            guard names.count < limit else { return nil }
            names.insert(parts.count > 1 ? percentDecoded(parts[1]) : [])
        }
        self.names = names
    }

    /// Whether a family is wanted, by its own name or by that of one of its series.
    func wants(_ family: ArraySlice<UInt8>) -> Bool {
        if names.isEmpty || names.contains(Array(family)) { return true }
        return Self.suffixes.contains { names.contains(family + $0) }
    }
    private static let suffixes = ["_bucket", "_sum", "_count", "_total", "_created", "_info"].map { Array($0.utf8) }
}

/// `%41` and `+` as what they stand for; what is no hexadecimal number stays as it is.
private func percentDecoded(_ text: Substring.UTF8View) -> [UInt8] {
    func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
    var result: [UInt8] = []
    var rest = Array(text)[...]
    while let byte = rest.popFirst() {
        if byte == UInt8(ascii: "%"), rest.count >= 2, let high = digit(rest[rest.startIndex]),
            let low = digit(rest[rest.startIndex + 1])
        {
            result.append(high << 4 | low)
            rest = rest.dropFirst(2)
        } else {
            result.append(byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
        }
    }
    return result
}
