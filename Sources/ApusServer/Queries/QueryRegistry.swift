public import ApusBytes
public import ApusModel
public import ApusPromQL

/// Knows the queries that run and those that ran: give it to the engine as its tracker.
///
///     engine ─▶ queued ─▶ started ─▶ finished
///                  │          │          ├─▶ RecentQueries      top_queries
///                  │          │          ├─▶ QueryLogFile       query_log_file
///                  └▶ active ─┴▶ ActiveQueryFile (until finished)
public final class QueryRegistry: QueryTracker, Sendable {
    /// One query that waits or runs.
    struct Active: Sendable {
        var id: UInt64
        var activity: QueryActivity
        /// Its place in the file of active queries.
        var slot: Int?
    }

    private struct State {
        var nextID: UInt64 = 1
        var active: [ObjectIdentifier: Active] = [:]
        var file: ActiveQueryFile?
        var log: QueryLogFile?
        var logFailures: UInt64 = 0
        var slowQueries: UInt64 = 0
    }

    /// A query that took this long or longer is logged; 0: none is.
    public let slowSeconds: Double
    let time: any TimeSource
    let recent = RecentQueries()
    private let logSlow: @Sendable ([(name: String, value: String)]) -> Void
    private let state = Locked(State())

    /// - Parameter logSlow: takes the fields of a line of the log, on the engine's threads.
    public init(
        slowSeconds: Double = 0, time: any TimeSource = SystemTime(),
        logSlow: @escaping @Sendable ([(name: String, value: String)]) -> Void = { _ in }
    ) {
        self.slowSeconds = slowSeconds
        self.time = time
        self.logSlow = logSlow
    }

    // MARK: From the engine

    public func queued(_ activity: QueryActivity) {
        state.withLock { state in
            state.active[ObjectIdentifier(activity)] = Active(id: state.nextID, activity: activity)
            state.nextID += 1
        }
    }

    public func started(_ activity: QueryActivity) {
        guard let file = state.withLock({ $0.file }) else { return }
        let slot = file.insert(activity.query, atSeconds: time.wallMs() / 1_000)
        state.withLock { $0.active[ObjectIdentifier(activity)]?.slot = slot }
    }

    public func finished(_ activity: QueryActivity, _ outcome: QueryOutcome) {
        let (entry, file, log) = state.withLock { ($0.active.removeValue(forKey: ObjectIdentifier(activity)), $0.file, $0.log) }
        if let slot = entry?.slot { file?.remove(slot) }
        let nowMs = time.wallMs()
        recent.add(RecentQuery(activity, outcome, endedMs: nowMs))
        if let log, !log.write(activity, outcome, nowMs: nowMs) { state.withLock { $0.logFailures += 1 } }
        let seconds = outcome.statistics.execTotalSeconds
        if slowSeconds > 0, seconds >= slowSeconds {
            state.withLock { $0.slowQueries += 1 }
            logSlow(slowFields(activity, outcome, seconds))
        }
    }

    /// A longer text is cut in the log.
    private static let maxLoggedBytes = 4_096

    private func slowFields(
        _ activity: QueryActivity, _ outcome: QueryOutcome, _ seconds: Double
    ) -> [(name: String, value: String)] {
        let text = activity.query.count > Self.maxLoggedBytes ? "\(ByteString(activity.query.bytes.prefix(Self.maxLoggedBytes)))…" : "\(activity.query)"
        var fields = [
            ("query", text), ("duration", "\((seconds * 1_000).rounded() / 1_000)s"),
            ("queued", "\((outcome.statistics.queueSeconds * 1_000).rounded() / 1_000)s"),
            ("start", formatRFC3339(ms: activity.startMs)), ("end", formatRFC3339(ms: activity.endMs)),
            ("step", "\(Double(activity.stepMs) / 1_000)s"), ("samples", "\(outcome.statistics.totalQueryableSamples)"),
            ("series", "\(outcome.statistics.seriesSelected)"), ("memory", formatBytes(Int(outcome.statistics.peakBytes))),
        ]
        switch activity.origin {
        case .request(let client, _, let path): fields += [("client", client), ("path", path)]
        case .rule(let file, let group): fields += [("file", file), ("group", group)]
        case .unknown: break
        }
        if let error = outcome.error { fields.append(("err", error.message)) }
        return fields
    }

    // MARK: For the API

    /// The oldest first.
    func active() -> [Active] { state.withLock { Array($0.active.values) }.sorted { $0.id < $1.id } }

    /// Ends a query soon.
    /// - Returns: false when none with this number waits or runs.
    func cancel(_ id: UInt64) -> Bool {
        guard let entry = state.withLock({ $0.active.values.first { $0.id == id } }) else { return false }
        entry.activity.cancellation.cancel()
        return true
    }

    // MARK: Files

    /// From now on queries that run stand in this file.
    public func attach(_ file: ActiveQueryFile?) { state.withLock { $0.file = file } }

    /// Writes every query that ends to this file, opened anew even when it was the same before: it may have been moved
    /// away. Empty: to none.
    /// - Throws: when it cannot be opened; then the one before stays.
    public func setLog(path: String) throws(FileError) {
        let log = path.isEmpty ? nil : try QueryLogFile(path: path)
        state.withLock { $0.log = log }
    }

    struct Counts: Sendable {
        var isLogEnabled: Bool
        var logFailures: UInt64
        var slowQueries: UInt64
    }
    var counts: Counts {
        state.withLock { Counts(isLogEnabled: $0.log != nil, logFailures: $0.logFailures, slowQueries: $0.slowQueries) }
    }
}
