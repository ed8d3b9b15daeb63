/// A loop whose rounds are done by whichever thread comes to them.
@safe final class SharedLoop: @unchecked Sendable {
    // `@unchecked`: what changes is touched under `monitor`.
    private let count: Int
    private let monitor = Monitor()
    private var body: (@Sendable (Int) -> Void)?
    private var next = 0
    private var running = 0

    init(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
        self.count = count
        self.body = body
    }

    /// Returns when all rounds are done.
    func run(_ executor: QueryExecutor) {
        executor.assist(min(executor.threadCount, count) - 1) { [self] in
            while !executor.hasWaitingQueries, round() {}
        }
        while round() {}
        monitor.locked {
            while running > 0 { monitor.wait() }
            // A helper that comes late holds nothing.
            body = nil
        }
    }

    /// Does one round; false when none is left.
    private func round() -> Bool {
        let claimed = monitor.locked { () -> (Int, @Sendable (Int) -> Void)? in
            guard let body, next < count else { return nil }
            next += 1
            running += 1
            return (next - 1, body)
        }
        guard let (number, body) = claimed else { return false }
        body(number)
        monitor.locked {
            running -= 1
            if running == 0 { monitor.wakeAll() }
        }
        return true
    }
}
