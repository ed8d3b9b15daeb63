import Hummingbird
import NIOCore
import Synchronization

/// Bytes so far.
final class ByteCount: Sendable {
    private let count = Atomic<Int>(0)
    var bytes: Int { count.load(ordering: .relaxed) }
    func add(_ bytes: Int) { count.wrappingAdd(bytes, ordering: .relaxed) }
}

/// Passes a body on and counts it.
struct CountingWriter: ResponseBodyWriter {
    private var writer: any ResponseBodyWriter
    private let sent: ByteCount

    init(_ writer: any ResponseBodyWriter, _ sent: ByteCount) {
        self.writer = writer
        self.sent = sent
    }

    mutating func write(_ buffer: ByteBuffer) async throws {
        sent.add(buffer.readableBytes)
        try await writer.write(buffer)
    }

    consuming func finish(_ trailingHeaders: HTTPFields?) async throws { try await writer.finish(trailingHeaders) }
}
