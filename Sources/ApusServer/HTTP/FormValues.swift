import ApusBytes

/// The parameters of a request: those of its form body first, then those of its URL, as Go's `Request.Form` has them.
///
/// Names and values are bytes: a query may hold what is not UTF-8. A pair that is not well encoded is left out and
/// remembered in `problem`; whoever needs all of them looks there.
struct FormValues: Sendable {
    /// More parameters than any client sends; the rest are left out, with a `problem`.
    static let maximumCount = 10_000

    private var pairs: [(name: ByteString, value: ByteString)] = []
    /// What was wrong with the first malformed pair, in Go's words.
    private(set) var problem: String?

    init() {}
    init(query: some Collection<UInt8>) { append(encoded: query) }

    /// Adds the pairs of `a=1&b=2`, percent-encoded, `+` for a blank.
    mutating func append(encoded: some Collection<UInt8>) {
        for part in encoded.split(separator: UInt8(ascii: "&")) {
            guard pairs.count < Self.maximumCount else {
                note("more than \(Self.maximumCount) parameters")
                return
            }
            if part.contains(UInt8(ascii: ";")) {
                note("invalid semicolon separator in query")
                continue
            }
            let pieces = part.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = decode(pieces[0]), let value = pieces.count > 1 ? decode(pieces[1]) : ByteString() else { continue }
            pairs.append((name, value))
        }
    }

    /// The first value of `name`; empty when there is none, as Go's `FormValue`.
    subscript(name: ByteString) -> ByteString { pairs.first { $0.name == name }?.value ?? ByteString() }

    func forEach(_ body: (_ name: ByteString, _ value: ByteString) -> Void) { for pair in pairs { body(pair.name, pair.value) } }

    /// All values of `name`, in order.
    func all(_ name: ByteString) -> [ByteString] { pairs.filter { $0.name == name }.map(\.value) }

    private mutating func decode(_ text: some Collection<UInt8>) -> ByteString? {
        switch percentDecoded(text, plusIsBlank: true) {
        case .success(let bytes): return ByteString(bytes)
        case .failure(let escape):
            note("invalid URL escape \(goQuoted(ByteString(escape.bytes)))")
            return nil
        }
    }

    private mutating func note(_ text: String) { problem = problem ?? text }
}

/// The piece of a URL that begins with `%` and is no escape.
struct InvalidEscape: Error { let bytes: [UInt8] }

/// `%41` to `A`; with `plusIsBlank`, `+` to a blank.
func percentDecoded(_ text: some Collection<UInt8>, plusIsBlank: Bool) -> Result<[UInt8], InvalidEscape> {
    var output: [UInt8] = []
    output.reserveCapacity(text.count)
    var rest = text[...]
    while let byte = rest.popFirst() {
        switch byte {
        case UInt8(ascii: "%"):
            let digits = Array(rest.prefix(2))
            guard digits.count == 2, let high = hexDigit(digits[0]), let low = hexDigit(digits[1]) else {
                return .failure(InvalidEscape(bytes: [byte] + digits))
            }
            output.append(high << 4 | low)
            rest = rest.dropFirst(2)
        case UInt8(ascii: "+") where plusIsBlank: output.append(UInt8(ascii: " "))
        default: output.append(byte)
        }
    }
    return .success(output)
}

func hexDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
}
