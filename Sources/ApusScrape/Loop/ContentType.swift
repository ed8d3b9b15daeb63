import ApusConfig
import ApusExposition
import ApusModel

/// Why the format of an answer is not known, in Prometheus's words.
struct ContentTypeRefusal: Error, Equatable {
    let reason: String
}

/// The format that an answer's Content-Type names: its media type alone counts, whatever the version says. But for version 2
/// of OpenMetrics, which Prometheus does not read and a target sends only to who asked for it.
/// - Parameter fallback: what `fallback_scrape_protocol` says to take for a type that is blank, broken or unknown.
func pageFormat(contentType: String, fallback: ScrapeProtocol?) throws(ContentTypeRefusal) -> PageFormat {
    let other = fallback?.format
    if contentType.isEmpty {
        if let other { return other }
        throw ContentTypeRefusal(
            reason: "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target")
    }
    let mediaType: String
    do throws(MediaTypeError) { mediaType = try parseMediaType(contentType) } catch {
        if let other { return other }
        throw ContentTypeRefusal(
            reason: "cannot parse Content-Type \(goQuoted(contentType)) and no fallback_scrape_protocol for target\n\(error.description)")
    }
    switch mediaType {
    case "text/plain": return .text
    case "application/openmetrics-text": return isVersion2(contentType) ? .openMetrics2 : .openMetrics
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
        case .openMetrics200: .openMetrics2
        }
    }
}

private func isVersion2(_ contentType: String) -> Bool {
    contentType.split(separator: ";").dropFirst().contains { parameter in
        let text = parameter.lowercased().filter { $0 != " " && $0 != "\t" && $0 != "\"" }
        return text == "version=2" || text.hasPrefix("version=2.")
    }
}

/// Go's words for a media type that is none.
struct MediaTypeError: Error, Equatable, CustomStringConvertible {
    let description: String
}

/// `type/subtype` in lower case, without its parameters, which must be well-formed all the same.
func parseMediaType(_ contentType: String) throws(MediaTypeError) -> String {
    let bytes = Array(contentType.utf8)
    var index = 0
    func skipBlanks() { while index < bytes.count, bytes[index] == 0x20 || bytes[index] == 0x09 { index += 1 } }
    func token() -> [UInt8] {
        let start = index
        while index < bytes.count, isTokenByte(bytes[index]) { index += 1 }
        return Array(bytes[start..<index])
    }
    skipBlanks()
    var type = token()
    if type.isEmpty { throw MediaTypeError(description: "mime: no media type") }
    skipBlanks()
    if index < bytes.count, bytes[index] != UInt8(ascii: ";") {
        guard bytes[index] == UInt8(ascii: "/") else { throw MediaTypeError(description: "mime: expected slash after first token") }
        index += 1
        let subtype = token()
        if subtype.isEmpty { throw MediaTypeError(description: "mime: expected token after slash") }
        type += [UInt8(ascii: "/")] + subtype
        skipBlanks()
        if index < bytes.count, bytes[index] != UInt8(ascii: ";") {
            throw MediaTypeError(description: "mime: unexpected content after media subtype")
        }
    }
    let invalid = MediaTypeError(description: "mime: invalid media parameter")
    while index < bytes.count {
        guard bytes[index] == UInt8(ascii: ";") else { throw invalid }
        index += 1
        skipBlanks()
        // A semicolon behind the last parameter is no error.
        if index == bytes.count { break }
        if token().isEmpty { throw invalid }
        skipBlanks()
        guard index < bytes.count, bytes[index] == UInt8(ascii: "=") else { throw invalid }
        index += 1
        skipBlanks()
        if index < bytes.count, bytes[index] == UInt8(ascii: "\"") {
            index += 1
            while index < bytes.count, bytes[index] != UInt8(ascii: "\"") { index += bytes[index] == UInt8(ascii: "\\") ? 2 : 1 }
            guard index < bytes.count else { throw invalid }
            index += 1
        } else if token().isEmpty {
            throw invalid
        }
        skipBlanks()
    }
    return String(decoding: type, as: UTF8.self).lowercased()
}

private func isTokenByte(_ byte: UInt8) -> Bool {
    byte > 0x20 && byte < 0x7F && !"()<>@,;:\\\"/[]?=".utf8.contains(byte)
}
