import NIOCore
import NIOHTTP1

/// Watches a request until its header ends: too many bytes are answered with 431, too much time closes the connection.
///
/// Stands before the decoder, which has limits too, but fixed and larger ones, and none of time.
final class RequestGuard: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let limit: Int
    private let timeout: TimeAmount
    private var count = 0
    /// How many bytes of the blank line that ends a header were seen.
    private var blankLine = 0
    private var deadline: Scheduled<Void>?

    init(_ limits: EndpointLimits) {
        limit = limits.headerBytes
        timeout = .milliseconds(limits.headerMs)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        var isTooLong = false
        for byte in buffer.readableBytesView {
            count += 1
            if count > limit { isTooLong = true }
            switch byte {
            case UInt8(ascii: "\n"): blankLine += 1
            case UInt8(ascii: "\r"): break
            default: blankLine = 0
            }
            // Bodies have no meaning here, so what follows a blank line counts as a new request.
            if blankLine == 2 { (count, blankLine) = (0, 0) }
        }
        guard !isTooLong else {
            let answer = "HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: answer)), promise: nil)
            context.close(promise: nil)
            return
        }
        if count == 0 {
            deadline?.cancel()
            deadline = nil
        } else if deadline == nil {
            let channel = context.channel
            deadline = context.eventLoop.scheduleTask(in: timeout) { channel.close(promise: nil) }
        }
        context.fireChannelRead(data)
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        context.fireChannelInactive()
    }
}
