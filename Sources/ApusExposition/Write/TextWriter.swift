public import ApusBytes
public import ApusModel

/// The text exposition format, version 0.0.4: what a target answers to a scrape.
///
///     # HELP http_requests_total Requests answered.
///     # TYPE http_requests_total counter
///     http_requests_total{method="get",status="200"} 1027
public enum TextFormat {
    /// The content type of a page whose names are all of the classic alphabet.
    public static let contentType = "text/plain; version=0.0.4; charset=utf-8"
    /// The content type of a page that may hold quoted UTF-8 names.
    public static let utf8ContentType = "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8"

    /// Whether `name` is of the classic alphabet `[a-zA-Z_:][a-zA-Z0-9_:]*` and so stands bare in a page.
    public static func isClassicMetricName(_ name: Span<UInt8>) -> Bool { isClassic(name, allowsColon: true) }
    /// Whether `name` is of the classic alphabet `[a-zA-Z_][a-zA-Z0-9_]*` of label names.
    public static func isClassicLabelName(_ name: Span<UInt8>) -> Bool { isClassic(name, allowsColon: false) }

    private static func isClassic(_ name: Span<UInt8>, allowsColon: Bool) -> Bool {
        if name.isEmpty { return false }
        for index in 0..<name.count {
            switch name[index] {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"): continue
            case UInt8(ascii: "0")...UInt8(ascii: "9") where index > 0: continue
            case UInt8(ascii: ":") where allowsColon: continue
            default: return false
            }
        }
        return true
    }
}

extension MetricType {
    /// The word after `# TYPE name`. The 0.0.4 format knows five; the others are what OpenMetrics types become in it.
    public var textFormatName: StaticString {
        switch self {
        case .counter: "counter"
        case .gauge, .info, .stateset: "gauge"
        // A gauge histogram has the lines of a histogram, which readers look for under that type only.
        case .histogram, .gaugehistogram: "histogram"
        case .summary: "summary"
        case .unknown: "untyped"
        }
    }
}

extension Array where Element == UInt8 {
    /// `# HELP name text`, with `\` and newlines of the text escaped.
    public mutating func appendHelpLine(name: ByteString, help: ByteString) {
        appendStatic("# HELP ")
        appendMetricName(name)
        append(UInt8(ascii: " "))
        appendEscaped(help.bytes.span, quotes: false)
        append(UInt8(ascii: "\n"))
    }

    /// `# TYPE name type`.
    public mutating func appendTypeLine(name: ByteString, type: MetricType) {
        appendStatic("# TYPE ")
        appendMetricName(name)
        append(UInt8(ascii: " "))
        appendStatic(type.textFormatName)
        append(UInt8(ascii: "\n"))
    }

    /// A label pair, `name="value"`. A name outside the classic alphabet is quoted.
    public mutating func appendLabelPair(name: ByteString, value: ByteString) {
        if TextFormat.isClassicLabelName(name.bytes.span) {
            append(contentsOf: name.bytes)
        } else {
            appendQuotedLabelValue(name)
        }
        append(UInt8(ascii: "="))
        appendQuotedLabelValue(value)
    }

    /// A label value in quotes, with `\`, `"` and newlines escaped; what is not UTF-8 becomes U+FFFD, since one bad
    /// byte makes the whole page unreadable.
    public mutating func appendQuotedLabelValue(_ value: ByteString) {
        append(UInt8(ascii: "\""))
        if value.isValidUTF8 {
            appendEscaped(value.bytes.span, quotes: true)
        } else {
            appendEscaped(ByteString(value.description).bytes.span, quotes: true)
        }
        append(UInt8(ascii: "\""))
    }

    /// What stands before a value: `name{labels} `, with `labels` the pairs as `appendLabelPair` writes them, commas
    /// between them, and `suffix` one of `_bucket`, `_sum`, `_count` or nothing. With `open`, the closing `} ` is left
    /// out so that a label can follow: `name{labels,`.
    public mutating func appendSeriesHead(name: ByteString, suffix: StaticString = "", labels: [UInt8], open: Bool = false) {
        let isBare = TextFormat.isClassicMetricName(name.bytes.span)
        let hasBraces = !isBare || !labels.isEmpty || open
        if isBare {
            append(contentsOf: name.bytes)
            appendStatic(suffix)
        }
        if hasBraces { append(UInt8(ascii: "{")) }
        if !isBare {
            append(UInt8(ascii: "\""))
            appendEscaped(name.bytes.span, quotes: true)
            appendStatic(suffix)
            append(UInt8(ascii: "\""))
            if !labels.isEmpty || open { append(UInt8(ascii: ",")) }
        }
        append(contentsOf: labels)
        if open {
            if !labels.isEmpty { append(UInt8(ascii: ",")) }
            return
        }
        if hasBraces { append(UInt8(ascii: "}")) }
        append(UInt8(ascii: " "))
    }

    /// A value and the end of its line. Whole numbers stay readable: `1000000`, not `1e+06`.
    @inlinable public mutating func appendValueLine(_ value: Double) {
        appendDouble(value, style: .plain)
        append(UInt8(ascii: "\n"))
    }

    /// A metric's name as it stands in `# HELP` and `# TYPE`: bare, or quoted when it is not of the classic alphabet.
    mutating func appendMetricName(_ name: ByteString) {
        if TextFormat.isClassicMetricName(name.bytes.span) {
            append(contentsOf: name.bytes)
        } else {
            appendQuotedLabelValue(name)
        }
    }

    mutating func appendEscaped(_ text: Span<UInt8>, quotes: Bool) {
        for index in 0..<text.count {
            switch text[index] {
            case UInt8(ascii: "\\"): appendStatic("\\\\")
            case UInt8(ascii: "\n"): appendStatic("\\n")
            case UInt8(ascii: "\"") where quotes: appendStatic("\\\"")
            case let byte: append(byte)
            }
        }
    }

    mutating func appendStatic(_ text: StaticString) {
        text.withUTF8Buffer { unsafe append(contentsOf: $0) }
    }
}
