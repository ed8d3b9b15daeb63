public import ApusMetrics

/// Sends a registry's page to a Pushgateway, for jobs that end before a scrape comes.
///
///     let gateway = try PushGateway("http://gateway:9091", job: "backup", grouping: [("instance", "db1")])
///     try await gateway.push(registry)
///
/// Service-level batch jobs only, as the Pushgateway's own documentation says: it keeps what it was given until it is
/// deleted, and does not notice that a job is gone.
///
/// Requests go through libcurl on a thread made for each, with proxies and certificates as it finds them.
public struct PushGateway: Sendable {
    public enum Failure: Error, Equatable, Sendable, CustomStringConvertible {
        case emptyJob
        /// Not a label's name, or `job`, or given twice.
        case badGroupingLabel(String)
        /// A series has a label that the grouping has too; the gateway would refuse or overwrite it.
        case labelIsGrouped(String)
        /// The gateway could not be reached; libcurl's text.
        case unreachable(String, url: String)
        case refused(status: Int, url: String, body: String)

        public var description: String {
            switch self {
            case .emptyJob: "job name is empty"
            case .badGroupingLabel(let name): "\(name.debugDescription) can't be a label of the grouping"
            case .labelIsGrouped(let name): "a metric already contains the grouping label \(name)"
            case .unreachable(let reason, let url): "\(url): \(reason)"
            case .refused(let status, let url, let body): "unexpected status code \(status) while pushing to \(url): \(body)"
            }
        }
    }

    /// How the gateway knows who pushes.
    public enum Credentials: Sendable {
        case basic(user: String, password: String)
        case bearer(String)
    }

    /// The group's address: `…/metrics/job/backup/instance/db1`.
    public let url: String
    /// Other headers of each request.
    public var headers: [(name: String, value: String)] = []
    public var credentials: Credentials?
    /// How long a request may take, ms.
    public var timeoutMs = 10_000
    private let groupingNames: [String]

    /// - Parameters:
    ///   - url: the gateway's address; `http://` is put before it if no scheme is there.
    ///   - grouping: labels that, with `job`, name the group of metrics which is replaced or deleted.
    public init(_ url: String, job: String, grouping: [(name: String, value: String)] = []) throws(Failure) {
        if job.isEmpty { throw .emptyJob }
        var path = Self.segment("job", job)
        var names = ["job"]
        for (name, value) in grouping {
            guard Self.isLabelName(name), !names.contains(name) else { throw .badGroupingLabel(name) }
            names.append(name)
            path += Self.segment(name, value)
        }
        var base = url.contains("://") ? url : "http://" + url
        while base.hasSuffix("/") { base.removeLast() }
        self.url = base + "/metrics" + path
        groupingNames = names
    }

    /// Replaces all metrics of the group (`PUT`).
    public func push(_ registry: MetricRegistry) async throws(Failure) { try await send("PUT", try await page(registry)) }

    /// Replaces those metrics of the group that have a name which is in the registry (`POST`).
    public func add(_ registry: MetricRegistry) async throws(Failure) { try await send("POST", try await page(registry)) }

    /// Deletes all metrics of the group.
    public func delete() async throws(Failure) { try await send("DELETE", nil) }

    private func page(_ registry: MetricRegistry) async throws(Failure) -> (type: String, bytes: [UInt8]) {
        let page = await registry.page()
        for name in groupingNames where LabelSearch(name).isIn(page) { throw .labelIsGrouped(name) }
        return (registry.contentType, page)
    }

    private func send(_ method: String, _ page: (type: String, bytes: [UInt8])?) async throws(Failure) {
        var request = CurlRequest(method: method, url: url, body: page?.bytes ?? [], timeoutMs: timeoutMs)
        if let page { request.headers.append(("Content-Type", page.type)) }
        request.headers += headers
        switch credentials {
        case .basic(let user, let password): request.headers.append(("Authorization", "Basic " + base64("\(user):\(password)")))
        case .bearer(let token): request.headers.append(("Authorization", "Bearer " + token))
        case nil: break
        }
        let answer: CurlAnswer
        do throws(CurlFailure) { answer = try await perform(request) } catch { throw .unreachable(error.reason, url: url) }
        guard answer.status == 200 || answer.status == 202 else {
            throw .refused(status: answer.status, url: url, body: String(decoding: answer.body.prefix(1_000), as: UTF8.self))
        }
    }

    // MARK: The address

    /// `/name/value`; a value with a slash, or without anything, goes as base64 (of RFC 4648, 5).
    private static func segment(_ name: String, _ value: String) -> String {
        if value.isEmpty { return "/\(name)@base64/=" }
        if value.utf8.contains(UInt8(ascii: "/")) { return "/\(name)@base64/\(base64(value, isForURL: true))" }
        return "/\(name)/\(percentEncoded(value))"
    }

    private static func isLabelName(_ name: String) -> Bool {
        guard let first = name.utf8.first, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first), !name.hasPrefix("__") else {
            return false
        }
        return name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "_"):
                true
            default: false
            }
        }
    }

    private static func percentEncoded(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default: result += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }
        return result
    }
}

/// Whether a label occurs in a page: looks for `{name="` and `,name="` outside of quotes and comments.
struct LabelSearch {
    private let name: [UInt8]
    init(_ name: String) { self.name = Array((name + "=\"").utf8) }

    func isIn(_ page: [UInt8]) -> Bool {
        for line in page.split(separator: UInt8(ascii: "\n")) where line.first != UInt8(ascii: "#") {
            var (isQuoted, isEscaped) = (false, false)
            for index in line.indices {
                let byte = line[index]
                if isQuoted {
                    if isEscaped {
                        isEscaped = false
                    } else if byte == UInt8(ascii: "\\") {
                        isEscaped = true
                    } else if byte == UInt8(ascii: "\"") {
                        isQuoted = false
                    }
                } else if byte == UInt8(ascii: "\"") {
                    isQuoted = true
                } else if byte == UInt8(ascii: "{") || byte == UInt8(ascii: ","), line[(index + 1)...].starts(with: name) {
                    return true
                }
            }
        }
        return false
    }
}

/// Base64 of RFC 4648; for addresses with its other two signs and without padding.
func base64(_ text: String, isForURL: Bool = false) -> String {
    let signs =
        Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789".utf8) + Array((isForURL ? "-_" : "+/").utf8)
    var result: [UInt8] = []
    let bytes = Array(text.utf8)
    for start in stride(from: 0, to: bytes.count, by: 3) {
        let group = bytes[start..<min(start + 3, bytes.count)]
        var bits: UInt32 = 0
        for byte in group { bits = bits << 8 | UInt32(byte) }
        bits <<= UInt32(8 * (3 - group.count))
        for place in 0..<4 {
            if place <= group.count {
                result.append(signs[Int(bits >> UInt32(18 - 6 * place) & 63)])
            } else if !isForURL {
                result.append(UInt8(ascii: "="))
            }
        }
    }
    return String(decoding: result, as: UTF8.self)
}
