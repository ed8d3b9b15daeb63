public import ApusMetrics

extension MetricRegistry {
    /// In what the page differs from `expected`, line by line, `-` for what is missing and `+` for what is there instead; nil
    /// if it does not. The text is in the format of a page; blank lines and the spaces around lines do not count.
    ///
    ///     #expect(registry.difference(from: """
    ///         # HELP jobs_total Jobs done.
    ///         # TYPE jobs_total counter
    ///         jobs_total{kind="mail"} 1
    ///         """) == nil)
    ///
    /// - Parameter names: of the families to compare; all unless given.
    public func difference(from expected: String, names: Set<String>? = nil) -> String? {
        let wanted = Self.lines(expected)
        var (shown, isCompared) = ([Substring](), names == nil)
        let page = String(decoding: renderText(), as: UTF8.self)
        for line in Self.lines(page) {
            if let names, line.hasPrefix("# HELP ") {
                isCompared = names.contains(String(line.dropFirst(7).prefix { $0 != " " }))
            }
            if isCompared { shown.append(line) }
        }
        if shown == wanted { return nil }
        // Position by position from both ends: pages are sorted, so what differs stands together.
        var (start, end) = (0, 0)
        while start < min(shown.count, wanted.count), shown[start] == wanted[start] { start += 1 }
        while end < min(shown.count, wanted.count) - start, shown[shown.count - 1 - end] == wanted[wanted.count - 1 - end] {
            end += 1
        }
        let missing = wanted[start..<(wanted.count - end)].map { "- \($0)" }
        let unexpected = shown[start..<(shown.count - end)].map { "+ \($0)" }
        return (missing + unexpected).joined(separator: "\n")
    }

    private static func lines(_ text: String) -> [Substring] {
        text.split(whereSeparator: \.isNewline).map { line in
            var line = line.drop { $0 == " " }
            while line.last == " " { line.removeLast() }
            return line
        }.filter { !$0.isEmpty }
    }
}
