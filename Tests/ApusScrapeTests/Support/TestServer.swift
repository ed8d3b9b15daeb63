import ApusModel
import Glibc

@testable import ApusScrape

/// A small HTTP server on a free loopback port, with one thread for each connection. Stops with `stop`.
final class TestServer: Sendable {
    struct Request: Sendable {
        var path = ""
        var headers: [String: String] = [:]
        var body = ""
    }
    /// What to answer: bytes as they go out, and whether the connection then hangs until the test ends.
    struct Reply: Sendable {
        var bytes: [UInt8]
        var hangs = false
        /// Sent again and again until the client goes away.
        var endless: [UInt8] = []

        static func page(_ text: String, type: String = "text/plain; version=0.0.4") -> Reply {
            bytes(Array(text.utf8), headers: ["Content-Type: \(type)"])
        }
        static func bytes(_ body: [UInt8], status: String = "200 OK", headers: [String]) -> Reply {
            let head = "HTTP/1.1 \(status)\r\nContent-Length: \(body.count)\r\n" + headers.map { $0 + "\r\n" }.joined() + "\r\n"
            return Reply(bytes: Array(head.utf8) + body)
        }
    }

    let port: UInt16
    private let listener: CInt
    private let handler: @Sendable (Request) -> Reply
    private let open = Locked<Set<CInt>>([])
    private let stopped = Locked(false)
    private let seen = Locked<[Request]>([])

    var requests: [Request] { seen.withLock { $0 } }
    var address: String { "127.0.0.1:\(port)" }

    init(_ handler: @escaping @Sendable (Request) -> Reply) throws {
        self.handler = handler
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = listener
        let bound = unsafe withUnsafePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe bind(listener, $0, length) }
        }
        guard bound == 0, listen(listener, 64) == 0 else { throw ServerError() }
        var actual = sockaddr_in()
        var actualLength = length
        _ = unsafe withUnsafeMutablePointer(to: &actual) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe getsockname(listener, $0, &actualLength) }
        }
        port = UInt16(bigEndian: actual.sin_port)
        guard PosixThread({ [self] in accept() }) != nil else { throw ServerError() }
    }
    struct ServerError: Error {}

    func stop() {
        stopped.withLock { $0 = true }
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
        for descriptor in open.withLock({ $0 }) { shutdown(descriptor, Int32(SHUT_RDWR)) }
    }

    private func accept() {
        while true {
            let descriptor = Glibc.accept(listener, nil, nil)
            if descriptor < 0 { return }
            if stopped.withLock({ $0 }) {
                close(descriptor)
                return
            }
            _ = open.withLock { $0.insert(descriptor) }
            _ = PosixThread { [self] in
                serve(descriptor)
                _ = open.withLock { $0.remove(descriptor) }
                close(descriptor)
            }
        }
    }

    private func serve(_ descriptor: CInt) {
        var pending: [UInt8] = []
        while let request = readRequest(descriptor, &pending) {
            seen.withLock { $0.append(request) }
            let reply = handler(request)
            guard sendAll(descriptor, reply.bytes) else { return }
            if !reply.endless.isEmpty { while sendAll(descriptor, reply.endless) {} }
            if reply.hangs {
                var byte: UInt8 = 0
                while unsafe read(descriptor, &byte, 1) > 0 {}
                return
            }
        }
    }

    private func sendAll(_ descriptor: CInt, _ bytes: [UInt8]) -> Bool {
        var offset = 0
        while offset < bytes.count {
            let sent = unsafe bytes.withUnsafeBytes { unsafe send(descriptor, $0.baseAddress! + offset, $0.count - offset, Int32(MSG_NOSIGNAL)) }
            if sent <= 0 { return false }
            offset += sent
        }
        return true
    }

    private func readRequest(_ descriptor: CInt, _ pending: inout [UInt8]) -> Request? {
        var piece = [UInt8](repeating: 0, count: 4096)
        while true {
            if let end = pending.indices.first(where: { pending[$0...].starts(with: [13, 10, 13, 10]) }) {
                let text = String(decoding: pending[..<end], as: UTF8.self)
                var request = Request()
                for (index, line) in text.split(separator: "\r\n").enumerated() {
                    if index == 0 {
                        let words = line.split(separator: " ")
                        request.path = words.count > 1 ? String(words[1]) : ""
                    } else if let colon = line.firstIndex(of: ":") {
                        request.headers[line[..<colon].lowercased()] =
                            String(line[line.index(after: colon)...].drop { $0 == " " })
                    }
                }
                let length = request.headers["content-length"].flatMap { Int($0) } ?? 0
                if pending.count >= end + 4 + length {
                    request.body = String(decoding: pending[(end + 4)..<(end + 4 + length)], as: UTF8.self)
                    pending.removeFirst(end + 4 + length)
                    return request
                }
            }
            let count = unsafe piece.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
            if count <= 0 { return nil }
            pending += piece[..<count]
        }
    }
}

/// Waits until `condition` holds, giving up after ten seconds. Yields instead of sleeping.
func eventually(_ condition: () -> Bool) -> Bool {
    let start = SystemTime().monotonicNs()
    while !condition() {
        if SystemTime().monotonicNs() - start > 10_000_000_000 { return false }
        sched_yield()
    }
    return true
}
