public import ApusExposition

/// What an endpoint serves, and where.
public struct EndpointOptions: Sendable {
    /// Where the page is.
    public var path = "/metrics"
    /// Where it is told that the process answers, without asking the registry.
    public var healthPaths = ["/-/healthy", "/-/ready", "/healthz"]
    /// The formats that a client may choose from with its `Accept` header. One that names none of them gets the text format.
    public var formats = PageEncoding.offeredFormats
    /// Whether OpenMetrics pages tell when counting began as series of their own, `…_created`.
    public var writesCreatedSeries = false
    /// Whether pages are compressed for who takes that.
    public var compresses = true
    /// Whether the registry also shows what the endpoint does, under the names that Go's handler has:
    /// `promhttp_metric_handler_requests_total{code}`, `…_requests_in_flight`, `…_errors_total{cause}`.
    public var instruments = false
    public var limits = EndpointLimits()

    public init() {}
}

/// What clients may cost an endpoint. Times are in milliseconds.
public struct EndpointLimits: Sendable {
    /// Connections at a time; one more is closed at once.
    public var connections = 100
    /// Pages being made at a time, at least 1; one more is answered with 503.
    public var scrapesInFlight = 8
    /// How long making a page may take, waiting for a thread included; then 503 is answered. What was begun still runs to
    /// its end and counts as in flight. 0 for no limit.
    public var scrapeMs: Int64 = 30_000
    /// Bytes of a request's line and headers; more is answered with 431.
    public var headerBytes = 16_384
    /// How long a request may take to arrive, from its first byte to the end of its header; then the connection is closed.
    public var headerMs: Int64 = 10_000
    /// How long a client may take to read an answer; then the connection is closed.
    public var answerMs: Int64 = 60_000
    /// How long a connection may stay silent.
    public var idleMs: Int64 = 75_000
    /// How long `stop` waits for answers under way.
    public var stopMs: Int64 = 10_000
    /// Names that `name[]` may ask for; more is answered with 400.
    public var names = 1000

    public init() {}
}
