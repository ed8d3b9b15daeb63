import NIOCore
import NIOHTTP1

/// Counts the bytes of a request before its header ends, and answers 431 when they are too many.
///
/// Stands before the decoder, which has limits too, but fixed and larger ones.
final class HeaderLimit: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let limit: Int
    private var count = 0
    /// How many bytes of the blank line that ends a header were seen.
    private var blankLine = 0

    init(bytes: Int) { limit = bytes }

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
        context.fireChannelRead(data)
    }
}
