import ApusConfig

/// The Accept header for `protocols` in their order, with Prometheus's weights.
func makeAcceptHeader(_ protocols: [ScrapeProtocol], escaping: NameEscaping) -> String {
    // Weights count down from one more than Prometheus has formats, whichever of them are asked for.
    var weight = ScrapeProtocol.allCases.count + (protocols.contains(.openMetrics200) ? 1 : 0)
    var entries: [String] = []
    for format in protocols {
        let suffix = format.hasEscaping ? ";escaping=\(escaping.rawValue)" : ""
        entries.append("\(format.mediaType)\(suffix);q=0.\(weight)")
        weight = max(weight - 1, 1)
    }
    entries.append("*/*;q=0.\(weight)")
    return entries.joined(separator: ",")
}
