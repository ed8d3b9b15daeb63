import ApusMetrics
import ArgumentParser
import Hummingbird
import Logging
import NIOCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A small web shop that is watched: what instrumenting a Hummingbird service with ApusMetrics looks like.
///
/// `ShopMetrics.swift` declares what is measured, `MetricsMiddleware.swift` measures the requests, `Shop.swift` the
/// business. The shop has visitors of its own (`Visitors.swift`), so that the first graph has something to show.
@main
struct ShopService: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "shop-service", abstract: "A web shop with metrics at /metrics and visitors of its own.")

    @Option(help: "The address to listen on.")
    var host = "127.0.0.1"

    @Option(help: "The port to listen on; 0 for any free one.")
    var port = 8080

    @Flag(help: "No visitors: the shop waits for requests from outside.")
    var quiet = false

    mutating func run() async throws {
        var logger = Logger(label: "shop")
        logger.logLevel = .warning

        let registry = MetricRegistry()
        registry.registerProcessMetrics()
        let metrics = try ShopMetrics(registry)
        let shop = Shop(metrics: metrics)

        let (bound, whenBound) = AsyncStream.makeStream(of: Int.self)
        let host = host
        let app = Application(
            router: makeRouter(shop: shop, registry: registry, metrics: metrics),
            configuration: .init(address: .hostname(host, port: port), serverName: "shop"),
            onServerRunning: { channel in
                let port = channel.localAddress?.port ?? 0
                print("Shop at http://\(host):\(port)/products, metrics at http://\(host):\(port)/metrics")
                // At once, also when the output is a pipe.
                fflush(nil)
                whenBound.yield(port)
                whenBound.finish()
            },
            logger: logger)

        let hasVisitors = !quiet
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                // Returns on SIGTERM and SIGINT, after the answers under way.
                group.addTask { try await app.runService(gracefulShutdownSignals: [.sigterm, .sigint]) }
                group.addTask { await shop.packOrders() }
                group.addTask {
                    for await port in bound where hasVisitors { await Visitors(host: host, port: port).come() }
                    // Without visitors there is nothing to do until the shop closes.
                    while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
                }
                try await group.next()
                group.cancelAll()
            }
        } catch let error as IOError where error.errnoCode == EADDRINUSE {
            throw StartError(description: "port \(port) on \(host) is in use: choose another one with --port")
        } catch let error as IOError where error.errnoCode == EACCES {
            throw StartError(description: "port \(port) may not be used without privileges: choose one above 1023 with --port")
        }
    }
}

/// Why the shop could not open, for who started it.
struct StartError: Error, CustomStringConvertible {
    let description: String
}
