extension PageEncoding {
    /// The encoding that a reader wants most: the acceptable one of highest weight, the first of equals. Without a header,
    /// or when nothing of it can be had, the text format 0.0.4, which everyone reads.
    ///
    ///     application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1
    ///
    /// Never fails: a part that makes no sense is left out. Without an `escaping` parameter names are escaped with
    /// underscores. O(n) in the header's length; more than `maxParts` parts are not looked at.
    /// - Parameter offered: what may be chosen.
    public static func negotiate(accept: String?, offering offered: Set<Format> = PageEncoding.offeredFormats) -> PageEncoding {
        var best: (encoding: PageEncoding, weight: Double)?
        for part in (accept ?? "").split(separator: ",").prefix(maxParts) {
            guard let range = MediaRange(part), range.weight > 0, range.weight > best?.weight ?? 0,
                let encoding = range.encoding, offered.contains(encoding.format)
            else { continue }
            best = (encoding, range.weight)
        }
        return best?.encoding ?? PageEncoding(.text, escaping: .underscores)
    }

    /// Parts of an `Accept` header that are looked at; Prometheus sends six.
    public static let maxParts = 64
}

/// One part of an `Accept` header: `type/subtype;name=value;q=0.5`.
private struct MediaRange {
    var type: String
    var parameters: [String: String] = [:]
    var weight = 1.0

    init?(_ text: Substring) {
        let fields = text.split(separator: ";").map { Self.trimmed($0) }
        guard let first = fields.first, first.contains("/") else { return nil }
        type = first.lowercased()
        for field in fields.dropFirst() {
            let halves = field.split(separator: "=", maxSplits: 1).map { Self.trimmed($0) }
            guard halves.count == 2 else { continue }
            var value = halves[1]
            if value.hasPrefix("\""), value.hasSuffix("\""), value.count >= 2 { value = value.dropFirst().dropLast() }
            if halves[0].lowercased() == "q" {
                // A weight that is none counts as none given, one beyond the scale as its end.
                weight = Double(value).map { $0.isNaN ? 1 : min(max($0, 0), 1) } ?? 1
            } else {
                parameters[halves[0].lowercased()] = String(value)
            }
        }
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text
        while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return text
    }

    /// Nil for what we do not write.
    var encoding: PageEncoding? {
        let escaping = parameters["escaping"].flatMap(NameEscaping.init(rawValue:)) ?? .underscores
        switch (type, parameters["version"]) {
        case ("application/vnd.google.protobuf", _):
            guard parameters["proto"] == "io.prometheus.client.MetricFamily", parameters["encoding"] == "delimited" else {
                return nil
            }
            return PageEncoding(.protobuf, escaping: escaping)
        case ("application/openmetrics-text", "2.0.0"): return PageEncoding(.openMetrics2, escaping: escaping)
        case ("application/openmetrics-text", "1.0.0"): return PageEncoding(.openMetrics, escaping: escaping)
        case ("application/openmetrics-text", nil), ("application/openmetrics-text", "0.0.1"):
            var encoding = PageEncoding(.openMetrics, escaping: escaping)
            encoding.isOldOpenMetrics = true
            return encoding
        case ("text/plain", "1.0.0"): return PageEncoding(.textUTF8, escaping: escaping)
        case ("text/plain", nil), ("text/plain", "0.0.4"):
            // The format 0.0.4 has no quoted names.
            return PageEncoding(.text, escaping: escaping == .allowUTF8 ? .underscores : escaping)
        case ("*/*", _), ("text/*", _): return PageEncoding(.text, escaping: escaping == .allowUTF8 ? .underscores : escaping)
        default: return nil
        }
    }
}
