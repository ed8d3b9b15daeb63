import Foundation
import Synchronization

/// A scrape target inside the test process: answers each request with what `page` makes of it, until it goes away.
final class PageServer: Sendable {
    let port: UInt16
    private let listener: Int32
    private let stopped = Atomic<Bool>(false)

    /// - Parameter page: called with the number of the request, from 0; on one thread at a time.
    convenience init(_ page: @escaping @Sendable (Int) -> String) throws {
        try self.init(contentType: "text/plain; version=0.0.4") { Array(page($0).utf8) }
    }

    init(contentType: String, _ page: @escaping @Sendable (Int) -> [UInt8]) throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                unsafe bind(listener, generic, length) == 0 && getsockname(listener, generic, &length) == 0
            }
        }
        guard isBound, listen(listener, 64) == 0 else { throw RunningSystem.Failure("cannot listen on 127.0.0.1") }
        port = UInt16(bigEndian: address.sin_port)
        self.listener = listener
        let thread = Thread { [weak self] in
            var number = 0
            while true {
                let client = accept(listener, nil, nil)
                if client < 0 { return }
                guard let self, !self.stopped.load(ordering: .acquiring) else {
                    close(client)
                    return
                }
                Self.answer(client, contentType) {
                    defer { number += 1 }
                    return page(number)
                }
            }
        }
        thread.start()
    }

    deinit {
        stopped.store(true, ordering: .releasing)
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    /// One request a connection: read its head, write the page.
    private static func answer(_ client: Int32, _ contentType: String, _ page: () -> [UInt8]) {
        defer { close(client) }
        var head: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while !head.suffix(4).elementsEqual([13, 10, 13, 10]) {
            let count = unsafe recv(client, &buffer, buffer.count, 0)
            if count <= 0 { return }
            head += buffer[..<count]
        }
        let body = page()
        let text = "HTTP/1.1 200 OK\r\nContent-Type: \(contentType)\r\nContent-Length: \(body.count)\r\nConnection: close\r\n\r\n"
        let answer = Array(text.utf8) + body
        var sent = 0
        while sent < answer.count {
            let count = unsafe answer.withUnsafeBytes { bytes in
                unsafe send(client, bytes.baseAddress.map { unsafe $0 + sent }, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count <= 0 { return }
            sent += count
        }
    }
}
