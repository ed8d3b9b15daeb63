import ApusModel
import ApusScrape
import ServiceLifecycle

/// Scrapes while the server runs, from when there is where to.
struct ScrapeService: Service {
    let scrape: ScrapeManager
    let opened: Opening

    func run() async throws {
        guard await opened.wait() else {
            // Whoever could not open the storage ends the server; to end on one's own before that counts as a failure.
            try? await gracefulShutdown()
            return
        }
        try scrape.start()
        try? await gracefulShutdown()
        scrape.stop()
    }
}

/// Told once whether the storage has opened.
final class Opening: Sendable {
    private let stream = AsyncStream<Bool>.makeStream(bufferingPolicy: .bufferingNewest(1))

    func finish(_ isOpen: Bool) {
        stream.continuation.yield(isOpen)
        stream.continuation.finish()
    }
    /// False when it has not, or the server is told to stop before. For one caller.
    func wait() async -> Bool {
        for await isOpen in stream.stream.cancelOnGracefulShutdown() { return isOpen }
        return false
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
