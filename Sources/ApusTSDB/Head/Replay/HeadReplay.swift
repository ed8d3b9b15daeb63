public import ApusStorage

/// Fills an empty head with what a former run left: chunks of `chunks_head`, then the records of the log.
///
///     let replay = HeadReplay(head, minValidTimeMs: end of the newest block)
///     files.iterate { replay.load($0) }          chunks wait for their series, by ref
///     try replay.run(reader) { … }               checkpoint and segments: one thread reads and decodes, this one applies
///     let report = replay.finish()               postings in order; the head may be used
///
/// Samples that a chunk of their series holds already are skipped, and those of finished blocks. Nothing is logged. When
/// `run` ends with damage, repair the log and go on with `finish`: what came before the damage is in the head.
///
/// Series keep the refs of the log. Where one label set has two (it was collected, and came again), the first stands for
/// both: see `current`.
public final class HeadReplay {
    /// What was found.
    public struct Report: Sendable, Equatable {
        public var series = 0
        /// Series under a second ref.
        public var duplicateSeries = 0
        public var samples = 0
        /// In blocks already, or in chunks.
        public var samplesSkipped = 0
        public var histograms = 0
        public var exemplars = 0
        public var tombstones = 0
        public var metadata = 0
        /// Chunks that were given to their series, and those whose series no record names.
        public var chunks = 0
        public var unknownChunks = 0
        /// Records that no series record goes before: the refs there are, and what they had.
        public var unknownRefs = 0
        public var unknownSamples = 0
        public var unknownHistograms = 0
        public var unknownExemplars = 0
        public var unknownMetadata = 0
        public var unknownTombstones = 0
        /// Records of types that are not known, and histograms that make no sense.
        public var unknownRecords = 0
        public var unreadableHistograms = 0
    }

    private let head: Head
    private let context: ReplayContext

    /// - Parameter minValidTimeMs: samples before this are in blocks. The head takes none such afterwards either.
    public init(_ head: Head, minValidTimeMs: Int64 = .min) {
        self.head = head
        context = ReplayContext(minValidTime: minValidTimeMs)
        head.setMinValidTime(minValidTimeMs)
    }

    /// Takes a chunk with samples in order. Call in the order of the files, before `run`.
    public func load(_ chunk: HeadChunk) { head.locked { head.state.load(chunk, context) } }

    /// Forgets the chunks: a file among them turned out to be damaged. Their samples are taken from the log then.
    public func forgetLoaded() { context.pending = [:] }

    /// Applies the records of a log, read ahead by another thread.
    /// - Parameter progress: called now and then, with where the reader was.
    public func run(_ reader: WALReader, progress: (LogPosition) -> Void = { _ in }) throws(WALError) {
        let pipeline = ReplayPipeline(reader)
        defer { pipeline.stop() }
        while let batch = try pipeline.next() {
            head.locked { for index in 0..<batch.count { head.state.replay(batch.records[index], context) } }
            for index in 0..<batch.count {
                let unread = batch.records[index].takeUnread()
                context.report.unknownRecords += unread.records
                context.report.unreadableHistograms += unread.histograms
            }
            context.lastSegment = max(context.lastSegment, batch.position.segment)
            progress(batch.position)
            pipeline.recycle(batch)
        }
    }

    /// Applies one record.
    public func apply(_ record: borrowing DecodedRecord) {
        let copy = copy record
        head.locked { head.state.replay(copy, context) }
    }

    /// Ends the replay.
    /// - Parameter lastSegment: the newest segment there is, which may name refs that stand for others.
    public func finish(lastSegment: Int? = nil) -> Report {
        head.locked {
            head.state.finishReplay(context, lastSegment: lastSegment ?? context.lastSegment)
            return context.report
        }
    }

    /// The ref under which the head knows a series that the log names; nil when it does not.
    public func current(_ ref: SeriesRef) -> SeriesRef? {
        head.locked { head.state.replaySlot(of: ref, context).map { head.state.ref(of: $0) } }
    }
}
