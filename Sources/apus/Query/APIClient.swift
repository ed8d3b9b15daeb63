import ApusBytes
import CCurl

/// Why a server gave no answer.
struct ClientError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Asks the HTTP API of a server, Apus or Prometheus, and waits for the answer.
struct APIClient {
    let url: String
    let headers: [String]

    /// An answer longer than this is refused.
    static let maximumBodyBytes = 1 << 30

    /// - Parameters:
    ///   - url: of the server, perhaps with a path before `/api`.
    ///   - headers: `Name: value`, or as promtool takes them, `Name=value`.
    init(_ url: String, headers: [String] = []) throws(ClientError) {
        var base = url.contains("://") ? url : "http://" + url
        while base.hasSuffix("/") { base.removeLast() }
        guard base.hasPrefix("http://") || base.hasPrefix("https://") else {
            throw ClientError("\(url) is not the address of a server; write http://host:port")
        }
        self.url = base
        var lines: [String] = []
        for header in headers {
            guard let split = header.firstIndex(where: { $0 == "=" || $0 == ":" }), !header.contains(where: \.isNewline) else {
                throw ClientError("header \(header) is not of the form name=value")
            }
            let value = header[header.index(after: split)...]
            lines.append("\(header[..<split]): \(value.drop { $0 == " " })")
        }
        self.headers = lines
    }

    /// What a server says to a query.
    struct Answer {
        var data: JSONValue
        /// `data` as the server wrote it.
        var warnings: [String]
        var infos: [String]
    }

    /// GETs a path of the API, or POSTs a form to it.
    func ask(_ path: String, _ form: [(name: String, value: String)], posts: Bool = true) throws(ClientError) -> Answer {
        let body = form.map { "\(Self.escaped($0.name))=\(Self.escaped($0.value))" }.joined(separator: "&")
        let target = url + path
        let (status, bytes) = try perform(posts || body.isEmpty ? target : "\(target)?\(body)", body: posts ? body : nil)
        let document: JSONValue
        do { document = try JSONReader.read(bytes) } catch {
            throw ClientError("\(target) answered \(status), and not with JSON: \(String(decoding: bytes.prefix(200), as: UTF8.self))")
        }
        if case .string(let message)? = document["error"] {
            guard case .string(let kind)? = document["errorType"] else { throw ClientError("\(message)") }
            throw ClientError("\(kind): \(message)")
        }
        guard (200..<300).contains(status), let data = document["data"] else {
            throw ClientError("\(target) answered \(status) without data")
        }
        return Answer(data: data, warnings: document["warnings"].texts, infos: document["infos"].texts)
    }

    /// Percent-encodes all but letters, digits and a few signs.
    private static func escaped(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default: result += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }
        return result
    }

    private func perform(_ target: String, body: String?) throws(ClientError) -> (status: Int, body: [UInt8]) {
        guard ccurl_global_init() == CURLE_OK, let easy = unsafe curl_easy_init() else {
            throw ClientError("libcurl cannot be used")
        }
        defer { unsafe curl_easy_cleanup(easy) }
        let collected = Collected()
        var list: UnsafeMutablePointer<curl_slist>?
        for header in headers + ["Expect:"] {
            guard let longer = unsafe curl_slist_append(list, header) else { throw ClientError("out of memory") }
            unsafe list = longer
        }
        defer { unsafe curl_slist_free_all(list) }
        let handle = unsafe UnsafeMutableRawPointer(easy)
        unsafe ccurl_set_string(handle, CURLOPT_URL, target)
        unsafe ccurl_set_string(handle, CURLOPT_PROTOCOLS_STR, "http,https")
        unsafe ccurl_set_string(handle, CURLOPT_ACCEPT_ENCODING, "")
        unsafe ccurl_set_string(handle, CURLOPT_USERAGENT, "apus/\(Version.number)")
        unsafe ccurl_set_long(handle, CURLOPT_NOSIGNAL, 1)
        unsafe ccurl_set_long(handle, CURLOPT_FOLLOWLOCATION, 1)
        unsafe ccurl_set_long(handle, CURLOPT_MAXREDIRS, 10)
        unsafe ccurl_set_list(handle, CURLOPT_HTTPHEADER, list)
        unsafe ccurl_set_write(handle, CURLOPT_WRITEFUNCTION, collectBytes)
        unsafe ccurl_set_pointer(handle, CURLOPT_WRITEDATA, Unmanaged.passUnretained(collected).toOpaque())
        if let body {
            unsafe ccurl_set_long(handle, CURLOPT_POSTFIELDSIZE, body.utf8.count)
            unsafe ccurl_set_string(handle, CURLOPT_COPYPOSTFIELDS, body)
        }
        // SAFETY: `collected` lives until after the transfer.
        let code = withExtendedLifetime(collected) { unsafe curl_easy_perform(easy) }
        if collected.isTooLong { throw ClientError("\(url) answered with more than \(Self.maximumBodyBytes) bytes") }
        guard code == CURLE_OK else { throw ClientError("\(url): \(unsafe String(cString: curl_easy_strerror(code)))") }
        var status = 0
        unsafe ccurl_get_long(handle, CURLINFO_RESPONSE_CODE, &status)
        return (status, collected.bytes)
    }
}

private final class Collected {
    var bytes: [UInt8] = []
    var isTooLong = false
}

/// libcurl's call for a piece of the body. A top-level function: see the notes on callbacks in ARCHITECTURE.md.
private nonisolated func collectBytes(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let bytes = unsafe bytes, let context = unsafe context else { return 0 }
    // SAFETY: the context is the `Collected` of `perform`, which waits for the transfer's end.
    let collected = unsafe Unmanaged<Collected>.fromOpaque(context).takeUnretainedValue()
    guard collected.bytes.count + count <= APIClient.maximumBodyBytes else {
        collected.isTooLong = true
        return 0
    }
    // SAFETY: libcurl lends `count` bytes for the call; `size` is always 1.
    unsafe collected.bytes.append(contentsOf: UnsafeRawBufferPointer(start: bytes, count: count))
    return count
}

extension JSONValue? {
    /// The strings of a list of strings.
    var texts: [String] {
        guard case .array(let values) = self else { return [] }
        return values.compactMap { if case .string(let text) = $0 { "\(text)" } else { nil } }
    }
}

extension JSONValue {
    var text: String? { if case .string(let text) = self { "\(text)" } else { nil } }
    var elements: [JSONValue] { if case .array(let values) = self { values } else { [] } }
    /// Of a number.
    var double: Double? { if case .number(let digits) = self { Double(String(decoding: digits, as: UTF8.self)) } else { nil } }
    /// A number as it was written.
    var digits: String? { if case .number(let digits) = self { String(decoding: digits, as: UTF8.self) } else { nil } }

    /// The value as JSON on one line, numbers as they were.
    func write(to json: inout JSONOutput) {
        switch self {
        case .null: json.raw("null")
        case .bool(let value): json.raw(value ? "true" : "false")
        case .number(let digits): json.raw(String(decoding: digits, as: UTF8.self))
        case .string(let text): json.string(text)
        case .array(let values): json.list(values)
        case .object(let members): json.members(members)
        }
    }
}
