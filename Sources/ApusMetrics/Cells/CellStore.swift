import ApusModel
import CThreadRecord
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The cells of all threads: gives out numbers of cells, and records to threads, and adds up.
///
/// There is one for the process, since a thread has one record whatever registries it counts for.
@safe
final class CellStore: @unchecked Sendable {
    // `@unchecked`: the record table is written under `state` and published by `recordCount`; records are never freed.
    static let shared = CellStore()

    /// Threads that have a record of their own. The others share one, and a lock for it.
    static let maxThreads = 1024
    /// Cells that may be in use, of 8 bytes in each thread that touches them.
    static let maxCells = 1 << 26

    private struct State {
        /// Records of threads that ended.
        var idle: [UInt] = []
        /// Runs that were given back, by their length.
        var freeRuns: [Int: [Int]] = [:]
        var next = 0
    }
    private let state = Locked(State())
    private let records: UnsafeMutablePointer<Atomic<UInt>>
    private let recordCount = Atomic<Int>(0)
    /// The record of those without one, used under `crowdMutex`: not a `Locked`, whose closure may not take a pointer along.
    private let crowd: ThreadRecord.Pointer
    private let crowdMutex: UnsafeMutablePointer<pthread_mutex_t>
    /// Calls `threadEnds` when a thread that has a record ends.
    private let key: pthread_key_t
    /// Whether the kernel lets all threads pass a barrier when asked.
    private let canOrderAll: Bool
    /// Waits for what is inside that have begun, and the newest one that has ended.
    private let waitsBegun = Atomic<UInt64>(0)
    private let waitEnded = Atomic<UInt64>(0)

    private init() {
        canOrderAll = cthreadrecord_register_barrier() == 0
        unsafe records = .allocate(capacity: Self.maxThreads + 1)
        for index in 0...Self.maxThreads { unsafe (records + index).initialize(to: Atomic(0)) }
        unsafe crowd = Self.makeRecord(isFenced: !canOrderAll)
        unsafe crowdMutex = .allocate(capacity: 1)
        unsafe pthread_mutex_init(crowdMutex, nil)
        var key = pthread_key_t()
        unsafe pthread_key_create(&key, threadEnds)
        self.key = key
        unsafe records[0].store(UInt(bitPattern: crowd), ordering: .relaxed)
        recordCount.store(1, ordering: .releasing)
    }

    // MARK: Records

    /// Calls `body` with this thread's record, or under a lock with the one that the threads without one share. `body`
    /// must not call this again.
    @inline(__always)
    static func withRecord<Result>(_ body: (ThreadRecord.Pointer) -> Result) -> Result {
        if let record = unsafe ThreadRecord.current { return unsafe body(record) }
        return unsafe shared.withNewRecord(body)
    }

    @inline(never)
    private func withNewRecord<Result>(_ body: (ThreadRecord.Pointer) -> Result) -> Result {
        if let record = unsafe makeCurrent() { return unsafe body(record) }
        unsafe pthread_mutex_lock(crowdMutex)
        defer { unsafe pthread_mutex_unlock(crowdMutex) }
        return unsafe body(crowd)
    }

    /// This thread's record, for one that has none yet; nil if there are `maxThreads`.
    @inline(never)
    func ownRecord() -> ThreadRecord.Pointer? { unsafe makeCurrent() }

    private func makeCurrent() -> ThreadRecord.Pointer? {
        let address = state.withLock { state -> UInt in
            if let idle = state.idle.popLast() { return idle }
            let count = recordCount.load(ordering: .relaxed)
            guard count <= Self.maxThreads else { return 0 }
            let record = unsafe UInt(bitPattern: Self.makeRecord(isFenced: !canOrderAll))
            unsafe records[count].store(record, ordering: .releasing)
            recordCount.store(count + 1, ordering: .releasing)
            return record
        }
        guard let record = unsafe ThreadRecord.Pointer(bitPattern: address) else { return nil }
        unsafe cthreadrecord_set(record)
        unsafe pthread_setspecific(key, record)
        return unsafe record
    }

    fileprivate func takeBack(_ record: UnsafeMutableRawPointer) {
        let address = UInt(bitPattern: record)
        state.withLock { $0.idle.append(address) }
    }

    /// On a cache line of its own, two for the processors that fetch them in pairs.
    private static func makeRecord(isFenced: Bool) -> ThreadRecord.Pointer {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 128, alignment: 128)
        let record = unsafe memory.bindMemory(to: ThreadRecord.self, capacity: 1)
        unsafe record.initialize(to: ThreadRecord(isFenced: isFenced))
        return unsafe record
    }

    // MARK: Cells

    /// The cell of a number in this thread's record, its chunk made if need be.
    @inline(__always)
    static func cell(_ number: Int, in record: ThreadRecord.Pointer) -> ThreadRecord.Cell {
        if let cell = unsafe ThreadRecord.cell(number, in: record) { return unsafe cell }
        return unsafe makeChunk(number, in: record)
    }

    @inline(never)
    private static func makeChunk(_ number: Int, in record: ThreadRecord.Pointer) -> ThreadRecord.Cell {
        let chunk = number / ThreadRecord.chunkCells
        let capacity = unsafe record.pointee.capacity.load(ordering: .relaxed)
        var directory = unsafe UnsafeMutablePointer<Atomic<UInt>>(bitPattern: record.pointee.directory.load(ordering: .relaxed))
        if unsafe chunk >= capacity || directory == nil {
            let larger = max(16, capacity * 2, chunk + 1)
            let copy = UnsafeMutablePointer<Atomic<UInt>>.allocate(capacity: larger)
            for index in 0..<larger {
                let address = unsafe index < capacity ? directory?[index].load(ordering: .relaxed) ?? 0 : 0
                unsafe (copy + index).initialize(to: Atomic(address))
            }
            // The old one stays: somebody may be adding up. All of them together are no larger than this one.
            unsafe record.pointee.directory.store(UInt(bitPattern: copy), ordering: .releasing)
            unsafe record.pointee.capacity.store(larger, ordering: .releasing)
            unsafe directory = copy
        }
        let cells = unsafe UnsafeMutableRawPointer.allocate(byteCount: ThreadRecord.chunkCells * 8, alignment: 64)
            .bindMemory(to: Atomic<UInt64>.self, capacity: ThreadRecord.chunkCells)
        for index in 0..<ThreadRecord.chunkCells { unsafe (cells + index).initialize(to: Atomic(0)) }
        // SAFETY: made above or there before, with more than `chunk` places.
        unsafe directory.unsafelyUnwrapped[chunk].store(UInt(bitPattern: cells), ordering: .releasing)
        return unsafe cells + number % ThreadRecord.chunkCells
    }

    /// Numbers of `count` cells side by side, all zero; nil when there are `maxCells` already. `count` is at most
    /// `ThreadRecord.chunkCells`.
    func takeRun(_ count: Int) -> Int? {
        state.withLock { state in
            if let run = state.freeRuns[count]?.popLast() { return run }
            var start = state.next
            let left = ThreadRecord.chunkCells - start % ThreadRecord.chunkCells
            if left < count {
                // What does not fit serves the shorter runs.
                state.freeRuns[1, default: []].append(contentsOf: start..<(start + left))
                start += left
            }
            guard start + count <= Self.maxCells else { return nil }
            state.next = start + count
            return start
        }
    }

    /// Takes back a run that nobody adds to any more.
    func giveRun(_ start: Int, _ count: Int) {
        unsafe forEachRecord { record in
            guard let cells = unsafe ThreadRecord.cell(start, in: record) else { return }
            for index in 0..<count { unsafe cells[index].store(0, ordering: .relaxed) }
        }
        state.withLock { $0.freeRuns[count, default: []].append(start) }
    }

    // MARK: Reading

    @inline(__always)
    func forEachRecord(_ body: (ThreadRecord.Pointer) -> Void) {
        for index in 0..<recordCount.load(ordering: .acquiring) {
            // SAFETY: places below the count hold addresses of records, which are never freed.
            if let record = unsafe ThreadRecord.Pointer(bitPattern: records[index].load(ordering: .acquiring)) {
                unsafe body(record)
            }
        }
    }

    /// What this thread stored before, every thread sees that begins a critical section from now on; and this thread sees
    /// which of them began one before. A microsecond or two.
    private func orderAll() {
        guard canOrderAll, cthreadrecord_barrier() != 0 else { return }
        // Forbidden since the start, by a filter of system calls. What a processor stores becomes visible by itself within
        // less than a microsecond.
        usleep(1000)
    }

    /// How many waits have begun: one that begins after this was read has a higher number.
    var lastWait: UInt64 { waitsBegun.load(ordering: .sequentiallyConsistent) }
    /// Whether a wait of a higher number has ended.
    func hasWaited(since number: UInt64) -> Bool { waitEnded.load(ordering: .acquiring) > number }

    /// Waits until each thread that is inside a critical section now has left it.
    func waitForInside() {
        let number = waitsBegun.wrappingAdd(1, ordering: .sequentiallyConsistent).newValue
        orderAll()
        unsafe forEachRecord { record in
            let sequence = unsafe record.pointee.sequence.load(ordering: .sequentiallyConsistent)
            guard sequence & 1 == 1 else { return }
            // Nanoseconds, unless the thread was put aside.
            while unsafe record.pointee.sequence.load(ordering: .acquiring) == sequence { sched_yield() }
        }
        waitEnded.max(number, ordering: .acquiringAndReleasing)
    }

    /// Threads that are inside now: which record, and its sequence.
    func inside() -> [Stay] {
        orderAll()
        var stays: [Stay] = []
        unsafe forEachRecord { record in
            let sequence = unsafe record.pointee.sequence.load(ordering: .sequentiallyConsistent)
            if sequence & 1 == 1 { stays.append(Stay(record: UInt(bitPattern: record), sequence: sequence)) }
        }
        return stays
    }

    /// A thread inside a critical section.
    struct Stay {
        fileprivate let record: UInt
        fileprivate let sequence: UInt64
        /// Whether it has not left since.
        var isLasting: Bool {
            guard let record = unsafe ThreadRecord.Pointer(bitPattern: record) else { return false }
            return unsafe record.pointee.sequence.load(ordering: .acquiring) == sequence
        }
    }
}

/// Called by the system with a thread's record when the thread ends. Destructors of other libraries may run after it and
/// count something: the thread then takes a record again.
#if canImport(Darwin)
    private func threadEnds(_ record: UnsafeMutableRawPointer) {
        cthreadrecord_set(nil)
        unsafe CellStore.shared.takeBack(record)
    }
#else
    private func threadEnds(_ record: UnsafeMutableRawPointer?) {
        cthreadrecord_set(nil)
        if let record = unsafe record { unsafe CellStore.shared.takeBack(record) }
    }
#endif
