import ApusBytes

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Records decoded together, handed from the reading thread to the applying one.
final class ReplayBatch {
    var records: [DecodedRecord] = []
    var count = 0
    /// Behind the last of them.
    var position = LogPosition(segment: 0, offset: 0)
}

/// Reads a log on a thread of its own, some batches ahead of who applies them: reading, checking, decompressing and
/// decoding cost about as much as applying. Bounded, so memory does not depend on the length of the log.
@safe final class ReplayPipeline: @unchecked Sendable {
    // `@unchecked`: what both threads touch is under `mutex`; a batch belongs to who took it; the reader is the thread's,
    // or the caller's when there is no thread.

    /// Batches on their way.
    private static let depth = 8
    /// A batch ends when it has so many samples and series, or so many records.
    private static let entriesABatch = 8192
    private static let recordsABatch = 256

    private let reader: WALReader
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let changed: UnsafeMutablePointer<pthread_cond_t>
    private var ready: [ReplayBatch] = []
    private var free: [ReplayBatch] = []
    private var isEnded = false
    private var isAbandoned = false
    private var failure: WALError?
    private var thread: pthread_t?

    init(_ reader: WALReader) {
        self.reader = reader
        unsafe mutex = .allocate(capacity: 1)
        unsafe changed = .allocate(capacity: 1)
        unsafe pthread_mutex_init(mutex, nil)
        unsafe pthread_cond_init(changed, nil)
        for _ in 0..<Self.depth { free.append(ReplayBatch()) }
    }

    deinit {
        unsafe pthread_cond_destroy(changed)
        unsafe pthread_mutex_destroy(mutex)
        unsafe changed.deallocate()
        unsafe mutex.deallocate()
    }

    /// The next batch, nil behind the last. Throws what the reader threw, when all before it has been handed out.
    func next() throws(WALError) -> ReplayBatch? {
        if thread == nil && !isEnded && ready.isEmpty { start() }
        if thread == nil && !isEnded {
            // No thread to be had: read here.
            let batch = free.popLast() ?? ReplayBatch()
            if fill(batch) { return batch }
        }
        unsafe pthread_mutex_lock(mutex)
        while ready.isEmpty && !isEnded { unsafe pthread_cond_wait(changed, mutex) }
        let batch = ready.isEmpty ? nil : ready.removeFirst()
        let failure = failure
        unsafe pthread_mutex_unlock(mutex)
        if batch == nil, let failure { throw failure }
        return batch
    }

    /// Takes a batch back.
    func recycle(_ batch: ReplayBatch) {
        unsafe pthread_mutex_lock(mutex)
        free.append(batch)
        unsafe pthread_cond_signal(changed)
        unsafe pthread_mutex_unlock(mutex)
    }

    /// Ends the thread. To be called by who called `next`, before it lets go.
    func stop() {
        guard let thread else { return }
        unsafe pthread_mutex_lock(mutex)
        isAbandoned = true
        unsafe pthread_cond_signal(changed)
        unsafe pthread_mutex_unlock(mutex)
        pthread_join(thread, nil)
        self.thread = nil
    }

    private func start() {
        var handle = pthread_t()
        // SAFETY: the thread takes over this reference.
        let context = unsafe Unmanaged.passRetained(self)
        if unsafe pthread_create(&handle, nil, replayThreadMain, context.toOpaque()) == 0 {
            thread = handle
        } else {
            unsafe context.release()
        }
    }

    fileprivate static func run(_ context: UnsafeMutableRawPointer) {
        // SAFETY: the reference that `start` passed, taken once.
        unsafe Unmanaged<ReplayPipeline>.fromOpaque(context).takeRetainedValue().produce()
    }

    private func produce() {
        while true {
            unsafe pthread_mutex_lock(mutex)
            while free.isEmpty && !isAbandoned { unsafe pthread_cond_wait(changed, mutex) }
            let batch = isAbandoned ? nil : free.popLast()
            unsafe pthread_mutex_unlock(mutex)
            guard let batch, fill(batch) else { return }
            unsafe pthread_mutex_lock(mutex)
            ready.append(batch)
            unsafe pthread_cond_signal(changed)
            unsafe pthread_mutex_unlock(mutex)
        }
    }

    /// Reads records; false when there are no more, and then `isEnded` is set.
    private func fill(_ batch: ReplayBatch) -> Bool {
        batch.count = 0
        var entries = 0
        var hasMore = true
        var failure: WALError?
        do throws(WALError) {
            while entries < Self.entriesABatch && batch.count < Self.recordsABatch {
                if batch.count == batch.records.count { batch.records.append(DecodedRecord()) }
                hasMore = try reader.next(&batch.records[batch.count])
                if !hasMore { break }
                entries += batch.records[batch.count].samples.count + batch.records[batch.count].series.count
                batch.count += 1
            }
        } catch {
            failure = error
            hasMore = false
        }
        batch.position = LogPosition(segment: reader.segment, offset: reader.offset)
        if hasMore { return true }
        unsafe pthread_mutex_lock(mutex)
        if batch.count > 0 { ready.append(batch) }
        isEnded = true
        self.failure = failure
        unsafe pthread_cond_signal(changed)
        unsafe pthread_mutex_unlock(mutex)
        return false
    }
}

private func replayThreadMain(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    if let context = unsafe context { unsafe ReplayPipeline.run(context) }
    return nil
}
