public import Instrumentation

/// Exemplars from swift-distributed-tracing: which trace an observation belongs to, without a line at any observation.
///
///     let registry = MetricRegistry(exemplarProvider: TraceExemplars.provider())
///
/// Counters and histograms of such a registry show `trace_id` and `span_id` of the span that is current where they are
/// updated, and a graph leads from a slow bucket to a slow request. The registry asks at most once a second for each bucket,
/// so that an observation costs what it did.
///
/// Every tracer keeps its identifiers in a form of its own. What they agree on is how identifiers travel, so the tracer of
/// `InstrumentationSystem` is asked to write the current context as it would into a request's headers, and what it writes is
/// read: `traceparent` of W3C's Trace Context, or `b3` and `X-B3-TraceId` of Zipkin.
public enum TraceExemplars {
    /// What identifies the span that is current in a task.
    public struct Identity: Sendable, Equatable {
        /// Hexadecimal, 16 or 32 digits.
        public var traceID: String
        /// Hexadecimal, 16 digits; nil where the tracer does not tell.
        public var spanID: String?
        /// Whether the trace is kept, where the tracer tells: an exemplar should not lead to one that is thrown away.
        public var isSampled: Bool

        public init(traceID: String, spanID: String? = nil, isSampled: Bool = true) {
            self.traceID = traceID
            self.spanID = spanID
            self.isSampled = isSampled
        }
    }

    /// A provider for `MetricRegistry`.
    /// - Parameters:
    ///   - includesUnsampled: whether traces that will not be kept are named, too.
    ///   - identify: how to find the identity in a context; the bootstrapped tracer is asked unless given.
    public static func provider(
        includesUnsampled: Bool = false, identify: @escaping @Sendable (ServiceContext) -> Identity? = TraceExemplars.identity
    ) -> @Sendable () -> [(String, String)]? {
        {
            guard let context = ServiceContext.current, let identity = identify(context), includesUnsampled || identity.isSampled
            else {
                return nil
            }
            return [("trace_id", identity.traceID)] + (identity.spanID.map { [("span_id", $0)] } ?? [])
        }
    }

    /// The identity that the bootstrapped tracer gives a context; nil without one. Costs what writing a request's headers
    /// does.
    public static func identity(of context: ServiceContext) -> Identity? {
        var headers: [String: String] = [:]
        InstrumentationSystem.instrument.inject(context, into: &headers, using: HeaderInjector())
        return traceParent(headers["traceparent"]) ?? b3(headers["b3"]) ?? b3(headers)
    }

    private struct HeaderInjector: Injector {
        func inject(_ value: String, forKey key: String, into carrier: inout [String: String]) {
            carrier[key.lowercased()] = value
        }
    }

    /// `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`: <https://www.w3.org/TR/trace-context/#traceparent-header>.
    static func traceParent(_ header: String?) -> Identity? {
        guard let header, header.utf8.count <= maximumBytes else { return nil }
        let parts = header.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count >= 4, parts[0].utf8.count == 2, isIdentifier(parts[1], 32), isIdentifier(parts[2], 16),
            let flags = UInt8(parts[3], radix: 16)
        else { return nil }
        return Identity(traceID: parts[1].lowercased(), spanID: parts[2].lowercased(), isSampled: flags & 1 == 1)
    }

    /// `80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1`: <https://github.com/openzipkin/b3-propagation>.
    static func b3(_ header: String?) -> Identity? {
        guard let header, header.utf8.count <= maximumBytes else { return nil }
        let parts = header.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count >= 2, isIdentifier(parts[0], 32) || isIdentifier(parts[0], 16), isIdentifier(parts[1], 16) else {
            return nil
        }
        let isSampled = parts.count < 3 || parts[2] == "1" || parts[2] == "d"
        return Identity(traceID: parts[0].lowercased(), spanID: parts[1].lowercased(), isSampled: isSampled)
    }

    private static func b3(_ headers: [String: String]) -> Identity? {
        guard let trace = headers["x-b3-traceid"], isIdentifier(trace[...], 32) || isIdentifier(trace[...], 16) else {
            return nil
        }
        let span = headers["x-b3-spanid"].flatMap { isIdentifier($0[...], 16) ? $0.lowercased() : nil }
        return Identity(traceID: trace.lowercased(), spanID: span, isSampled: headers["x-b3-sampled"] != "0")
    }

    private static let maximumBytes = 256

    /// Hexadecimal digits, not all zero.
    private static func isIdentifier(_ text: Substring, _ count: Int) -> Bool {
        let bytes = text.utf8
        return bytes.count == count && bytes.contains { $0 != UInt8(ascii: "0") }
            && bytes.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
                    UInt8(ascii: "A")...UInt8(ascii: "F"):
                    true
                default: false
                }
            }
    }
}
