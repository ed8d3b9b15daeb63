import ApusConfig
import ApusModel
import Glibc

/// Looks names up at the system's resolvers, as `/etc/resolv.conf` lists them: over UDP, and over TCP when an answer is too
/// large for a datagram. The C library's lookups know nothing of SRV, MX and NS.
struct DNSResolver: Sendable {
    static let systemPath = "/etc/resolv.conf"
    static let maxFileBytes = 1 << 20
    /// Read at each lookup: machines change their networks.
    let path: String

    struct Settings: Equatable {
        var servers: [String] = []
        var port: UInt16 = 53
        var search: [String] = []
        /// A name with fewer dots is tried with the search list first.
        var dots = 1
        var timeoutMs: Int32 = 5000
        var attempts = 2
    }

    func lookUp(_ name: String, _ type: DNSSDConfig.RecordType) throws(DNSError) -> [DNSRecord] {
        guard let bytes = readFile(path, limit: Self.maxFileBytes) else {
            throw DNSError("could not load resolv.conf: open \(path): \(lastError())")
        }
        return try Self.lookUp(name, type, Self.parse(String(decoding: bytes, as: UTF8.self)))
    }

    // MARK: Settings

    static func parse(_ text: String) -> Settings {
        var settings = Settings()
        for line in text.split(whereSeparator: \.isNewline) {
            let fields = line.prefix { $0 != "#" && $0 != ";" }.split(whereSeparator: { $0 == " " || $0 == "\t" }).map(String.init)
            guard let keyword = fields.first else { continue }
            switch keyword {
            case "nameserver": if fields.count > 1 { settings.servers.append(fields[1]) }
            case "domain": if fields.count > 1 { settings.search = [fields[1]] }
            case "search": settings.search = Array(fields.dropFirst())
            case "options":
                for option in fields.dropFirst() {
                    let parts = option.split(separator: ":")
                    guard parts.count == 2, let number = Int(parts[1]), number >= 0 else { continue }
                    switch parts[0] {
                    case "ndots": settings.dots = min(number, 15)
                    case "timeout": settings.timeoutMs = Int32(min(max(number, 1), 30) * 1000)
                    case "attempts": settings.attempts = min(max(number, 1), 5)
                    default: break
                    }
                }
            default: break
            }
        }
        if settings.servers.isEmpty { settings.servers = ["127.0.0.1"] }
        return settings
    }

    /// The names to try, in order.
    static func candidates(_ name: String, _ settings: Settings) -> [String] {
        if name.hasSuffix(".") { return [name] }
        let whole = name + "."
        let searched = settings.search.map { $0 == "." ? whole : "\(name).\($0)" + ($0.hasSuffix(".") ? "" : ".") }
        let dots = name.utf8.count { $0 == UInt8(ascii: ".") }
        return dots >= settings.dots ? [whole] + searched : searched + [whole]
    }

    // MARK: Asking

    /// - Returns: the records; none when every server says that there is no such name.
    static func lookUp(_ name: String, _ type: DNSSDConfig.RecordType, _ settings: Settings) throws(DNSError) -> [DNSRecord] {
        var allAnswered = true
        for candidate in candidates(name, settings) {
            guard let answer = askAny(candidate, type, settings) else {
                allAnswered = false
                continue
            }
            if answer.code == DNSMessage.Code.success.rawValue { return answer.records }
        }
        if allAnswered { return [] }
        throw DNSError("could not resolve \(goQuoted(name)): all servers responded with errors to at least one search domain")
    }

    /// The answer of the first server that has one.
    private static func askAny(_ name: String, _ type: DNSSDConfig.RecordType, _ settings: Settings) -> DNSMessage.Answer? {
        for _ in 0..<settings.attempts {
            for server in settings.servers {
                guard var answer = ask(server, name, type, settings, offersLarge: true) else { continue }
                if answer.code == DNSMessage.Code.formatError.rawValue {
                    // An old server that does not know of large datagrams.
                    guard let plain = ask(server, name, type, settings, offersLarge: false) else { continue }
                    answer = plain
                }
                if answer.code == DNSMessage.Code.success.rawValue || answer.code == DNSMessage.Code.nameError.rawValue { return answer }
            }
        }
        return nil
    }

    private static func ask(
        _ server: String, _ name: String, _ type: DNSSDConfig.RecordType, _ settings: Settings, offersLarge: Bool
    ) -> DNSMessage.Answer? {
        let id = UInt16.random(in: 0...UInt16.max)
        guard let question = DNSMessage.question(id: id, name: name, type: type, offersLarge: offersLarge) else { return nil }
        guard let datagram = DNSSocket.connected(to: server, settings.port, isStream: false, timeoutMs: settings.timeoutMs) else { return nil }
        guard datagram.send(question) else { return nil }
        // Whatever else comes in is not ours: someone may guess.
        while let bytes = datagram.receive(max: DNSMessage.datagramBytes) {
            guard let answer = DNSMessage.decode(bytes, to: question, type: type) else { continue }
            if !answer.isTruncated { return answer }
            return askStream(server, question, type, settings) ?? answer
        }
        return nil
    }

    private static func askStream(
        _ server: String, _ question: [UInt8], _ type: DNSSDConfig.RecordType, _ settings: Settings
    ) -> DNSMessage.Answer? {
        guard let stream = DNSSocket.connected(to: server, settings.port, isStream: true, timeoutMs: settings.timeoutMs) else { return nil }
        let framed = [UInt8(question.count >> 8), UInt8(question.count & 255)] + question
        guard stream.send(framed), let length = stream.receive(exactly: 2) else { return nil }
        guard let bytes = stream.receive(exactly: Int(length[0]) << 8 | Int(length[1])) else { return nil }
        return DNSMessage.decode(bytes, to: question, type: type)
    }
}

/// One connected socket with a deadline for all that happens on it.
private struct DNSSocket: ~Copyable {
    private let descriptor: CInt
    private let deadlineMs: Int64

    /// - Returns: nil for an address that is none, or when the system refuses.
    static func connected(to server: String, _ port: UInt16, isStream: Bool, timeoutMs: Int32) -> DNSSocket? {
        var hints = unsafe addrinfo()
        unsafe hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV
        unsafe hints.ai_socktype = Int32((isStream ? SOCK_STREAM : SOCK_DGRAM).rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard unsafe getaddrinfo(server, String(port), &hints, &list) == 0, let found = unsafe list else { return nil }
        defer { unsafe freeaddrinfo(found) }
        let kind = unsafe found.pointee.ai_socktype | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = unsafe socket(found.pointee.ai_family, kind, 0)
        guard descriptor >= 0 else { return nil }
        let status = unsafe connect(descriptor, found.pointee.ai_addr, found.pointee.ai_addrlen)
        if status != 0 && errno != EINPROGRESS {
            close(descriptor)
            return nil
        }
        return DNSSocket(descriptor: descriptor, deadlineMs: nowMs() + Int64(timeoutMs))
    }

    private init(descriptor: CInt, deadlineMs: Int64) {
        self.descriptor = descriptor
        self.deadlineMs = deadlineMs
    }

    deinit { close(descriptor) }

    private static func nowMs() -> Int64 {
        var now = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &now)
        return Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000
    }

    private func wait(_ events: Int32) -> Bool {
        while true {
            let left = deadlineMs - Self.nowMs()
            if left <= 0 { return false }
            var one = pollfd(fd: descriptor, events: Int16(truncatingIfNeeded: events), revents: 0)
            let ready = unsafe poll(&one, 1, CInt(truncatingIfNeeded: left))
            if ready > 0 { return true }
            if ready < 0 && errno != EINTR { return false }
        }
    }

    func send(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            guard wait(POLLOUT) else { return false }
            let count = unsafe bytes.withUnsafeBytes { buffer in
                unsafe Glibc.send(descriptor, buffer.baseAddress.map { unsafe $0 + sent }, buffer.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count < 0 && errno == EAGAIN { continue }
            if count <= 0 { return false }
            sent += count
        }
        return true
    }

    /// One datagram, or what a stream has; nil when nothing comes in time.
    func receive(max: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: max)
        while true {
            guard wait(POLLIN) else { return nil }
            let count = unsafe bytes.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress, $0.count, 0) }
            if count < 0 && errno == EAGAIN { continue }
            if count <= 0 { return nil }
            return Array(bytes[..<count])
        }
    }

    func receive(exactly count: Int) -> [UInt8]? {
        var bytes: [UInt8] = []
        while bytes.count < count {
            guard let more = receive(max: count - bytes.count) else { return nil }
            bytes += more
        }
        return bytes
    }
}
