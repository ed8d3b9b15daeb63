import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A real Prometheus with data of our own, for asking both the same. It runs while this object lives.
final class PeerPrometheus {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    private let process = Process()
    private let directory: URL
    private let connection: PeerConnection

    /// - Parameter programs: the folder that holds `prometheus` and `promtool`.
    convenience init(programs: String, openMetrics: String, features: String) throws {
        try self.init(programs: programs, features: features) { data in
            let text = data.deletingLastPathComponent().appendingPathComponent("data.om")
            try openMetrics.write(to: text, atomically: false, encoding: .utf8)
            let promtool = Process()
            promtool.executableURL = URL(fileURLWithPath: programs + "/promtool")
            promtool.arguments = ["tsdb", "create-blocks-from", "openmetrics", "--quiet", text.path, data.path]
            promtool.standardOutput = FileHandle.nullDevice
            let refusal = Pipe()
            promtool.standardError = refusal
            try promtool.run()
            let said = refusal.fileHandleForReading.readDataToEndOfFile()
            promtool.waitUntilExit()
            guard promtool.terminationStatus == 0 else {
                throw Failure(description: "promtool: \(String(decoding: said, as: UTF8.self))")
            }
        }
    }

    /// - Parameter makeData: makes the data directory.
    init(programs: String, features: String, makeData: (URL) throws -> Void) throws {
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("apus-peer-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        try "global: {}\n".write(to: directory.appendingPathComponent("p.yml"), atomically: false, encoding: .utf8)
        let data = directory.appendingPathComponent("data")
        try makeData(data)

        process.executableURL = URL(fileURLWithPath: programs + "/prometheus")
        process.arguments = [
            "--config.file=\(directory.path)/p.yml", "--storage.tsdb.path=\(data.path)", "--web.listen-address=127.0.0.1:0",
            "--storage.tsdb.retention.time=100y", "--enable-feature=\(features)", "--log.format=logfmt",
        ]
        process.standardOutput = FileHandle.nullDevice
        let log = Pipe()
        process.standardError = log
        try process.run()
        // The log tells the port, and when the server is ready.
        var lines = ""
        var port: UInt16?
        while true {
            let more = log.fileHandleForReading.availableData
            if more.isEmpty { throw Failure(description: "prometheus ended: \(lines)") }
            lines += String(decoding: more, as: UTF8.self)
            if port == nil, let found = lines.range(of: #"msg="Listening on"[^\n]*address=127\.0\.0\.1:\d+\n"#, options: .regularExpression) {
                port = UInt16(lines[found].dropLast().split(separator: ":").last ?? "")
            }
            if let port, lines.contains("Server is ready to receive web requests") {
                log.fileHandleForReading.readabilityHandler = { _ = $0.availableData }
                connection = try PeerConnection(port: port)
                return
            }
        }
    }

    deinit {
        process.terminate()
        process.waitUntilExit()
        try? FileManager.default.removeItem(at: directory)
    }

    /// Asks, and returns the answer's JSON.
    func ask(_ path: String, _ parameters: [(String, String)]) throws -> Data {
        var allowed = CharacterSet.alphanumerics
        allowed.insert(charactersIn: "-._")
        let body = parameters.map { "\($0.0)=\($0.1.addingPercentEncoding(withAllowedCharacters: allowed) ?? "")" }.joined(separator: "&")
        return try connection.post(path, body)
    }
}

/// A kept-alive HTTP connection: just enough of HTTP/1.1 for one server's answers.
private final class PeerConnection {
    private let socketDescriptor: Int32
    private var buffer: [UInt8] = []

    init(port: UInt16) throws {
        socketDescriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = socketDescriptor
        let status = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe connect(descriptor, $0, size) }
        }
        guard status == 0 else { throw PeerPrometheus.Failure(description: "connect: errno \(errno)") }
        var on: Int32 = 1
        _ = unsafe setsockopt(socketDescriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    }

    deinit { close(socketDescriptor) }

    private func fill() throws {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        let count = unsafe read(socketDescriptor, &chunk, chunk.count)
        guard count > 0 else { throw PeerPrometheus.Failure(description: "the connection ended, errno \(errno)") }
        buffer += chunk.prefix(count)
    }

    private func line() throws -> String {
        while true {
            if let end = buffer.firstIndex(of: 10) {
                let text = String(decoding: buffer[..<end], as: UTF8.self)
                buffer.removeSubrange(...end)
                return text.trimmingCharacters(in: .whitespaces.union(.newlines))
            }
            try fill()
        }
    }

    private func bytes(_ count: Int) throws -> [UInt8] {
        while buffer.count < count { try fill() }
        let result = Array(buffer.prefix(count))
        buffer.removeFirst(count)
        return result
    }

    func post(_ path: String, _ body: String) throws -> Data {
        let request = Array(
            "POST \(path) HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
                .utf8)
        var sent = 0
        while sent < request.count {
            let written = unsafe request.withUnsafeBytes { unsafe write(socketDescriptor, $0.baseAddress! + sent, request.count - sent) }
            guard written > 0 else { throw PeerPrometheus.Failure(description: "write: errno \(errno)") }
            sent += written
        }
        _ = try line()
        var (length, isChunked) = (0, false)
        while true {
            let header = try line().lowercased()
            if header.isEmpty { break }
            if header.hasPrefix("content-length:") { length = Int(header.dropFirst(15).trimmingCharacters(in: .whitespaces)) ?? 0 }
            if header.hasPrefix("transfer-encoding:"), header.contains("chunked") { isChunked = true }
        }
        if !isChunked { return Data(try bytes(length)) }
        var result = Data()
        while true {
            let size = Int(try line(), radix: 16) ?? 0
            result.append(contentsOf: try bytes(size))
            _ = try line()
            if size == 0 { return result }
        }
    }
}
