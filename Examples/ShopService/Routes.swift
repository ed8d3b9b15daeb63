import ApusMetrics
import Hummingbird
import NIOCore

/// The shop's pages, and its metrics.
func makeRouter(shop: Shop, registry: MetricRegistry, metrics: ShopMetrics) -> Router<BasicRequestContext> {
    let router = Router()
    router.add(middleware: MetricsMiddleware(metrics: metrics))

    // This is all it takes to be scraped.
    router.get("/metrics") { _, _ in
        Response(
            status: .ok, headers: [.contentType: registry.contentType],
            body: .init(byteBuffer: ByteBuffer(bytes: registry.renderText())))
    }
    router.get("/products") { _, _ in
        try await shop.browse()
        return Product.allCases.map(\.rawValue).joined(separator: "\n") + "\n"
    }
    router.get("/products/{name}") { _, context in
        let product = try product(named: context.parameters.get("name"))
        try await shop.browse()
        return "\(product.rawValue): \(product.priceEuros) €\n"
    }
    router.post("/orders/{name}") { _, context in
        let product = try product(named: context.parameters.get("name"))
        switch try await shop.order(product) {
        case .accepted: return Response(status: .created)
        case .soldOut: throw HTTPError(.conflict, message: "\(product.rawValue) is sold out")
        case .paymentFailed: throw HTTPError(.badGateway, message: "the bank does not answer")
        }
    }
    return router
}

private func product(named name: String?) throws -> Product {
    guard let product = name.flatMap(Product.init) else { throw HTTPError(.notFound, message: "no such product") }
    return product
}
