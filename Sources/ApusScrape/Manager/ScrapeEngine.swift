import ApusConfig
import ApusModel
import ApusStorage
import Synchronization

/// Runs the loops: decides with the schedule what is due, has the fetch thread fetch it and the workers store it.
///
///     schedule ─▶ fetch thread ─┬▶ queue ────────────▶ workers ─┬▶ store
///        ▲                      ├▶ queue of the heavy ▶ workers ─┤
///        │                      └▶ small and quick, at once ─────┤
///        └───────────────── the target is idle ────────────────┘
///
/// Two queues with workers of their own: a few targets with pages of a million lines, or bombs, take seconds each and would
/// keep all workers from the many whose pages take a millisecond.
final class ScrapeEngine: FetchDriver {
    private let store: any SampleStore
    private let time: any TimeSource
    private let options: ScrapeOptions
    private let observer: (any ScrapeObserver)?
    private let log: ScrapeLog
    private let pool = BufferPool()
    private let authorizer: Authorizer
    private let failureLog = FailureLog()
    private let jobs = BlockingQueue<Job>()
    private let heavyJobs = BlockingQueue<Job>()
    private let state = Locked(State())
    private let threads = Locked(Threads())
    private let counters = Locked(ScrapeStatistics())
    /// Of the fetch thread.
    private let quick: Locked<Quick>
    /// Pages for the heavy workers that are not stored yet.
    private let heavyUnderWay = Atomic<Int>(0)

    private struct State {
        var schedule = ScrapeSchedule()
        /// All that are scheduled, and those that are to end.
        var loops: [UInt64: ScrapeLoop] = [:]
        var underWay: [UInt64: Started] = [:]
        var ending: [UInt64: Int64] = [:]
        var forget: [UInt64] = []
        /// Requests that waited for a token.
        var authorized: [FetchRequest] = []
        var nextKey: UInt64 = 1
    }
    private struct Started {
        let timestampMs: Int64
        let startedNs: UInt64
    }
    private struct Quick {
        var pages: QuickScrapes
        let appender: ScrapeAppender
    }
    private struct Threads {
        var fetch: FetchThread?
        var workers: [PosixThread] = []
    }
    private enum Job: Sendable {
        case scraped(ScrapeLoop, FetchOutcome, timestampMs: Int64, startedNs: UInt64)
        case endOfRun(ScrapeLoop, timestampMs: Int64)
        /// What is to be said of a page that was stored at once.
        case problems(ScrapeLoop, ScrapeReport)
    }

    init(
        store: any SampleStore, time: any TimeSource, options: ScrapeOptions, log: @escaping ScrapeLog,
        observer: (any ScrapeObserver)?
    ) {
        self.store = store
        self.time = time
        self.options = options
        self.log = log
        self.observer = observer
        quick = Locked(
            Quick(
                pages: QuickScrapes(limitNs: UInt64(max(0, options.quickLimitUs)) &* 1000),
                appender: ScrapeAppender(store: store, time: time, pool: pool)))
        authorizer = Authorizer(tokens: TokenStore(time: time, userAgent: options.userAgent))
    }

    /// The configuration was loaded anew.
    /// - Parameter tokens: the `oauth2` sections that it has.
    func reloaded(tokens: Set<HTTPClientConfig.OAuth2>) {
        authorizer.keep(tokens)
        failureLog.reopen()
    }

    var statistics: ScrapeStatistics { counters.withLock { $0 } }

    // MARK: Threads

    /// - Returns: false when the system refuses threads or descriptors.
    func start() -> Bool {
        guard let fetch = FetchThread(driver: self, time: time, pool: pool) else { return false }
        var workers: [PosixThread] = []
        for (queue, count, isHeavy) in [(jobs, options.workerCount, false), (heavyJobs, options.heavyWorkerCount, true)] {
            for _ in 0..<max(count, 1) {
                let worker = PosixThread(name: isHeavy ? "scrape-heavy" : "scrape-store", niceness: isHeavy ? Self.heavyNiceness : 0) { [self] in
                    work(queue, isHeavy: isHeavy)
                }
                guard let worker else { return false }
                workers.append(worker)
            }
        }
        let started = workers
        threads.withLock {
            $0.fetch = fetch
            $0.workers = started
        }
        fetch.start()
        return true
    }

    /// Waits until no thread runs. Nothing is written for the targets: they go on after a restart.
    func stop() {
        let (fetch, workers) = threads.withLock { threads in
            defer { threads = Threads() }
            return (threads.fetch, threads.workers)
        }
        fetch?.stop()
        authorizer.stop()
        jobs.close()
        heavyJobs.close()
        for worker in workers { worker.join() }
    }

    private func wake() { threads.withLock { $0.fetch }?.wake() }

    // MARK: Loops

    func makeKey() -> UInt64 {
        state.withLock {
            $0.nextKey += 1
            return $0.nextKey
        }
    }

    /// Changes what is scraped, at once.
    /// - Parameter remove: loops that go, and whether their series end with them.
    func update(add: [ScrapeLoop], remove: [(loop: ScrapeLoop, endsSeries: Bool)]) {
        if add.isEmpty && remove.isEmpty { return }
        let nowNs = time.monotonicNs()
        let wallMs = time.wallMs()
        state.withLock { state in
            for (loop, endsSeries) in remove {
                let missedNs = state.schedule.remove(loop.key)
                state.forget.append(loop.key)
                if endsSeries, let missedNs {
                    let delayMs = missedNs > nowNs ? Int64((missedNs - nowNs) / 1_000_000) : 0
                    state.ending[loop.key] = wallMs + delayMs
                    state.schedule.addEndOfRun(
                        loop.key, missedTickNs: missedNs, intervalNs: UInt64(loop.target.intervalMs) * 1_000_000)
                } else {
                    state.loops[loop.key] = nil
                }
            }
            for loop in add {
                let intervalNs = UInt64(max(loop.target.intervalMs, 1)) * 1_000_000
                let delay = startDelayNs(
                    hash: loop.target.identity, offsetSeed: options.offsetSeed, intervalNs: intervalNs,
                    wallNs: UInt64(max(wallMs, 0)) * 1_000_000)
                state.loops[loop.key] = loop
                state.schedule.add(loop.key, everyNs: intervalNs, firstNs: nowNs &+ delay)
            }
        }
        wake()
    }

    // MARK: FetchDriver

    func takeDue(nowNs: UInt64) -> (start: [FetchRequest], forget: [UInt64], nextNs: UInt64?) {
        quick.withLock { $0.pages.beginRound() }
        let wallMs = time.wallMs()
        var starting: [(ScrapeLoop, Started)] = []
        var ending: [(ScrapeLoop, Int64)] = []
        var intervals: [(String, Double)] = []
        var skipped: UInt64 = 0
        let (forget, nextNs, authorized) = state.withLock { state in
            for due in state.schedule.takeDue(atNs: nowNs) {
                guard let loop = state.loops[due.key] else { continue }
                switch due.kind {
                case .endOfRun:
                    state.loops[due.key] = nil
                    if let timestampMs = state.ending.removeValue(forKey: due.key) { ending.append((loop, timestampMs)) }
                case .scrape:
                    if state.underWay[due.key] != nil {
                        // A scrape ends within its timeout; what takes longer is storing it. The tick is lost.
                        skipped += 1
                        continue
                    }
                    let (timestampMs, interval) = loop.begin(wallMs: wallMs, nowNs: nowNs)
                    if let interval { intervals.append((loop.interval, interval)) }
                    let started = Started(timestampMs: timestampMs, startedNs: nowNs)
                    state.underWay[due.key] = started
                    starting.append((loop, started))
                }
            }
            defer {
                state.forget = []
                state.authorized = []
            }
            return (state.forget, state.schedule.nextNs, state.authorized)
        }
        if skipped > 0 {
            let lost = skipped
            counters.withLock { $0.skippedTicks &+= lost }
        }
        for (interval, seconds) in intervals { observer?.observeInterval(interval, seconds: seconds) }
        for (loop, timestampMs) in ending { jobs.push(.endOfRun(loop, timestampMs: timestampMs)) }
        var requests = authorized
        for (loop, started) in starting {
            var token: OAuth2Token?
            if let oauth2 = loop.config.http.oauth2, loop.forcedError == nil {
                token = authorizer.tokens.cached(oauth2)
                if token == nil {
                    authorize(loop, oauth2, started)
                    continue
                }
            }
            if let request = request(loop, token: token, started) { requests.append(request) }
        }
        return (requests, forget, nextNs)
    }

    /// The request of a scrape; nil when there can be none, which then is its outcome.
    private func request(_ loop: ScrapeLoop, token: OAuth2Token?, _ started: Started) -> FetchRequest? {
        switch loop.makeRequest(token: token) {
        case .success(let request): return request
        case .failure(let failure):
            jobs.push(.scraped(loop, .failed(failure), timestampMs: started.timestampMs, startedNs: started.startedNs))
            return nil
        }
    }

    private func authorize(_ loop: ScrapeLoop, _ oauth2: HTTPClientConfig.OAuth2, _ started: Started) {
        authorizer.authorize(oauth2, timeoutMs: loop.target.timeoutMs) { [weak self] result in
            guard let self else { return }
            switch result {
            case .success(let token):
                guard let request = request(loop, token: token, started) else { return }
                state.withLock { $0.authorized.append(request) }
                wake()
            case .failure(let error):
                let failure = FetchFailure("Get \"\(loop.target.url)\": \(error)")
                jobs.push(.scraped(loop, .failed(failure), timestampMs: started.timestampMs, startedNs: started.startedNs))
            }
        }
    }

    func finished(key: UInt64, _ outcome: FetchOutcome) {
        let found = state.withLock { state in (state.loops[key], state.underWay[key]) }
        guard let loop = found.0, let started = found.1 else {
            state.withLock { $0.underWay[key] = nil }
            if case .page(let body, _, _) = outcome { pool.giveBack(body) }
            return
        }
        if storeAtOnce(outcome, loop, started) { return }
        let job = Job.scraped(loop, outcome, timestampMs: started.timestampMs, startedNs: started.startedNs)
        if isHeavy(outcome, loop) {
            heavyUnderWay.add(1, ordering: .relaxed)
            heavyJobs.push(job)
        } else {
            jobs.push(job)
        }
    }

    /// Stores a page on this thread, the one that fetches; false when a worker is to do it.
    private func storeAtOnce(_ outcome: FetchOutcome, _ loop: ScrapeLoop, _ started: Started) -> Bool {
        // Beside a page of a million lines, whoever appends waits for the head's lock again and again.
        guard case .page(let body, _, _) = outcome, heavyUnderWay.load(ordering: .relaxed) == 0, !store.mayStall else { return false }
        let (packedBytes, expectedNs, begunNs) = (body.count, loop.quickNs, time.monotonicNs())
        return quick.withLock { quick in
            guard quick.pages.takes(packedBytes: packedBytes, expectedNs: expectedNs, nowNs: begunNs) else { return false }
            let report = quick.appender.processSmall(
                outcome, limit: QuickScrapes.maxPageBytes, loop: loop, timestampMs: started.timestampMs, startedNs: started.startedNs)
            guard let report else { return false }
            let endNs = time.monotonicNs()
            // Who had to wait for a core, or for a lock, is not heavy.
            finish(loop, report, workNs: min(endNs &- begunNs, Self.heavyWorkNs))
            // Words may go to a file.
            if report.hasProblems { jobs.push(.problems(loop, report)) }
            quick.pages.took(endNs &- begunNs, expectedNs: expectedNs, nowNs: endNs)
            return true
        }
    }

    /// Whether a page is large, or its target's last one took long.
    private func isHeavy(_ outcome: FetchOutcome, _ loop: ScrapeLoop) -> Bool {
        if loop.lastWorkNs > Self.heavyWorkNs { return true }
        guard case .page(let body, _, let coding) = outcome else { return false }
        return body.count > (coding == .identity ? Self.heavyBytes : Self.heavyPackedBytes)
    }
    /// A page of a hundred thousand lines. Time is that of a core, so that who waits for others does not join them.
    static let heavyBytes = 8 << 20
    static let heavyPackedBytes = 512 << 10
    static let heavyWorkNs: UInt64 = 50_000_000
    /// A third of the weight of the fetch thread and of the other workers.
    static let heavyNiceness: CInt = 5

    // MARK: Workers

    private func work(_ queue: BlockingQueue<Job>, isHeavy: Bool) {
        let appender = ScrapeAppender(store: store, time: time, pool: pool)
        while let job = queue.pop() {
            switch job {
            case .endOfRun(let loop, let timestampMs): appender.endOfRun(loop, timestampMs: timestampMs)
            case .problems(let loop, let report): logProblems(report, loop: loop)
            case .scraped(let loop, let outcome, let timestampMs, let startedNs):
                let begunNs = threadCPUNs()
                let report = appender.process(outcome, loop: loop, timestampMs: timestampMs, startedNs: startedNs)
                finish(loop, report, workNs: threadCPUNs() &- begunNs)
                if isHeavy { heavyUnderWay.subtract(1, ordering: .relaxed) }
                logProblems(report, loop: loop)
            }
        }
    }

    private func finish(_ loop: ScrapeLoop, _ report: ScrapeReport, workNs: UInt64) {
        loop.finished(report, workNs: workNs)
        counters.withLock { $0.add(report) }
        state.withLock { $0.underWay[loop.key] = nil }
    }

    private func logProblems(_ report: ScrapeReport, loop: ScrapeLoop) {
        let target = [(name: "scrape_pool", value: loop.config.jobName), (name: "target", value: loop.target.url)]
        if let error = report.error {
            log(.debug, "Scrape failed", target + [(name: "err", value: error)])
            let file = loop.config.scrapeFailureLogFile
            if !file.isEmpty,
                let problem = failureLog.write(
                    file, timeMs: time.wallMs(), message: error, scrapePool: loop.config.jobName, target: loop.target.url)
            {
                log(.error, "Error writing scrape failure log", [("scrape_pool", loop.config.jobName), ("err", problem)])
            }
        }
        let dropped = [
            ("Error on ingesting out-of-order samples", report.outOfOrder),
            ("Error on ingesting samples with different value but same timestamp", report.duplicates),
            ("Error on ingesting out-of-order exemplars", report.outOfOrderExemplars),
            ("Error on ingesting samples that are too old or are too far into the future", report.outOfBounds),
        ]
        for (message, count) in dropped where count > 0 {
            log(.warning, message, target + [(name: "num_dropped", value: String(count))])
        }
    }
}
