public import ApusBytes
import ApusModel
import ApusPromQL
import ApusStorage

/// The range of times the API knows, as Prometheus has it: what `start` and `end` are when they are not given.
enum TimeLimits {
    static let minimumMs: Int64 = -9_223_309_901_257_974_000
    static let maximumMs: Int64 = 9_223_309_901_257_974_999
    static let minimumText: ByteString = "-292273086-05-16T16:47:06Z"
    static let maximumText: ByteString = "292277025-08-18T07:12:54.999999999Z"
}

/// Reads a time: seconds since the epoch with a fraction, RFC 3339, or one of the two limits. In ms.
public func parseTime(_ text: ByteString) throws(APIError) -> Int64 {
    if let seconds = parseDouble(text.bytes.span), !seconds.isNaN {
        let whole = seconds.rounded(.towardZero)
        // A time beyond what 64 bits hold is a time without data, not an error: Grafana may ask for the year 10^9.
        let limit = Double(TimeLimits.maximumMs / 1000)
        if whole >= limit { return TimeLimits.maximumMs }
        if whole <= -limit { return TimeLimits.minimumMs }
        let fractionMs = ((seconds - whole) * 1000).rounded(.toNearestOrAwayFromZero)
        return Int64(whole) * 1000 + Int64(fractionMs)
    }
    if let ms = parseRFC3339(text) { return ms }
    if text == TimeLimits.minimumText { return TimeLimits.minimumMs }
    if text == TimeLimits.maximumText { return TimeLimits.maximumMs }
    throw APIError(.badData, "cannot parse \(goQuoted(text)) to a valid timestamp")
}

/// Reads a duration, `5m` or seconds with a fraction. In nanoseconds, as upstream compares steps in them.
func parseDurationNs(_ text: ByteString) throws(APIError) -> Int64 {
    if let seconds = parseDouble(text.bytes.span), !seconds.isNaN {
        let nanoseconds = seconds * 1e9
        guard nanoseconds > -0x1p63, nanoseconds < 0x1p63 else {
            throw APIError(.badData, "cannot parse \(goQuoted(text)) to a valid duration. It overflows int64")
        }
        return Int64(nanoseconds)
    }
    if let ms = try? parseDuration(text.description) {
        let (nanoseconds, overflowed) = ms.multipliedReportingOverflow(by: 1_000_000)
        if !overflowed { return nanoseconds }
    }
    throw APIError(.badData, "cannot parse \(goQuoted(text)) to a valid duration")
}

extension ServerRequest {
    /// An optional time, in ms.
    func time(_ name: ByteString, default fallback: Int64) throws(APIError) -> Int64 {
        let text = form[name]
        if text.isEmpty { return fallback }
        do { return try parseTime(text) } catch {
            throw .invalidParameter(name, "invalid time value for '\(name)': \(error.message)")
        }
    }

    /// A time that must be given, in ms.
    func requiredTime(_ name: ByteString) throws(APIError) -> Int64 {
        do { return try parseTime(form[name]) } catch { throw .invalidParameter(name, error.message) }
    }

    /// A duration that must be given, in ns.
    func requiredDurationNs(_ name: ByteString) throws(APIError) -> Int64 {
        do { return try parseDurationNs(form[name]) } catch { throw .invalidParameter(name, error.message) }
    }

    /// How much to return at most; 0 for all.
    func limit() throws(APIError) -> Int {
        let text = form["limit"]
        if text.isEmpty { return 0 }
        let limit: Int
        do { limit = try parseInteger(text) } catch { throw .invalidParameter("limit", error.message) }
        guard limit >= 0 else { throw .invalidParameter("limit", "limit must be non-negative") }
        return limit
    }

    /// A number that older endpoints take: any integer, an own message when it is none. Nil when not given.
    func number(_ name: ByteString) throws(APIError) -> Int? {
        let text = form[name]
        if text.isEmpty { return nil }
        do { return try parseInteger(text) } catch { throw APIError(.badData, "\(name) must be a number") }
    }

    /// The selectors of `match[]`, each with at least one matcher that does not match the empty value.
    func matcherSets() throws(APIError) -> [[Matcher]] {
        var sets: [[Matcher]] = []
        for text in form.all("match[]") { sets.append(try parseMatchers(text)) }
        for matchers in sets where matchers.allSatisfy(\.matchesEmpty) {
            throw APIError(.badData, "match[] must contain at least one non-empty matcher")
        }
        return sets
    }
}

/// A selector such as `up{job="api"}`.
func parseMatchers(_ text: ByteString) throws(APIError) -> [Matcher] {
    do { return try parseSelector(text) } catch { throw APIError(.badData, error.message) }
}

/// The label name in a path: names that are not plain ASCII come escaped as `U__…`, where `_2e_` is the character of
/// that hexadecimal code and `__` an underscore. A text that is not such an escape stays as it is.
func unescapedLabelName(_ name: ByteString) -> ByteString {
    guard name.hasPrefix("U__") else { return name }
    var result: [UInt8] = []
    var rest = name.bytes.dropFirst(3)
    while let byte = rest.popFirst() {
        guard byte == UInt8(ascii: "_") else {
            result.append(byte)
            continue
        }
        if rest.first == UInt8(ascii: "_") {
            result.append(UInt8(ascii: "_"))
            rest = rest.dropFirst()
            continue
        }
        // At most six digits name a character; anything else is not an escape after all.
        guard let end = rest.prefix(7).firstIndex(of: UInt8(ascii: "_")), end > rest.startIndex,
            let scalar = scalar(fromHex: rest[..<end])
        else { return name }
        result.append(contentsOf: String(Character(scalar)).utf8)
        rest = rest[rest.index(after: end)...]
    }
    return ByteString(result)
}

private func scalar(fromHex digits: ArraySlice<UInt8>) -> Unicode.Scalar? {
    var value: UInt32 = 0
    for digit in digits {
        guard let nibble = hexDigit(digit) else { return nil }
        value = value << 4 | UInt32(nibble)
    }
    return Unicode.Scalar(value)
}
