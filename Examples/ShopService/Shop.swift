import ApusMetrics
import Synchronization

enum Product: String, LabelValue, CaseIterable {
    case teapot, kettle, cup, tea

    var priceEuros: Double {
        switch self {
        case .teapot: 24.9
        case .kettle: 39.5
        case .cup: 6.25
        case .tea: 4.8
        }
    }
}

/// The business: a shelf, a bank that sometimes fails, and a packer who is slower than the rush hour.
final class Shop: Sendable {
    private struct State {
        var stock: [Product: Int] = [:]
        var queued = 0
    }
    private static let fullShelf = 400
    private let metrics: ShopMetrics
    private let state: Mutex<State>
    private let opened = ContinuousClock.now

    init(metrics: ShopMetrics) {
        self.metrics = metrics
        state = Mutex(State(stock: Dictionary(uniqueKeysWithValues: Product.allCases.map { ($0, Self.fullShelf) })))
        for product in Product.allCases { metrics.stock(product).set(Self.fullShelf) }
    }

    /// The time a page takes: mostly a few milliseconds, one in fifty a third of a second.
    func browse() async throws {
        let isSlow = Int.random(in: 0..<50) == 0
        try await Task.sleep(for: .milliseconds(isSlow ? Int.random(in: 150...400) : Int.random(in: 1...12)))
    }

    func order(_ product: Product) async throws -> ShopMetrics.Outcome {
        try await Task.sleep(for: .milliseconds(Int.random(in: 8...60)))
        let outcome = bankAnswers() ? take(product) : .paymentFailed
        metrics.orders(product, outcome).increment()
        if outcome == .accepted { metrics.revenue(product).increment(by: product.priceEuros) }
        return outcome
    }

    /// Packs queued orders, five a second, and fills the shelf when it is empty; until its task is cancelled.
    func packOrders() async {
        while !Task.isCancelled {
            state.withLock { state in
                if state.queued > 0 { state.queued -= 1 }
                metrics.queueDepth.set(state.queued)
                for product in Product.allCases where state.stock[product] == 0 && Int.random(in: 0..<100) == 0 {
                    state.stock[product] = Self.fullShelf
                    metrics.stock(product).set(Self.fullShelf)
                }
            }
            try? await Task.sleep(for: .milliseconds(200))
        }
    }

    private func take(_ product: Product) -> ShopMetrics.Outcome {
        state.withLock { state in
            guard let left = state.stock[product], left > 0 else { return .soldOut }
            state.stock[product] = left - 1
            state.queued += 1
            metrics.stock(product).set(left - 1)
            metrics.queueDepth.set(state.queued)
            return .accepted
        }
    }

    /// Every six minutes the bank has a bad half minute.
    private func bankAnswers() -> Bool {
        let second = Int((ContinuousClock.now - opened) / .seconds(1)) % 360
        return (300..<330).contains(second) ? Bool.random() : Int.random(in: 0..<100) > 0
    }
}
