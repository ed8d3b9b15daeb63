public import ApusBytes
public import ApusConfig
public import ApusModel
public import ApusStorage

/// Discovers targets and scrapes them into a store.
///
///     configuration ─┬▶ ScrapePool, one a job ─▶ ScrapeLoop, one a target ─▶ ScrapeEngine ─▶ store
///     discovery ─────┘                                                    (fetch thread, workers)
///
/// `apply` may be called at any time, before `start` too; targets that a new configuration does not change notice
/// nothing. `Manager/` holds how targets become loops and loops become scrapes, `Fetch/` the network, `Loop/` what
/// happens to a page, `Schedule/` when, `Target/` and `Discovery/` who.
public final class ScrapeManager: Sendable {
    private let options: ScrapeOptions
    private let log: ScrapeLog
    private let observer: (any ScrapeObserver)?
    let time: any TimeSource
    private let engine: ScrapeEngine
    /// Held while targets are worked out, so that two changes come one after the other.
    private let pools = Locked<[String: ScrapePool]>([:])
    /// What readers see; they never wait for a sync.
    private let published = Locked<[Published]>([])
    private let discovery = Locked<DiscoveryThread?>(nil)
    private let runner = Locked<DiscoveryRunner?>(nil)
    private let fileReadErrors = Locked<UInt64>(0)
    private let poolReloads = Locked<UInt64>(0)

    private struct Published: Sendable {
        var job: String
        var loops: [ScrapeLoop]
        var dropped: [LabelSet]
        var droppedCount: Int
        var statistics: ScrapeStatistics.PoolStatistics
    }

    public init(
        store: any SampleStore, time: any TimeSource = SystemTime(), options: ScrapeOptions = ScrapeOptions(),
        log: @escaping ScrapeLog = { _, _, _ in }, observer: (any ScrapeObserver)? = nil
    ) {
        self.options = options
        self.log = log
        self.observer = observer
        self.time = time
        engine = ScrapeEngine(store: store, time: time, options: options, log: log, observer: observer)
    }

    // MARK: Life

    /// Starts scraping what has been applied.
    /// - Throws: when the system refuses threads or descriptors.
    public func start() throws(ScrapeStartError) {
        guard engine.start() else { throw ScrapeStartError(description: "cannot start scraping: the system gives no more threads or descriptors") }
        let thread = DiscoveryThread(time: time) { [weak self] in self?.refreshDiscovery() }
        guard let thread else { throw ScrapeStartError(description: "cannot watch files: the system gives no more descriptors") }
        thread.start()
        discovery.withLock { $0 = thread }
        let runner = DiscoveryRunner(time: time, debounceMs: options.discoveryReloadIntervalMs, log: log) { [weak self] in
            self?.refreshProviders()
        }
        self.runner.withLock { $0 = runner }
        runner.use(pools.withLock { Self.providers($0) }, options: options)
        runner.start()
        watchFiles()
    }

    /// Stops and waits for all threads. Series do not end: the server may come back.
    public func stop() {
        let thread = discovery.withLock { discovery in
            defer { discovery = nil }
            return discovery
        }
        thread?.stop()
        let runner = runner.withLock { runner in
            defer { runner = nil }
            return runner
        }
        runner?.stop()
        engine.stop()
    }

    // MARK: Configuration and discovery

    /// Makes `config` what is scraped.
    public func apply(_ config: PrometheusConfig) {
        engine.reloaded(tokens: Set(config.scrapeConfigs.compactMap(\.http.oauth2)))
        let runner = runner.withLock { $0 }
        // Before the pools: what a provider knows already is theirs at once.
        runner?.use(Set(config.scrapeConfigs.flatMap(\.discovery.providers)), options: options)
        pools.withLock { pools in
            var fresh: [String: ScrapePool] = [:]
            for job in config.scrapeConfigs {
                var restart = false
                var pool: ScrapePool
                if let existing = pools.removeValue(forKey: job.jobName) {
                    pool = existing
                    restart = pool.reload(job)
                    if restart { poolReloads.withLock { $0 &+= 1 } }
                } else {
                    pool = ScrapePool(config: job)
                }
                logFileProblems(pool.refreshFiles(), job: job.jobName)
                sync(&pool, restart: restart)
                fresh[job.jobName] = pool
            }
            for gone in pools.values { engine.update(add: [], remove: gone.end().remove) }
            pools = fresh
            publish(pools)
        }
        watchFiles()
    }

    private func refreshDiscovery() {
        pools.withLock { pools in
            for name in Array(pools.keys) {
                guard var pool = pools[name], !pool.files.isEmpty else { continue }
                logFileProblems(pool.refreshFiles(), job: name)
                sync(&pool, restart: false)
                pools[name] = pool
            }
            publish(pools)
        }
    }

    /// Targets that providers found changed.
    private func refreshProviders() {
        pools.withLock { pools in
            for name in Array(pools.keys) {
                guard var pool = pools[name], !pool.config.discovery.providers.isEmpty else { continue }
                sync(&pool, restart: false)
                pools[name] = pool
            }
            publish(pools)
        }
    }

    private static func providers(_ pools: [String: ScrapePool]) -> Set<ProviderConfig> {
        pools.values.reduce(into: []) { $0.formUnion($1.config.discovery.providers) }
    }

    private func sync(_ pool: inout ScrapePool, restart: Bool) {
        let start = time.monotonicNs()
        let runner = runner.withLock { $0 }
        let discovered = pool.config.discovery.providers.flatMap { runner?.groups(of: $0) ?? [] }
        let change = pool.sync(restart: restart, discovered: discovered, options: options, makeKey: engine.makeKey)
        engine.update(add: change.add, remove: change.remove)
        observer?.observeSync(job: pool.config.jobName, seconds: Double(time.monotonicNs() &- start) / 1e9)
        for failure in change.failures {
            log(.error, "Creating target failed", [("scrape_pool", pool.config.jobName), ("err", failure)])
        }
    }

    private func publish(_ pools: [String: ScrapePool]) {
        let fresh = pools.sorted { $0.key < $1.key }.map { name, pool in
            Published(
                job: name, loops: pool.sortedLoops, dropped: pool.dropped, droppedCount: pool.droppedCount,
                statistics: pool.statistics)
        }
        published.withLock { $0 = fresh }
    }

    private func watchFiles() {
        let (directories, intervalMs) = pools.withLock { pools -> (Set<String>, Int64?) in
            let files = pools.values.flatMap(\.files)
            return (files.reduce(into: []) { $0.formUnion($1.directories) }, files.map(\.config.refreshIntervalMs).min())
        }
        discovery.withLock { $0 }?.watch(directories, intervalMs: intervalMs)
    }

    private func logFileProblems(_ problems: [(path: String, problem: String)], job: String) {
        fileReadErrors.withLock { $0 &+= UInt64(problems.count) }
        for (path, problem) in problems {
            log(.error, "Error reading file", [("scrape_pool", job), ("path", path), ("err", problem)])
        }
    }

    // MARK: Reading

    /// The loop of a target; nil when there is none.
    func loop(scrapePool: String, url: String) -> ScrapeLoop? {
        published.withLock { $0 }.first { $0.job == scrapePool }?.loops.first { $0.target.url == url }
    }

    /// The targets, by job and labels.
    public func targets() -> TargetsSnapshot {
        var snapshot = TargetsSnapshot()
        for pool in published.withLock({ $0 }) {
            for loop in pool.loops {
                let status = loop.status
                snapshot.active.append(
                    TargetStatus(
                        discoveredLabels: loop.target.discoveredLabels, labels: loop.target.publicLabels, scrapePool: pool.job,
                        scrapeUrl: loop.target.url, globalUrl: globalURL(loop.target.url), lastError: status.lastError,
                        lastScrapeMs: status.lastScrapeMs, lastScrapeDurationSeconds: status.lastScrapeDurationSeconds,
                        health: status.health, scrapeInterval: loop.target.labels["__scrape_interval__"]?.description ?? "",
                        scrapeTimeout: loop.target.labels["__scrape_timeout__"]?.description ?? ""))
            }
            for labels in pool.dropped { snapshot.dropped.append(DroppedTarget(discoveredLabels: labels, scrapePool: pool.job)) }
            snapshot.droppedCounts[pool.job] = pool.droppedCount
        }
        return snapshot
    }

    /// What targets said about their metrics, by target and name.
    /// - Parameters:
    ///   - metric: nil for all.
    ///   - isWanted: which targets, by their labels.
    public func metadata(metric: ByteString? = nil, isWanted: (LabelSet) -> Bool = { _ in true }) -> [TargetMetadata] {
        var result: [TargetMetadata] = []
        for pool in published.withLock({ $0 }) {
            for loop in pool.loops where isWanted(loop.target.publicLabels) {
                let found = loop.cache.metadata.withLock { cache -> [(name: ByteString, metadata: MetricMetadata)] in
                    guard let metric else { return cache.all }
                    return cache[metric].map { [(metric, $0)] } ?? []
                }
                for (name, metadata) in found {
                    result.append(
                        TargetMetadata(
                            targetLabels: loop.target.publicLabels, scrapePool: pool.job, metric: name, metadata: metadata))
                }
            }
        }
        return result
    }

    /// Bytes of the buffers that pages are fetched into and unpacked in, of the whole process.
    public var bufferBytes: Int { BodyBuffer.heldBytes }

    public func statistics() -> ScrapeStatistics {
        var statistics = engine.statistics
        for pool in published.withLock({ $0 }) {
            var one = pool.statistics
            for loop in pool.loops {
                loop.cache.metadata.withLock {
                    one.metadataEntries += $0.count
                    one.metadataBytes += $0.sizeBytes
                }
                let size = loop.cache.size.withLock { $0 }
                one.cachedLines += size.lines
                one.cacheBytes += size.bytes
            }
            statistics.exceededTargetLimit += one.exceededTargetLimit
            statistics.pools.append(one)
        }
        statistics.poolReloads = poolReloads.withLock { $0 }
        statistics.discovery = discoveryStatistics()
        return statistics
    }

    private func discoveryStatistics() -> ScrapeStatistics.DiscoveryStatistics {
        var all = ScrapeStatistics.DiscoveryStatistics()
        all.fileReadErrors = fileReadErrors.withLock { $0 }
        guard let runner = runner.withLock({ $0 }) else { return all }
        all.updates = runner.updateCount
        all.delayedUpdates = runner.delayCount
        for one in runner.statistics {
            all.receivedUpdates &+= one.refreshes &- one.failures
            all.dnsLookups &+= one.lookups
            all.dnsFailures &+= one.failedLookups
            all.refreshFailures[one.mechanism, default: 0] &+= one.failures
            if one.mechanism == HTTPDiscovery.mechanism { all.httpFailures &+= one.failures }
        }
        return all
    }

    private static let hostName = ApusModel.hostName().description

    private func globalURL(_ url: String) -> String {
        for local in ["://localhost:", "://127.0.0.1:", "://[::1]:", "://localhost/", "://127.0.0.1/", "://[::1]/"] {
            guard let scheme = url.firstIndex(of: ":"), url[scheme...].hasPrefix(local) else { continue }
            let rest = url[scheme...].dropFirst(local.count - 1)
            return url[..<scheme] + "://" + Self.hostName + rest
        }
        return url
    }
}

public struct ScrapeStartError: Error, Sendable, CustomStringConvertible {
    public let description: String
}
