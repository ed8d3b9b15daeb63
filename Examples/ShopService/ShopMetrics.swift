import ApusMetrics

/// What the shop measures, declared once. A typo in a label or a value of the wrong type does not compile.
struct ShopMetrics: Sendable {
    enum Method: String, LabelValue { case get, post, other }
    enum Outcome: String, LabelValue {
        case accepted
        case soldOut = "sold_out"
        case paymentFailed = "payment_failed"
    }

    let requests: CounterFamily<Method, String, Int>
    let requestDuration: HistogramFamily<String>
    let requestsInFlight: Gauge
    let orders: CounterFamily<Product, Outcome>
    let revenue: CounterFamily<Product>
    let queueDepth: Gauge
    let stock: GaugeFamily<Product>

    init(_ registry: MetricRegistry) throws {
        // The route is the pattern, `/products/{name}`, and never the path: a path per product, or per guess of a
        // scanner, would be a series each.
        requests = try registry.counter(
            "shop_http_requests_total", help: "Requests answered.",
            labels: .label("method", as: Method.self), .label("route", as: String.self), .label("status", as: Int.self))
        requestDuration = try registry.histogram(
            "shop_http_request_duration_seconds", help: "Time from a request to its answer.", buckets: .requestSeconds,
            labels: .label("route", as: String.self))
        requestsInFlight = try registry.gauge("shop_http_requests_in_flight", help: "Requests being answered.")
        orders = try registry.counter(
            "shop_orders_total", help: "Orders by product and what became of them.",
            labels: .label("product", as: Product.self), .label("outcome", as: Outcome.self))
        revenue = try registry.counter(
            "shop_revenue_euros_total", help: "Price of accepted orders.", labels: .label("product", as: Product.self))
        queueDepth = try registry.gauge("shop_queue_depth", help: "Accepted orders that are not packed yet.")
        stock = try registry.gauge("shop_stock_items", help: "Items on the shelf.", labels: .label("product", as: Product.self))
        try registry.info("shop_build_info", help: "What runs here.", ["version": "1.0"])
    }
}
