import ApusModel
import ApusScrape
import ApusTSDB
import ServiceLifecycle

/// Scrapes while the server runs.
struct ScrapeService: Service {
    let scrape: ScrapeManager

    func run() async throws {
        try scrape.start()
        try? await gracefulShutdown()
        scrape.stop()
    }
}

/// Keeps the head in shape: retention, once a minute.
struct Maintenance: Service {
    let head: Head
    let time: any TimeSource
    static let interval: Duration = .seconds(60)

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while true {
                do { try await Task.sleep(for: Self.interval) } catch { return }
                head.maintain(nowMs: time.wallMs())
            }
        }
    }
}

/// Ends when somebody asks the server to stop; the group then shuts the others down.
final class QuitService: Service {
    private let requests = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))

    func request() { requests.continuation.yield() }

    func run() async throws {
        for await _ in requests.stream.cancelOnGracefulShutdown() { return }
    }
}
