#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// An array of plain values that grows in place: its address space is reserved whole at first, and pages become usable
/// as it grows, so an element never moves and a reader may keep its address while a writer appends.
///
/// Address space costs nothing; memory is used for what was appended, rounded up to a few pages. Not synchronised:
/// one writer at a time, and a reader must have learnt of an element by way of a lock.
@safe public final class ReservedArray<Element: BitwiseCopyable>: @unchecked Sendable {
    // `@unchecked`: the owner serialises the writers; elements already appended do not move.
    public let base: UnsafeMutablePointer<Element>
    public private(set) var count = 0
    /// How many elements the reserved address space holds.
    public let maximum: Int
    private let reservedBytes: Int
    private var usableBytes = 0

    /// Reserves room for `maximum` elements, or for fewer when the system has not so much address space to give.
    public init(maximum: Int) {
        var wanted = maximum
        while true {
            let bytes = Self.roundUp(wanted * MemoryLayout<Element>.stride)
            // SAFETY: a fresh anonymous mapping; PROT_NONE, so it counts against no limit until `extend` opens it.
            let address = unsafe mmap(nil, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
            if unsafe address != MAP_FAILED, let address = unsafe address {
                unsafe base = address.bindMemory(to: Element.self, capacity: wanted)
                self.maximum = wanted
                reservedBytes = bytes
                return
            }
            precondition(wanted > 1 << 12, "no address space left")
            wanted /= 2
        }
    }

    deinit { unsafe munmap(base, reservedBytes) }

    private static func roundUp(_ bytes: Int) -> Int { (bytes &+ 65535) & ~65535 }

    /// Bytes of memory the elements take, slack included.
    public var sizeBytes: Int { usableBytes }

    /// Adds `additional` elements of zero bytes and returns the index of the first, or nil when the array is full.
    public func extend(by additional: Int) -> Int? {
        guard additional <= maximum &- count else { return nil }
        let needed = (count &+ additional) &* MemoryLayout<Element>.stride
        if needed > usableBytes {
            // An eighth more than what is there: few system calls, little slack.
            let target = min(reservedBytes, Self.roundUp(max(needed, usableBytes &+ usableBytes / 8)))
            // SAFETY: the range lies inside our own reservation.
            guard unsafe mprotect(base, target, PROT_READ | PROT_WRITE) == 0 else { return nil }
            usableBytes = target
        }
        let first = count
        count &+= additional
        return first
    }

    @inline(__always)
    public subscript(index: Int) -> Element {
        get {
            precondition(index >= 0 && index < count, "index out of range")
            // SAFETY: checked just above; elements below `count` are usable memory.
            return unsafe base[index]
        }
        set {
            precondition(index >= 0 && index < count, "index out of range")
            unsafe base[index] = newValue
        }
    }
}
