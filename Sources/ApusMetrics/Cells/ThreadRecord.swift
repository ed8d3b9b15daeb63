import CThreadRecord
import Synchronization

/// What one thread has of its own: the cells it adds to, and a number that tells whether it stands inside a critical
/// section.
///
///     record ─▶ sequence │ odd: inside
///               directory ─▶ chunk 0 ─▶ 1,024 cells
///                            chunk 1 ─▶ …            made when the thread first touches a cell of it
///
/// A thread adds to its own cells with a plain load and store: nobody else writes them, so no thread waits for another,
/// however many add to the same counter. Who wants a value adds up the cells of all threads (`CellStore`).
///
/// Records are never freed. When a thread ends, its record, counts included, goes to the next one that starts.
@safe
struct ThreadRecord: ~Copyable {
    /// Even outside. Goes up by one at the begin and at the end of each critical section of its thread.
    let sequence = Atomic<UInt64>(0)
    /// How many chunks the directory has places for.
    let capacity = Atomic<Int>(0)
    /// The address of the directory, an array of chunk addresses; 0 for a chunk that was not made yet.
    let directory = Atomic<UInt>(0)
    /// Whether its thread must order its memory accesses itself, because nobody else can: see `enter`.
    let isFenced: Bool

    init(isFenced: Bool) { self.isFenced = isFenced }

    typealias Pointer = UnsafeMutablePointer<ThreadRecord>
    typealias Cell = UnsafeMutablePointer<Atomic<UInt64>>

    /// Cells of a chunk. A run of cells lies within one.
    static var chunkCells: Int { 1024 }

    /// This thread's record, or nil if it has none yet.
    @inline(__always)
    static var current: Pointer? {
        // SAFETY: only `CellStore` stores there, and only addresses of records.
        unsafe cthreadrecord_get()?.assumingMemoryBound(to: ThreadRecord.self)
    }

    /// The cell of this number, or nil if its chunk was not made yet. Any thread may read it; the owner writes.
    @inline(__always)
    static func cell(_ number: Int, in record: Pointer) -> Cell? {
        let chunk = number &>> 10
        // SAFETY: the directory was stored before its capacity, and has at least as many places.
        guard unsafe chunk < record.pointee.capacity.load(ordering: .acquiring) else { return nil }
        let directory = unsafe UnsafePointer<Atomic<UInt>>(bitPattern: record.pointee.directory.load(ordering: .acquiring))
        guard let directory = unsafe directory,
            let cells = unsafe Cell(bitPattern: directory[chunk].load(ordering: .acquiring))
        else { return nil }
        return unsafe cells + (number & (chunkCells &- 1))
    }

    // MARK: Critical sections

    /// Begins a critical section of the thread whose record this is. What the thread loads next with `sequentiallyConsistent`
    /// is either what somebody stored before he asked who is inside, or he sees this thread inside.
    ///
    /// That needs a barrier between the store here and the load after it: some twenty cycles, in which the processor
    /// begins nothing else. It is needed only when somebody asks, which is seldom, so he who asks has the kernel let all
    /// threads pass one (`CellStore.orderAll`), and here it is enough that the compiler keeps the order.
    @inline(__always)
    static func enter(_ record: Pointer) {
        let sequence = unsafe record.pointee.sequence.load(ordering: .relaxed)
        if unsafe record.pointee.isFenced {
            unsafe record.pointee.sequence.store(sequence &+ 1, ordering: .sequentiallyConsistent)
        } else {
            unsafe record.pointee.sequence.store(sequence &+ 1, ordering: .releasing)
            cthreadrecord_compiler_fence()
        }
    }

    @inline(__always)
    static func leave(_ record: Pointer) {
        let sequence = unsafe record.pointee.sequence.load(ordering: .relaxed)
        unsafe record.pointee.sequence.store(sequence &+ 1, ordering: .releasing)
    }
}
