import NIOCore
import NIOHTTP1
import NIOPosix

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The shop's own visitors: a few connections over loopback with as many requests as a shop has, in waves. A day takes
/// ten minutes here, from two requests a second at night to thirty at its height, and begins in the morning.
struct Visitors: Sendable {
    let host: String
    let port: Int

    private static let connections = 6
    private static let secondsADay = 600.0

    /// Visits until the task is cancelled.
    func come() async {
        let opened = ContinuousClock.now
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<Self.connections {
                group.addTask {
                    while !Task.isCancelled {
                        // A connection that fails (the shop closes) is tried again after a second.
                        try? await visit(since: opened)
                        try? await Task.sleep(for: .seconds(1))
                    }
                }
            }
        }
    }

    /// One connection with request after request.
    private func visit(since opened: ContinuousClock.Instant) async throws {
        let channel = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .connectTimeout(.seconds(5))
            .connect(host: host == "0.0.0.0" ? "127.0.0.1" : host, port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    return try NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>(
                        wrappingChannelSynchronously: channel)
                }
            }
        try await channel.executeThenClose { answers, requests in
            var answers = answers.makeAsyncIterator()
            while !Task.isCancelled {
                try await Task.sleep(for: .seconds(pause(after: (ContinuousClock.now - opened) / .seconds(1))))
                let (method, path) = wish()
                var head = HTTPRequestHead(version: .http1_1, method: method, uri: path)
                head.headers.add(name: "Host", value: "\(host):\(port)")
                if method == .POST { head.headers.add(name: "Content-Length", value: "0") }
                try await requests.write(.head(head))
                try await requests.write(.end(nil))
                reading: while true {
                    guard let part = try await answers.next() else { return }
                    if case .end = part { break reading }
                }
            }
        }
    }

    /// Seconds until this visitor's next request, exponentially distributed about a mean that follows the day.
    private func pause(after second: Double) -> Double {
        let height = 0.5 - 0.5 * cos(2 * .pi * (second / Self.secondsADay + 0.25))
        let requestsASecond = 2 + 28 * height * height
        return min(-log(Double.random(in: 0.0001...1)) * Double(Self.connections) / requestsASecond, 10)
    }

    private func wish() -> (HTTPMethod, String) {
        let product = Product.allCases.randomElement() ?? .tea
        switch Int.random(in: 0..<100) {
        case 0..<45: return (.GET, "/products")
        case 45..<75: return (.GET, "/products/\(product.rawValue)")
        case 75..<78: return (.GET, "/products/samovar")
        case 78..<79: return (.GET, "/basket")
        default: return (.POST, "/orders/\(product.rawValue)")
        }
    }
}
