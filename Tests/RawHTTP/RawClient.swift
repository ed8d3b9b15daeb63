import Glibc

/// Speaks HTTP over a plain socket, so that a test sees every byte. For the tests of several modules.
public enum RawClient {
    public struct Answer: Sendable {
        public let status: Int
        /// Names in lower case.
        public let headers: [String: String]
        public let bytes: [UInt8]
        public var body: String { String(decoding: bytes, as: UTF8.self) }
    }
    public struct Failure: Error { public let message: String }

    public static func get(_ path: String, port: Int) async throws -> Answer {
        try await send("GET \(path) HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", port: port)
    }

    /// Sends `request` and reads until the server closes. Off the cooperative threads, which must not block.
    public static func send(_ request: String, port: Int) async throws -> Answer {
        let bytes = try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<[UInt8], any Error>) in
            let work = Work { continuation.resume(with: Result { try exchange(request, port: port) }) }
            var thread = pthread_t()
            unsafe pthread_create(&thread, nil, runWork, Unmanaged.passRetained(work).toOpaque())
            pthread_detach(thread)
        }
        return try parse(bytes)
    }

    private static func exchange(_ request: String, port: Int) throws -> [UInt8] {
        let descriptor = try connect(port: port)
        defer { close(descriptor) }
        try write(request, to: descriptor)
        return readAll(descriptor)
    }

    public static func connect(port: Int) throws -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let result = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else {
            close(descriptor)
            throw Failure(message: "connect: errno \(errno)")
        }
        return descriptor
    }

    public static func write(_ text: String, to descriptor: Int32) throws {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes {
                unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    public static func readAll(_ descriptor: Int32) -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = unsafe buffer.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { return bytes }
            bytes.append(contentsOf: buffer[..<count])
        }
    }

    static func parse(_ bytes: [UInt8]) throws -> Answer {
        let blank = Array("\r\n\r\n".utf8)
        guard let end = bytes.indices.first(where: { bytes[$0...].starts(with: blank) }) else {
            throw Failure(message: "no header in \(bytes.count) bytes")
        }
        let lines = String(decoding: bytes[..<end], as: UTF8.self).split(separator: "\r\n")
        guard let first = lines.first, let status = first.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else {
            throw Failure(message: "no status line")
        }
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            let colon = line.firstIndex(of: ":") ?? line.endIndex
            headers[line[..<colon].lowercased()] = String(line[colon...].dropFirst().drop { $0 == " " })
        }
        return Answer(status: status, headers: headers, bytes: Array(bytes[(end + 4)...]))
    }
}

private final class Work {
    let body: () -> Void
    init(_ body: @escaping () -> Void) { self.body = body }
}

private nonisolated func runWork(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    if let argument = unsafe argument { unsafe Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body() }
    return nil
}
