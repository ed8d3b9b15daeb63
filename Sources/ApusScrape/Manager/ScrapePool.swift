import ApusConfig
import ApusModel

/// The targets of one job and the loops that scrape them. A value: `sync` says what to start and stop.
struct ScrapePool {
    private(set) var config: ScrapeConfig
    private(set) var files: [FileDiscovery]
    /// By identity of their targets.
    private(set) var loops: [UInt64: ScrapeLoop] = [:]
    private(set) var dropped: [LabelSet] = []
    private(set) var droppedCount = 0
    private(set) var statistics = ScrapeStatistics.PoolStatistics()

    struct Change {
        var add: [ScrapeLoop] = []
        var remove: [(loop: ScrapeLoop, endsSeries: Bool)] = []
        /// What was wrong with targets.
        var failures: [String] = []
    }

    init(config: ScrapeConfig) {
        self.config = config
        files = config.fileSDConfigs.map(FileDiscovery.init)
        statistics.job = config.jobName
        statistics.targetLimit = config.limits.targets
    }

    /// Reads discovery files again.
    mutating func refreshFiles() -> [(path: String, problem: String)] {
        var problems: [(path: String, problem: String)] = []
        for index in files.indices { problems += files[index].refresh() }
        return problems
    }

    /// Takes a new configuration. What it says the same as before goes on; the loops of what it changes start anew, with
    /// the caches of the old where labels are made the same way. Call `sync` next.
    mutating func reload(_ fresh: ScrapeConfig) -> Bool {
        guard fresh != config else { return false }
        if fresh.fileSDConfigs != config.fileSDConfigs { files = fresh.fileSDConfigs.map(FileDiscovery.init) }
        config = fresh
        statistics.targetLimit = fresh.limits.targets
        return true
    }

    /// Compares the discovered targets with the running loops.
    /// - Parameter restart: whether loops of targets that are still there must start anew too.
    /// - Parameter discovered: what the providers of the job know.
    mutating func sync(restart: Bool, discovered: [TargetGroup], options: ScrapeOptions, makeKey: () -> UInt64) -> Change {
        let groups = config.staticConfigs + files.flatMap(\.groups) + discovered
        let targets = TargetSet(groups: groups, config: config, shard: options.shard)
        statistics.discovered = groups.reduce(0) { $0 + $1.targets.count }
        var change = Change()
        change.failures = targets.failures
        var old = loops
        var oldByCache: [UInt64: ScrapeLoop] = [:]
        for loop in old.values { oldByCache[loop.target.cacheIdentity] = loop }
        var succeeded: Set<UInt64> = []
        loops = [:]
        for target in targets.active {
            if !restart, let running = old.removeValue(forKey: target.identity) {
                loops[target.identity] = running
                continue
            }
            var cache: TargetCache?
            if let before = oldByCache[target.cacheIdentity], restart,
                before.rules == SampleRules(target: target.publicLabels, config: config)
            {
                cache = before.cache
            }
            if restart, let before = oldByCache[target.cacheIdentity] { succeeded.insert(before.key) }
            let loop = ScrapeLoop(key: makeKey(), target: target, config: config, cache: cache, options: options)
            loops[target.identity] = loop
            change.add.append(loop)
        }
        // A loop that another follows leaves its series to it.
        change.remove = old.values.map { ($0, endsSeries: !succeeded.contains($0.key)) }
        dropped = targets.dropped
        droppedCount = targets.droppedCount
        statistics.syncs += 1
        if !targets.failures.isEmpty { statistics.syncsFailed += 1 }
        statistics.targets = loops.count
        applyTargetLimit()
        return change
    }

    private mutating func applyTargetLimit() {
        let limit = config.limits.targets
        var error: String?
        if limit > 0 && loops.count > limit {
            error = "target_limit exceeded (number of targets: \(loops.count), limit: \(limit))"
            statistics.exceededTargetLimit += 1
        }
        for loop in loops.values { loop.forcedError = error }
    }

    /// All its loops go, and their series end.
    func end() -> Change {
        var change = Change()
        change.remove = loops.values.map { ($0, endsSeries: true) }
        return change
    }

    /// Loops in the order of their targets' labels.
    var sortedLoops: [ScrapeLoop] {
        loops.values.sorted { ($0.target.publicLabels, $0.target.url) < ($1.target.publicLabels, $1.target.url) }
    }
}
