#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Gives out blocks of 64 KiB, aligned to their size, and takes them back; the memory of blocks that nobody uses goes
/// back to the system. What `malloc` frees stays with the process; what a pool frees does not.
///
/// Not synchronised: its owner holds a lock.
@safe public final class BlockPool: @unchecked Sendable {
    // `@unchecked`: used only under the owner's lock.
    public static let blockSizeBytes = 65536
    /// Blocks mapped at a time.
    private static let regionBlocks = 16
    /// Free blocks that keep their memory, to be given out again without page faults.
    private static let warmLimit = 16

    private var regions: [UInt] = []
    private var warm: [UInt] = []
    private var cold: [UInt] = []
    public private(set) var blocksInUse = 0

    public init() {}

    deinit {
        // SAFETY: each region was mapped by `map` with this size, and the owner of the pool is gone with its pointers.
        for region in regions {
            unsafe munmap(UnsafeMutableRawPointer(bitPattern: region), Self.regionBlocks * Self.blockSizeBytes)
        }
    }

    /// Bytes that blocks in use and warm blocks hold.
    public var sizeBytes: Int { (blocksInUse + warm.count) * Self.blockSizeBytes }

    /// A block with unspecified contents.
    public func take() -> UnsafeMutableRawPointer {
        if warm.isEmpty && cold.isEmpty { map() }
        let address = warm.popLast() ?? cold.removeLast()
        blocksInUse += 1
        // SAFETY: addresses in the lists are those of mapped blocks, never 0.
        return unsafe UnsafeMutableRawPointer(bitPattern: address).unsafelyUnwrapped
    }

    /// Takes back a block that `take` gave.
    public func give(_ block: UnsafeMutableRawPointer) {
        blocksInUse -= 1
        if warm.count < Self.warmLimit {
            warm.append(UInt(bitPattern: block))
        } else {
            unsafe madvise(block, Self.blockSizeBytes, MADV_DONTNEED)
            cold.append(UInt(bitPattern: block))
        }
    }

    private func map() {
        let size = Self.regionBlocks * Self.blockSizeBytes
        let slack = Self.blockSizeBytes
        // SAFETY: a fresh mapping one block larger than needed, whose unaligned ends are given back.
        let address = unsafe mmap(nil, size + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        precondition(unsafe address != MAP_FAILED, "the system has no memory left")
        let start = UInt(bitPattern: address)
        let aligned = (start &+ UInt(slack) &- 1) & ~(UInt(slack) &- 1)
        let head = Int(aligned &- start)
        if head > 0 { unsafe munmap(UnsafeMutableRawPointer(bitPattern: start), head) }
        if slack > head { unsafe munmap(UnsafeMutableRawPointer(bitPattern: aligned &+ UInt(size)), slack - head) }
        regions.append(aligned)
        for index in (0..<Self.regionBlocks).reversed() { cold.append(aligned &+ UInt(index * Self.blockSizeBytes)) }
    }
}
