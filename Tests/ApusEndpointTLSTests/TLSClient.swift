import NIOCore
import NIOPosix
import NIOSSL
import PEMFixtures

/// One request over TLS, and all that came back; nil when the connection failed or gave nothing.
enum TLSClient {
    struct Identity {
        let certificate: String
        let key: String
    }

    static func get(
        _ path: String, port: Int, as identity: Identity? = nil, headers: [String] = [], maximum: TLSVersion? = nil
    ) async throws -> String? {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(Array(TestCertificates.authority.utf8)))
        configuration.maximumTLSVersion = maximum
        if let identity {
            configuration.certificateChain = try NIOSSLCertificate.fromPEMBytes(Array(identity.certificate.utf8)).map {
                .certificate($0)
            }
            configuration.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: Array(identity.key.utf8), format: .pem))
        }
        let context = try NIOSSLContext(configuration: configuration)
        let group = MultiThreadedEventLoopGroup.singleton
        let answer = group.any().makePromise(of: String?.self)
        let request =
            "GET \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + headers.map { $0 + "\r\n" }.joined() + "\r\n"
        let channel = try await ClientBootstrap(group: group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        NIOSSLClientHandler(context: context, serverHostname: "localhost"))
                    try channel.pipeline.syncOperations.addHandler(Reader(answer))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        channel.writeAndFlush(ByteBuffer(string: request), promise: nil)
        return try await answer.futureResult.get()
    }

    private final class Reader: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let answer: EventLoopPromise<String?>
        private var text = ""
        init(_ answer: EventLoopPromise<String?>) { self.answer = answer }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) { text += String(buffer: unwrapInboundIn(data)) }
        func channelInactive(context: ChannelHandlerContext) { answer.succeed(text.isEmpty ? nil : text) }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
