import ApusConfig
import ApusExposition
import ApusModel

/// Why the format of an answer is not known, in Prometheus's words.
struct ContentTypeRefusal: Error, Equatable {
    let reason: String
}

/// The format that an answer's Content-Type names: its media type alone counts, whatever the version says.
/// - Parameter fallback: what `fallback_scrape_protocol` says to take for a type that is blank, broken or unknown.
func pageFormat(contentType: String, fallback: ScrapeProtocol?) throws(ContentTypeRefusal) -> PageFormat {
    let other = fallback?.format
    if contentType.isEmpty {
        if let other { return other }
        throw ContentTypeRefusal(
            reason: "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target")
    }
    guard let mediaType = mediaType(of: contentType) else {
        if let other { return other }
        throw ContentTypeRefusal(reason: "cannot parse Content-Type \(goQuoted(contentType)) and no fallback_scrape_protocol for target")
    }
    switch mediaType {
    case "text/plain": return .text
    case "application/openmetrics-text": return .openMetrics
    case "application/vnd.google.protobuf": return .protobuf
    default:
        if let other { return other }
        throw ContentTypeRefusal(
            reason: "received unsupported Content-Type \(goQuoted(contentType)) and no fallback_scrape_protocol specified for target")
    }
}

extension ScrapeProtocol {
    var format: PageFormat {
        switch self {
        case .protobuf: .protobuf
        case .text004, .text100: .text
        case .openMetrics001, .openMetrics100: .openMetrics
        }
    }
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
