import ApusConfig
import ApusModel
import Glibc
import Testing

@testable import ApusScrape

/// A name server on a free loopback port: over UDP it answers once for each datagram, over TCP it serves one client after
/// the other.
private final class NameServer: Sendable {
    let port: UInt16
    private let datagrams: CInt
    private let listener: CInt
    private let threads = Locked<[PosixThread]>([])

    init(datagram: @escaping @Sendable ([UInt8]) -> [UInt8]?, stream: @escaping @Sendable ([UInt8]) -> [UInt8]? = { _ in nil }) throws {
        let (datagrams, listener, port) = try Self.sockets()
        self.datagrams = datagrams
        self.listener = listener
        self.port = port
        let first = PosixThread {
            var buffer = [UInt8](repeating: 0, count: 4096)
            while true {
                var from = sockaddr_in()
                var length = socklen_t(MemoryLayout<sockaddr_in>.size)
                let count = unsafe withUnsafeMutablePointer(to: &from) { pointer in
                    unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe recvfrom(datagrams, &buffer, buffer.count, 0, $0, &length) }
                }
                // An empty datagram is the test's way to say stop.
                if count <= 0 { return }
                guard let answer = datagram(Array(buffer[..<count])) else { continue }
                unsafe withUnsafeMutablePointer(to: &from) { pointer in
                    _ = unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe sendto(datagrams, answer, answer.count, 0, $0, length) }
                }
            }
        }
        let second = PosixThread {
            var buffer = [UInt8](repeating: 0, count: 4096)
            while true {
                let client = accept(listener, nil, nil)
                if client < 0 { return }
                let count = unsafe recv(client, &buffer, buffer.count, 0)
                if count > 2, let answer = stream(Array(buffer[2..<count])) {
                    let framed = [UInt8(answer.count >> 8), UInt8(answer.count & 255)] + answer
                    _ = unsafe send(client, framed, framed.count, Int32(MSG_NOSIGNAL))
                }
                close(client)
            }
        }
        threads.withLock { $0 = [first, second].compactMap { $0 } }
    }

    /// Both on one port. One that is free for datagrams may be taken for streams: then it is another's turn.
    private static func sockets() throws -> (datagrams: CInt, listener: CInt, port: UInt16) {
        for _ in 0..<100 {
            let datagrams = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
            let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            if let port = bound(datagrams, 0), bound(listener, port) != nil, listen(listener, 8) == 0 { return (datagrams, listener, port) }
            close(datagrams)
            close(listener)
        }
        throw DNSError("cannot listen")
    }

    private static func address(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        address.sin_port = port.bigEndian
        return address
    }
    private static func bound(_ descriptor: CInt, _ port: UInt16) -> UInt16? {
        var address = address(port)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
            }
        }
        return isBound ? UInt16(bigEndian: address.sin_port) : nil
    }

    func stop() {
        var own = Self.address(port)
        _ = unsafe withUnsafeMutablePointer(to: &own) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe sendto(datagrams, [UInt8](), 0, 0, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        shutdown(listener, Int32(SHUT_RDWR))
        for thread in threads.withLock({ $0 }) { thread.join() }
        close(datagrams)
        close(listener)
    }

    var settings: DNSResolver.Settings {
        var settings = DNSResolver.Settings()
        settings.servers = ["127.0.0.1"]
        settings.port = port
        settings.timeoutMs = 5000
        settings.attempts = 1
        return settings
    }
}

/// The answer to `question` with records whose owner is the name asked for.
private func answer(_ question: [UInt8], flags: [UInt8] = [0x81, 0x80], _ records: [(type: UInt16, data: [UInt8])]) -> [UInt8] {
    // The question without what stands behind it.
    var end = 12
    while question[end] != 0 { end += Int(question[end]) + 1 }
    end += 5
    var bytes = [question[0], question[1]] + flags + [0, 1, 0, UInt8(records.count), 0, 0, 0, 0] + question[12..<end]
    for record in records {
        bytes += [0xC0, 12, UInt8(record.type >> 8), UInt8(record.type & 255), 0, 1, 0, 0, 0, 60, 0, UInt8(record.data.count)] + record.data
    }
    return bytes
}
private func name(_ text: String) -> [UInt8] { DNSMessage.encode(text) ?? [] }

@Suite("DNS discovery") struct DNSTests {
    @Test("asks for each kind of record, and makes targets of them") func kinds() throws {
        let server = try NameServer(datagram: { question in
            // By the type that is asked for.
            switch question[question.count - 11 - 3] {
            case 1: answer(question, [(5, name("alias.")), (1, [10, 0, 0, 1]), (1, [10, 0, 0, 2])])
            case 28: answer(question, [(28, [0x20, 1, 0x0D, 0xB8] + Array(repeating: 0, count: 11) + [7])])
            case 33: answer(question, [(33, [0, 1, 0, 2, 0x1F, 0x90] + name("web.example.com"))])
            case 15: answer(question, [(15, [0, 10] + name("mail.example.com"))])
            default: answer(question, [(2, name("ns1.example.com"))])
            }
        })
        defer { server.stop() }
        let settings = server.settings
        #expect(try DNSResolver.lookUp("x.test.", .a, settings) == [.address("10.0.0.1"), .address("10.0.0.2")])
        #expect(try DNSResolver.lookUp("x.test.", .aaaa, settings) == [.address("2001:db8::7")])
        #expect(try DNSResolver.lookUp("x.test.", .srv, settings) == [.service(target: "web.example.com.", port: 8080)])
        #expect(try DNSResolver.lookUp("x.test.", .mx, settings) == [.mailExchange("mail.example.com.")])
        #expect(try DNSResolver.lookUp("x.test.", .ns, settings) == [.nameServer("ns1.example.com.")])
    }

    @Test("asks again over TCP when a datagram was too small") func truncated() throws {
        let server = try NameServer(
            datagram: { answer($0, flags: [0x83, 0x80], [(1, [10, 0, 0, 1])]) },
            stream: { answer($0, (1...40).map { (1, [10, 0, 1, UInt8($0)]) }) })
        defer { server.stop() }
        #expect(try DNSResolver.lookUp("x.test.", .a, server.settings).count == 40)
    }

    @Test("a name that nobody knows has no targets, and a server that fails is an error") func failures() throws {
        let unknown = try NameServer(datagram: { answer($0, flags: [0x81, 0x83], []) })
        defer { unknown.stop() }
        #expect(try DNSResolver.lookUp("x.test.", .a, unknown.settings).isEmpty)
        let broken = try NameServer(datagram: { answer($0, flags: [0x81, 0x82], []) })
        defer { broken.stop() }
        #expect(throws: DNSError.self) { try DNSResolver.lookUp("x.test.", .a, broken.settings) }
    }

    @Test("an old server is asked without extras, and a stranger's answer is ignored") func oldServer() throws {
        let server = try NameServer(datagram: { question in
            // The additional record makes the difference.
            question[11] == 1 ? answer(question, flags: [0x81, 0x81], []) : answer(question, [(1, [1, 2, 3, 4])])
        })
        defer { server.stop() }
        #expect(try DNSResolver.lookUp("x.test.", .a, server.settings) == [.address("1.2.3.4")])
        let question = try #require(DNSMessage.question(id: 7, name: "a.test", type: .a, offersLarge: false))
        let other = try #require(DNSMessage.question(id: 8, name: "a.test", type: .a, offersLarge: false))
        #expect(DNSMessage.decode(answer(other, [(1, [1, 2, 3, 4])]), to: question, type: .a) == nil)
        #expect(DNSMessage.decode(answer(question, [(1, [1, 2, 3, 4])]), to: question, type: .a)?.records.count == 1)
    }

    @Test("no answer makes it read beyond its end or go round in circles", arguments: 0..<300) func damage(_ seed: Int) throws {
        var state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 | 1
        func random(_ below: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % below
        }
        let question = try #require(DNSMessage.question(id: 7, name: "a.test", type: .srv, offersLarge: false))
        var bytes = answer(question, [(33, [0, 1, 0, 2, 0x1F, 0x90] + name("web.example.com")), (33, [0, 1, 0, 2, 0, 1, 0xC0, 12])])
        if seed % 3 == 0 { bytes.removeLast(random(bytes.count)) }
        for _ in 0..<(seed % 4) where !bytes.isEmpty { bytes[random(bytes.count)] = UInt8(random(256)) }
        let found = DNSMessage.decode(bytes, to: question, type: .srv)
        #expect((found?.records.count ?? 0) <= bytes.count)
        if seed % 12 == 8 { #expect(found?.records.count == 2) }
    }

    @Test("reads resolv.conf, and tries names as it says") func settings() {
        let settings = DNSResolver.parse("# c\nnameserver 10.0.0.1\nnameserver ::1 # x\nsearch a.test b.test.\noptions ndots:2 timeout:1 attempts:9 rotate\n")
        #expect(settings.servers == ["10.0.0.1", "::1"] && settings.dots == 2 && settings.timeoutMs == 1000 && settings.attempts == 5)
        #expect(DNSResolver.candidates("x.y", settings) == ["x.y.a.test.", "x.y.b.test.", "x.y."])
        #expect(DNSResolver.candidates("x.y.z", settings) == ["x.y.z.", "x.y.z.a.test.", "x.y.z.b.test."])
        #expect(DNSResolver.candidates("x.", settings) == ["x."])
        #expect(DNSResolver.parse("").servers == ["127.0.0.1"])
        #expect(DNSMessage.question(id: 1, name: String(repeating: "a", count: 64), type: .a, offersLarge: true) == nil)
        #expect(DNSMessage.question(id: 1, name: "a..b", type: .a, offersLarge: true) == nil)
    }

    @Test(arguments: [
        ("00000000000000000000000000000001", "::1"), ("20010db8000000000001000000000000", "2001:db8:0:0:1::"),
        ("00000000000000000000ffff01020304", "1.2.3.4"), ("fe800001000200030004000500060007", "fe80:1:2:3:4:5:6:7"),
        ("00000000000000000000000000000000", "::"), ("00010000000200030004000500060007", "1:0:2:3:4:5:6:7"),
    ]) func addresses(_ hex: String, _ text: String) {
        let digits = Array(hex)
        let bytes = (0..<16).map { UInt8(String(digits[$0 * 2...$0 * 2 + 1]), radix: 16) ?? 0 }
        #expect(DNSMessage.formatIPv6(bytes) == text)
    }
}
