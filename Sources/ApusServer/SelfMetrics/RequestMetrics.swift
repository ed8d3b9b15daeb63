import ApusMetrics
struct RequestMetrics { init(_ r: MetricRegistry) throws {}; func observe(handler: String, code: Int, seconds: Double, bytes: Int) {} }
func registerServerMetrics(_ c: ServerComponents, _ o: ServerOptions) throws {}
