import Testing

@testable import ApusScrape

@Suite("Body buffers") struct BodyBufferTests {
    @Test("keep their bytes while they grow from the heap into a mapping, and while that grows")
    func grows() {
        let buffer = BodyBuffer()
        let piece = (0..<65_521).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        var appended = 0
        var capacities: Set<Int> = []
        while appended < 9 << 20 {
            let isTaken = unsafe piece.withUnsafeBytes { bytes in
                guard let base = bytes.baseAddress else { return false }
                // SAFETY: `base` has `count` bytes during the closure, and the buffer copies them.
                return unsafe buffer.append(base, count: bytes.count)
            }
            #expect(isTaken)
            appended += piece.count
            capacities.insert(buffer.capacity)
        }
        #expect(buffer.count == appended)
        #expect(capacities.filter { $0 > BodyBuffer.keptBytes }.count >= 3)
        let wrong = buffer.withSpan { span in
            (0..<span.count).first { span[$0] != piece[$0 % piece.count] }
        }
        #expect(wrong == nil)
        #expect(BodyBuffer.heldBytes >= buffer.capacity)
        buffer.release()
        #expect(buffer.capacity == 0)
    }

    @Test("a promise that no memory can keep is refused, and nothing is lost")
    func refuses() {
        let buffer = BodyBuffer()
        #expect(buffer.append(7))
        #expect(!buffer.reserve(1 << 50))
        #expect(buffer.withSpan { $0.count == 1 && $0[0] == 7 })
        #expect(buffer.reserve(2 << 20))
        #expect(!buffer.reserve(1 << 50))
        #expect(buffer.withSpan { $0.count == 1 && $0[0] == 7 })
    }
}
