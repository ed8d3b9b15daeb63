import ApusBytes
import ApusModel
import ApusPromQL

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// `query_log_file`: a line of JSON for each query that ended, with the keys that Prometheus writes.
///
///     {"time":"…","level":"INFO","msg":"promql query logged",
///      "params":{"end":"…","query":"…","start":"…","step":15},"error":"…",
///      "stats":{"timings":{…},"samples":{…}},"httpRequest":{"clientIP":"…","method":"GET","path":"/api/v1/query"}}
final class QueryLogFile: Sendable {
    private let descriptor: Int32
    /// One line at a time, and none in halves.
    private let gate = Locked(false)

    init(path: String) throws(FileError) {
        descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o666)
        if descriptor < 0 { throw FileError("open", path, code: errno) }
    }

    deinit { close(descriptor) }

    /// - Returns: false when it could not be written.
    func write(_ activity: QueryActivity, _ outcome: QueryOutcome, nowMs: Int64) -> Bool {
        let line = Self.line(activity, outcome, nowMs: nowMs)
        return gate.withLock { _ in append(line) }
    }

    private func append(_ line: [UInt8]) -> Bool {
        var written = 0
        while written < line.count {
            // SAFETY: the buffer has `line.count` bytes, of which `written` are behind us.
            let count = unsafe line.withUnsafeBytes { bytes in
                unsafe Self.system(descriptor, bytes.baseAddress.map { unsafe $0 + written }, line.count - written)
            }
            if count < 0 {
                if errno == EINTR { continue }
                return false
            }
            written += count
        }
        return true
    }

    private static func system(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
        guard let bytes = unsafe bytes else { return 0 }
        #if canImport(Glibc)
            return unsafe Glibc.write(descriptor, bytes, count)
        #elseif canImport(Musl)
            return unsafe Musl.write(descriptor, bytes, count)
        #else
            return unsafe Darwin.write(descriptor, bytes, count)
        #endif
    }

    static func line(_ activity: QueryActivity, _ outcome: QueryOutcome, nowMs: Int64) -> [UInt8] {
        var json = JSONWriter()
        json.object { json in
            json.key("time")
            json.string(formatRFC3339(ms: nowMs, allDigits: true))
            json.key("level")
            json.string("INFO")
            json.key("msg")
            json.string("promql query logged")
            json.key("params")
            json.object { json in
                json.key("end")
                json.string(formatRFC3339(ms: activity.endMs, allDigits: true))
                json.key("query")
                json.string(activity.query)
                json.key("start")
                json.string(formatRFC3339(ms: activity.startMs, allDigits: true))
                json.key("step")
                json.integer(activity.stepMs / 1_000)
            }
            if let error = outcome.error {
                json.key("error")
                json.string(error.message)
            }
            json.key("stats")
            json.statistics(outcome.statistics) { activity.startMs &+ Int64($0) &* activity.stepMs }
            switch activity.origin {
            case .request(let client, let method, let path):
                json.key("httpRequest")
                json.texts([("clientIP", client), ("method", method), ("path", path)])
            case .rule(let file, let group):
                json.key("ruleGroup")
                json.texts([("file", file), ("name", group)])
            case .unknown: break
            }
        }
        return json.bytes + [UInt8(ascii: "\n")]
    }
}

extension JSONWriter {
    fileprivate mutating func texts(_ members: [(name: String, value: String)]) {
        object { json in
            for (name, value) in members {
                json.key(name)
                json.string(value)
            }
        }
    }
}
