public import ApusMetrics
public import GRPCCore
import Synchronization

/// Measures the calls of a gRPC server, under the names that go-grpc-prometheus has, so that its dashboards work:
///
///     let server = GRPCServer(transport: transport, services: services, interceptors: [try MetricsInterceptor(registry)])
///
/// | name | type | labels |
/// |---|---|---|
/// | `grpc_server_started_total` | counter | `grpc_service`, `grpc_method` |
/// | `grpc_server_handled_total` | counter | `grpc_service`, `grpc_method`, `grpc_code` |
/// | `grpc_server_msg_received_total`, `grpc_server_msg_sent_total` | counter | `grpc_service`, `grpc_method` |
/// | `grpc_server_handling_seconds` | histogram, until the last message is sent | `grpc_service`, `grpc_method` |
/// | `grpc_server_in_flight` | gauge | `grpc_service`, `grpc_method` |
///
/// The label `grpc_type` is not there: an interceptor is not told which of a method's sides stream. Methods that no service
/// has never come here, so a client can't make series.
public struct MetricsInterceptor: ServerInterceptor {
    private let started: CounterFamily<String, String>
    private let handled: CounterFamily<String, String, String>
    private let received: CounterFamily<String, String>
    private let sent: CounterFamily<String, String>
    private let seconds: HistogramFamily<String, String>
    private let inFlight: GaugeFamily<String, String>

    /// - Throws: when the names are taken by something else.
    public init(_ registry: MetricRegistry, buckets: Buckets = .requestSeconds) throws(MetricError) {
        let (service, method) = (LabelKey("grpc_service", String.self), LabelKey("grpc_method", String.self))
        started = try registry.counter(
            "grpc_server_started_total", help: "Total number of RPCs started on the server.", labels: service, method)
        handled = try registry.counter(
            "grpc_server_handled_total", help: "Total number of RPCs completed on the server, regardless of success or failure.",
            labels: service, method, .label("grpc_code", as: String.self))
        received = try registry.counter(
            "grpc_server_msg_received_total", help: "Total number of RPC stream messages received on the server.",
            labels: service, method)
        sent = try registry.counter(
            "grpc_server_msg_sent_total", help: "Total number of gRPC stream messages sent by the server.", labels: service,
            method)
        seconds = try registry.histogram(
            "grpc_server_handling_seconds",
            help: "Histogram of response latency (seconds) of gRPC that had been application-level handled by the server.",
            buckets: buckets, labels: service, method)
        inFlight = try registry.gauge("grpc_server_in_flight", help: "RPCs being handled.", labels: service, method)
    }

    public func intercept<Input: Sendable, Output: Sendable>(
        request: StreamingServerRequest<Input>, context: ServerContext,
        next: @Sendable (StreamingServerRequest<Input>, ServerContext) async throws -> StreamingServerResponse<Output>
    ) async throws -> StreamingServerResponse<Output> {
        let (service, method) = (context.descriptor.service.fullyQualifiedService, context.descriptor.method)
        let start = ContinuousClock.now
        started(service, method).increment()
        inFlight(service, method).increment()
        let finished: @Sendable (String) -> Void = { [self] code in
            inFlight(service, method).decrement()
            handled(service, method, code).increment()
            seconds(service, method).observe((ContinuousClock.now - start) / .seconds(1))
        }
        let (received, sent) = (received(service, method), sent(service, method))
        var request = request
        request.messages = RPCAsyncSequence(
            wrapping: request.messages.map { message in
                received.increment()
                return message
            })
        do {
            var response = try await next(request, context)
            switch response.accepted {
            case .failure(let error): finished(name(of: error.code))
            case .success(var contents):
                // The answer is written after this returns: it counts until its end.
                let produce = contents.producer
                let call = CallInFlight(finished)
                contents.producer = { writer in
                    do {
                        let metadata = try await produce(RPCWriter(wrapping: CountingWriter(writer: writer, sent: sent)))
                        call.end("OK")
                        return metadata
                    } catch {
                        call.end(name(of: error))
                        throw error
                    }
                }
                response.accepted = .success(contents)
            }
            return response
        } catch {
            finished(name(of: error))
            throw error
        }
    }
}

/// A call whose answer is being written. It ends once; as cancelled, if nobody holds the answer any more.
private final class CallInFlight: Sendable {
    private let hasEnded = Atomic<Bool>(false)
    private let finish: @Sendable (String) -> Void

    init(_ finish: @escaping @Sendable (String) -> Void) { self.finish = finish }
    deinit { end("Canceled") }

    func end(_ code: String) {
        if !hasEnded.exchange(true, ordering: .relaxed) { finish(code) }
    }
}

/// Passes messages on and counts them.
private struct CountingWriter<Element: Sendable>: RPCWriterProtocol {
    let writer: RPCWriter<Element>
    let sent: Counter

    func write(_ element: Element) async throws {
        try await writer.write(element)
        sent.increment()
    }
    func write(contentsOf elements: some Sequence<Element>) async throws {
        for element in elements { try await write(element) }
    }
}

/// The code that a client is told.
private func name(of error: any Error) -> String {
    if let error = error as? RPCError { return name(of: error.code) }
    return error is CancellationError ? "Canceled" : "Unknown"
}

/// Codes as Go writes them, which is what dashboards look for.
private func name(of code: RPCError.Code) -> String {
    switch code {
    case .cancelled: "Canceled"
    case .invalidArgument: "InvalidArgument"
    case .deadlineExceeded: "DeadlineExceeded"
    case .notFound: "NotFound"
    case .alreadyExists: "AlreadyExists"
    case .permissionDenied: "PermissionDenied"
    case .resourceExhausted: "ResourceExhausted"
    case .failedPrecondition: "FailedPrecondition"
    case .aborted: "Aborted"
    case .outOfRange: "OutOfRange"
    case .unimplemented: "Unimplemented"
    case .internalError: "Internal"
    case .unavailable: "Unavailable"
    case .dataLoss: "DataLoss"
    case .unauthenticated: "Unauthenticated"
    default: "Unknown"
    }
}
