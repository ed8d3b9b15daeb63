import ApusConfig
import ApusModel

/// Whether an answer's Content-Type names a format that can be read.
/// - Returns: nil when it does, else why not, in Prometheus's words.
func refusal(ofContentType contentType: String, fallback: ScrapeProtocol?) -> String? {
    let hasFallback = fallback?.isReadable ?? false
    if contentType.isEmpty {
        return hasFallback
            ? nil : "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target"
    }
    guard let mediaType = mediaType(of: contentType) else {
        return hasFallback ? nil : "cannot parse Content-Type \(goQuoted(contentType)) and no fallback_scrape_protocol for target"
    }
    if mediaType == "text/plain" || hasFallback { return nil }
    return "received unsupported Content-Type \(goQuoted(contentType)) and no fallback_scrape_protocol specified for target"
}

/// `type/subtype` in lower case, without parameters; nil when it is none.
private func mediaType(of contentType: String) -> String? {
    let type = contentType.prefix { $0 != ";" }.filter { $0 != " " && $0 != "\t" }.lowercased()
    let parts = type.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count <= 2, parts.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy(isTokenByte) }) else { return nil }
    return type
}

private func isTokenByte(_ byte: UInt8) -> Bool {
    byte > 0x20 && byte < 0x7F && !"()<>@,;:\\\"/[]?=".utf8.contains(byte)
}
