import NIOCore
import NIOSSL
import NIOTLS

/// Lets in only clients whose certificate has one of some alternative names: `client_allowed_sans`.
final class ClientNameCheck: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let allowed: Set<String>
    private var isAdmitted = false

    init(allowed: [String]) { self.allowed = Set(allowed) }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.handshakeCompleted) = event as? TLSUserEvent {
            let certificate = try? context.channel.pipeline.syncOperations.nioSSL_peerCertificate()
            isAdmitted = certificate.map { names(of: $0).contains { allowed.contains($0) } } ?? false
            if !isAdmitted { return context.close(promise: nil) }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // Nothing comes before the handshake, and nothing counts after a refusal.
        if isAdmitted { context.fireChannelRead(data) }
    }

    private func names(of certificate: NIOSSLCertificate) -> [String] {
        certificate._subjectAlternativeNames().map { name in
            let bytes = Array(name.contents)
            switch (name.nameType, bytes.count) {
            case (.ipAddress, 4), (.ipAddress, 16):
                return (try? SocketAddress(packedIPAddress: ByteBuffer(bytes: bytes), port: 0).ipAddress) ?? ""
            default: return String(decoding: bytes, as: UTF8.self)
            }
        }
    }
}
