#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Memory in cells of a few sizes, for millions of small buffers that start small and grow: open chunks, postings.
///
/// A block of 64 KiB holds cells of one size. When its last cell is freed the block goes back to the pool and may serve
/// another size: thousands of chunks that outgrow 32 bytes together leave no memory behind in that size. Requests above
/// the largest size get pages of their own.
///
///     block: │ header, 64 B: live cells, class, free list, bump offset, links │ cell │ cell │ …
///
/// Not synchronised: its owner holds a lock.
@safe public final class SizeClassSlab: @unchecked Sendable {
    // `@unchecked`: used only under the owner's lock.

    /// Cell sizes in bytes. The large ones divide a block less its header with little left over.
    public static let classSizes: [Int] = [
        16, 32, 48, 64, 80, 96, 128, 160, 192, 256, 320, 384, 512, 640, 768, 1024, 1280, 1536, 2048, 2560, 3264, 4672, 6544, 9344,
        13088, 21824, 32736,
    ]
    private static let headerBytes = 64
    private static let pageBytes = 65536

    private struct Header {
        var live: UInt32
        var classIndex: UInt32
        var free: UInt
        var bump: UInt32
        var isListed: UInt32
        var previous: UInt
        var next: UInt
    }

    private let pool: BlockPool
    /// First block with a free cell, by class; 0 for none.
    private var partial: [UInt]
    private var blocks = 0
    private var largeBytes = 0
    /// Bytes in cells that are given out.
    public private(set) var cellBytes = 0

    public init(pool: BlockPool) {
        self.pool = pool
        partial = Array(repeating: 0, count: Self.classSizes.count)
    }

    /// Bytes of the blocks, free cells included, and of the large requests.
    public var sizeBytes: Int { blocks * BlockPool.blockSizeBytes + largeBytes }

    private static func classIndex(_ bytes: Int) -> Int {
        var low = 0
        var high = classSizes.count
        while low < high {
            let middle = (low + high) / 2
            if classSizes[middle] < bytes { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The capacity that a request for `bytes` gets.
    public static func capacity(atLeast bytes: Int) -> Int {
        let index = classIndex(bytes)
        return index < classSizes.count ? classSizes[index] : (bytes + pageBytes - 1) & ~(pageBytes - 1)
    }

    /// A cell of exactly `capacity` bytes, a number that `capacity(atLeast:)` gave. Contents are unspecified.
    public func allocate(capacity: Int) -> UnsafeMutableRawPointer {
        let index = Self.classIndex(capacity)
        guard index < Self.classSizes.count else {
            let address = unsafe mmap(nil, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
            guard unsafe address != MAP_FAILED, let address = unsafe address else { preconditionFailure("the system has no memory left") }
            largeBytes += capacity
            cellBytes += capacity
            return unsafe address
        }
        let size = Self.classSizes[index]
        cellBytes += size
        if partial[index] == 0 { addBlock(index) }
        // SAFETY: `partial` holds addresses of blocks that have a free cell, each starting with a header.
        let block = unsafe UnsafeMutablePointer<Header>(bitPattern: partial[index]).unsafelyUnwrapped
        let cell: UnsafeMutableRawPointer
        if unsafe block.pointee.free != 0 {
            unsafe cell = UnsafeMutableRawPointer(bitPattern: block.pointee.free).unsafelyUnwrapped
            unsafe block.pointee.free = cell.load(as: UInt.self)
        } else {
            unsafe cell = UnsafeMutableRawPointer(block) + Int(block.pointee.bump)
            unsafe block.pointee.bump &+= UInt32(size)
        }
        unsafe block.pointee.live &+= 1
        if unsafe block.pointee.free == 0 && Int(block.pointee.bump) + size > BlockPool.blockSizeBytes { unsafe unlink(block, index) }
        return unsafe cell
    }

    /// Takes back a cell of `capacity` bytes.
    public func free(_ cell: UnsafeMutableRawPointer, capacity: Int) {
        let index = Self.classIndex(capacity)
        guard index < Self.classSizes.count else {
            unsafe munmap(cell, capacity)
            largeBytes -= capacity
            cellBytes -= capacity
            return
        }
        cellBytes -= Self.classSizes[index]
        let address = UInt(bitPattern: cell) & ~UInt(BlockPool.blockSizeBytes - 1)
        // SAFETY: cells lie in blocks, blocks are aligned to their size and start with a header.
        let block = unsafe UnsafeMutablePointer<Header>(bitPattern: address).unsafelyUnwrapped
        unsafe cell.storeBytes(of: block.pointee.free, as: UInt.self)
        unsafe block.pointee.free = UInt(bitPattern: cell)
        unsafe block.pointee.live &-= 1
        if unsafe block.pointee.live == 0 {
            if unsafe block.pointee.isListed != 0 { unsafe unlink(block, index) }
            blocks -= 1
            unsafe pool.give(UnsafeMutableRawPointer(block))
        } else if unsafe block.pointee.isListed == 0 {
            unsafe link(block, index)
        }
    }

    private func addBlock(_ index: Int) {
        let block = unsafe pool.take().bindMemory(to: Header.self, capacity: 1)
        unsafe block.initialize(
            to: Header(
                live: 0, classIndex: UInt32(index), free: 0, bump: UInt32(Self.headerBytes), isListed: 0, previous: 0, next: 0))
        blocks += 1
        unsafe link(block, index)
    }

    private func link(_ block: UnsafeMutablePointer<Header>, _ index: Int) {
        unsafe block.pointee.isListed = 1
        unsafe block.pointee.previous = 0
        unsafe block.pointee.next = partial[index]
        if let next = unsafe UnsafeMutablePointer<Header>(bitPattern: partial[index]) {
            unsafe next.pointee.previous = UInt(bitPattern: block)
        }
        partial[index] = UInt(bitPattern: block)
    }

    private func unlink(_ block: UnsafeMutablePointer<Header>, _ index: Int) {
        if let previous = unsafe UnsafeMutablePointer<Header>(bitPattern: block.pointee.previous) {
            unsafe previous.pointee.next = block.pointee.next
        } else {
            unsafe partial[index] = block.pointee.next
        }
        if let next = unsafe UnsafeMutablePointer<Header>(bitPattern: block.pointee.next) {
            unsafe next.pointee.previous = block.pointee.previous
        }
        unsafe block.pointee.isListed = 0
    }

    /// Gives back the pages of large requests. Cells in blocks go with the pool.
    /// - Parameter large: every cell above the largest class that is still out.
    public func releaseLarge(_ large: [(UnsafeMutableRawPointer, Int)]) {
        for unsafe (cell, capacity) in unsafe large where capacity > Self.classSizes[Self.classSizes.count - 1] {
            unsafe free(cell, capacity: capacity)
        }
    }
}
