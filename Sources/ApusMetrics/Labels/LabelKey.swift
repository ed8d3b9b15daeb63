/// The name of a label and the type of its values, given when a metric is declared:
///
///     let requests = try registry.counter(
///         "http_requests_total", help: "Requests answered.", labels: .label("method", as: Method.self), .label("status", as: Int.self))
///     requests(.get, 200).increment()
///
/// A call with a value too many, too few or of another type does not compile.
public struct LabelKey<Value: LabelValue>: Sendable {
    public let name: String

    public init(_ name: String, _ type: Value.Type = Value.self) { self.name = name }

    public static func label(_ name: String, as type: Value.Type = Value.self) -> LabelKey<Value> { LabelKey(name, type) }
}
