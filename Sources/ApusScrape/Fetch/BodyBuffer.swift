import ApusModel
import CLinux
import Glibc
import Synchronization

/// A growable run of bytes for one body. Passed from thread to thread, with one owner at a time.
///
/// Above `keptBytes` its memory is mapped on its own, so that giving it back really gives it back.
@safe final class BodyBuffer: @unchecked Sendable {
    // `@unchecked`: whoever was handed the buffer is its only user.
    static let keptBytes = 1 << 20
    private(set) var start: UnsafeMutablePointer<UInt8>?
    private(set) var capacity = 0 {
        didSet { Self.held.add(capacity - oldValue, ordering: .relaxed) }
    }
    private(set) var count = 0

    /// Bytes of all buffers of the process.
    static var heldBytes: Int { held.load(ordering: .relaxed) }
    private static let held = Atomic<Int>(0)

    init() { unsafe start = nil }
    deinit { release() }

    func removeAll() { count = 0 }

    /// Gives the memory back to the system.
    func release() {
        if let start = unsafe start {
            if capacity > Self.keptBytes { unsafe munmap(start, capacity) } else { unsafe free(start) }
        }
        unsafe start = nil
        capacity = 0
        count = 0
    }

    /// Room for `wanted` bytes in all; false when the system has none.
    func reserve(_ wanted: Int) -> Bool {
        if wanted <= capacity { return true }
        var newCapacity = max(16 << 10, capacity * 2, wanted)
        if newCapacity > Self.keptBytes {
            newCapacity = (newCapacity + 0xFFFF) & ~0xFFFF
            return growMapping(to: newCapacity)
        }
        guard let allocated = unsafe malloc(newCapacity) else { return false }
        unsafe replace(by: allocated.assumingMemoryBound(to: UInt8.self), capacity: newCapacity)
        return true
    }

    /// Moves pages and copies nothing, where there is a mapping already: the fetch thread must not stand still for a body
    /// of hundreds of megabytes.
    private func growMapping(to newCapacity: Int) -> Bool {
        let isMapped = capacity > Self.keptBytes
        // SAFETY: null, or the mapping of `capacity` bytes that is this buffer's own.
        guard let mapped = unsafe clinux_map(isMapped ? start : nil, isMapped ? capacity : 0, newCapacity) else { return false }
        let fresh = unsafe mapped.assumingMemoryBound(to: UInt8.self)
        if isMapped {
            unsafe start = fresh
            capacity = newCapacity
        } else {
            unsafe replace(by: fresh, capacity: newCapacity)
        }
        return true
    }

    private func replace(by fresh: UnsafeMutablePointer<UInt8>, capacity newCapacity: Int) {
        let oldCount = count
        // SAFETY: both regions hold `count` bytes and do not overlap.
        if let start = unsafe start { unsafe fresh.update(from: start, count: oldCount) }
        release()
        unsafe start = fresh
        capacity = newCapacity
        count = oldCount
    }

    func append(_ bytes: UnsafeRawPointer, count added: Int) -> Bool {
        guard reserve(count + added), let start = unsafe start else { return false }
        unsafe memcpy(start + count, bytes, added)
        count += added
        return true
    }

    func append(_ byte: UInt8) -> Bool {
        guard reserve(count + 1), let start = unsafe start else { return false }
        unsafe start[count] = byte
        count += 1
        return true
    }

    /// For what was written behind `count` directly.
    func addCount(_ added: Int) {
        precondition(added >= 0 && added <= capacity - count, "more bytes written than reserved")
        count += added
    }

    func copy() -> [UInt8] {
        // SAFETY: `count` bytes at `start` are initialised.
        unsafe Array(UnsafeBufferPointer(start: start, count: count))
    }

    /// Lends the bytes.
    func withSpan<R, E: Error>(_ body: (Span<UInt8>) throws(E) -> R) throws(E) -> R {
        // SAFETY: `count` bytes at `start` are initialised and stay put while the caller, the only owner, is in `body`.
        try body(unsafe Span(_unsafeElements: UnsafeBufferPointer(start: start, count: count)))
    }
}

/// Buffers between uses: as many as there are bodies in flight, none of them large.
final class BufferPool: Sendable {
    private let free = Locked<[BodyBuffer]>([])
    static let keptCount = 16

    func take() -> BodyBuffer { free.withLock { $0.popLast() } ?? BodyBuffer() }

    func giveBack(_ buffer: BodyBuffer) {
        if buffer.capacity > BodyBuffer.keptBytes { buffer.release() }
        buffer.removeAll()
        free.withLock { if $0.count < Self.keptCount { $0.append(buffer) } }
    }
}
