import ApusGRPC
import ApusMetrics
import GRPCCore
import GRPCInProcessTransport
import Testing

/// Bytes as they are.
private struct Bytes: MessageSerializer, MessageDeserializer {
    func serialize<Buffer: GRPCContiguousBytes>(_ message: [UInt8]) throws -> Buffer { Buffer(message) }
    func deserialize<Buffer: GRPCContiguousBytes>(_ bytes: Buffer) throws -> [UInt8] { bytes.withUnsafeBytes { Array($0) } }
}

/// Sends back what it gets, or fails.
private struct Echo: RegistrableRPCService {
    static let echo = MethodDescriptor(fullyQualifiedService: "test.Echo", method: "Echo")
    static let fail = MethodDescriptor(fullyQualifiedService: "test.Echo", method: "Fail")

    func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
        router.registerHandler(forMethod: Self.echo, deserializer: Bytes(), serializer: Bytes()) { request, _ in
            StreamingServerResponse { writer in
                for try await message in request.messages { try await writer.write(message) }
                return [:]
            }
        }
        router.registerHandler(forMethod: Self.fail, deserializer: Bytes(), serializer: Bytes()) { _, _ in
            throw RPCError(code: .resourceExhausted, message: "no more")
        }
    }
}

@Suite("gRPC") struct MetricsInterceptorTests {
    @Test("calls are counted by code, messages counted, and time taken until the end")
    func measures() async throws {
        let registry = MetricRegistry()
        let transport = InProcessTransport()
        let server = GRPCServer(
            transport: transport.server, services: [Echo()], interceptors: [try MetricsInterceptor(registry, buckets: [60])])
        try await withThrowingTaskGroup { group in
            group.addTask { try await server.serve() }
            try await withGRPCClient(transport: transport.client) { client in
                let request = StreamingClientRequest<[UInt8]> { writer in
                    for byte in 0..<3 { try await writer.write([UInt8(byte)]) }
                }
                let echoed = try await client.bidirectionalStreaming(
                    request: request, descriptor: Echo.echo, serializer: Bytes(), deserializer: Bytes(), options: .defaults
                ) { response in try await response.messages.reduce(into: 0) { count, _ in count += 1 } }
                #expect(echoed == 3)
                await #expect(throws: RPCError.self) {
                    try await client.unary(
                        request: ClientRequest(message: [1]), descriptor: Echo.fail, serializer: Bytes(), deserializer: Bytes(),
                        options: .defaults
                    ) { try $0.message }
                }
            }
            server.beginGracefulShutdown()
            try await group.waitForAll()
        }
        let page = String(decoding: registry.renderText(), as: UTF8.self)
        for line in [
            "grpc_server_started_total{grpc_service=\"test.Echo\",grpc_method=\"Echo\"} 1",
            "grpc_server_handled_total{grpc_service=\"test.Echo\",grpc_method=\"Echo\",grpc_code=\"OK\"} 1",
            "grpc_server_handled_total{grpc_service=\"test.Echo\",grpc_method=\"Fail\",grpc_code=\"ResourceExhausted\"} 1",
            "grpc_server_msg_received_total{grpc_service=\"test.Echo\",grpc_method=\"Echo\"} 3",
            "grpc_server_msg_sent_total{grpc_service=\"test.Echo\",grpc_method=\"Echo\"} 3",
            "grpc_server_handling_seconds_count{grpc_service=\"test.Echo\",grpc_method=\"Echo\"} 1",
            "grpc_server_in_flight{grpc_service=\"test.Echo\",grpc_method=\"Fail\"} 0",
        ] {
            #expect(page.contains(line + "\n"), "\(line)")
        }
    }
}
