import ApusConfig
import ApusModel
import Glibc

/// Asks the providers, each when it is due, and keeps what they said last.
///
///     due ─▶ a thread asks (HTTP, DNS) ─▶ groups by source ─▶ `changed`, at most once every `debounceNs`
///
/// A provider that hangs holds up one of `threadCount` threads and not the others; one that fails keeps its targets.
@safe final class DiscoveryRunner: @unchecked Sendable {
    // `@unchecked`: all state is touched between lock and unlock only.
    static let threadCount = 4

    /// What is known of one provider, for metrics.
    struct Statistics: Sendable {
        var mechanism = ""
        var targets = 0
        var refreshes: UInt64 = 0
        var failures: UInt64 = 0
        var lookups: UInt64 = 0
        var failedLookups: UInt64 = 0
        var lastDurationSeconds = 0.0
        var lastUpdateMs: Int64 = 0
    }

    private struct Entry {
        let provider: any DiscoveryProvider
        var dueNs: UInt64
        var isRunning = false
        var groups: [String: TargetGroup] = [:]
        /// Sources in the order in which they came first.
        var order: [String] = []
        var statistics = Statistics()
    }

    private let time: any TimeSource
    private let log: ScrapeLog
    private let debounceNs: UInt64
    private let changed: @Sendable () -> Void
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var entries: [ProviderConfig: Entry] = [:]
    /// When `changed` is to be called.
    private var notifyNs: UInt64?
    private var lastNotifyNs: UInt64?
    private var isStopped = false
    private var threads: [PosixThread] = []
    private var updates: UInt64 = 0
    private var delays: UInt64 = 0

    /// - Parameter changed: called on one of the threads, after targets changed.
    init(time: any TimeSource, debounceMs: Int64, log: @escaping ScrapeLog, changed: @escaping @Sendable () -> Void) {
        self.time = time
        self.log = log
        self.changed = changed
        debounceNs = UInt64(max(debounceMs, 0)) &* 1_000_000
        unsafe pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        unsafe pthread_condattr_init(&attributes)
        unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        unsafe pthread_cond_init(condition, &attributes)
        unsafe pthread_condattr_destroy(&attributes)
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe pthread_mutex_destroy(mutex)
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    private func locked<R>(_ body: () -> R) -> R {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return body()
    }

    func start() {
        locked {
            for _ in 0..<Self.threadCount {
                if let thread = PosixThread(name: "discovery", { [self] in run() }) { threads.append(thread) }
            }
        }
    }

    /// Waits until no thread runs; a request under way is waited for, up to its timeout.
    func stop() {
        let threads = locked {
            isStopped = true
            unsafe pthread_cond_broadcast(condition)
            defer { self.threads = [] }
            return self.threads
        }
        for thread in threads { thread.join() }
    }

    /// Which providers there are from now on. Those that were there before go on.
    func use(_ configs: Set<ProviderConfig>, options: ScrapeOptions) {
        locked {
            for config in Array(entries.keys) where !configs.contains(config) { entries[config] = nil }
            for config in configs where entries[config] == nil {
                let provider = config.makeProvider(options: options, time: time)
                add(config, provider)
            }
            unsafe pthread_cond_broadcast(condition)
        }
    }

    /// For tests: a provider that is not made from its configuration.
    func use(_ config: ProviderConfig, provider: any DiscoveryProvider) {
        locked {
            add(config, provider)
            unsafe pthread_cond_broadcast(condition)
        }
    }

    private func add(_ config: ProviderConfig, _ provider: any DiscoveryProvider) {
        var entry = Entry(provider: provider, dueNs: time.monotonicNs())
        entry.statistics.mechanism = type(of: provider).mechanism
        entries[config] = entry
    }

    /// The groups of a provider, as last heard.
    func groups(of config: ProviderConfig) -> [TargetGroup] {
        locked {
            guard let entry = entries[config] else { return [] }
            return entry.order.compactMap { entry.groups[$0] }
        }
    }

    var statistics: [Statistics] { locked { entries.values.map(\.statistics) } }
    var updateCount: UInt64 { locked { updates } }
    /// Changes that had to wait for the next time that targets are taken over.
    var delayCount: UInt64 { locked { delays } }

    // MARK: The threads

    private enum Work {
        case refresh(ProviderConfig, any DiscoveryProvider)
        case notify
    }

    private func run() {
        while let work = next() {
            switch work {
            case .notify: changed()
            case .refresh(let config, let provider): refresh(config, provider)
            }
        }
    }

    /// Waits for work; nil once stopped.
    private func next() -> Work? {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        while !isStopped {
            let now = time.monotonicNs()
            var earliest = notifyNs
            if let due = notifyNs, due <= now {
                notifyNs = nil
                lastNotifyNs = now
                updates &+= 1
                return .notify
            }
            for (config, entry) in entries where !entry.isRunning {
                if entry.dueNs <= now {
                    entries[config]?.isRunning = true
                    return .refresh(config, entry.provider)
                }
                earliest = min(earliest ?? .max, entry.dueNs)
            }
            wait(untilNs: earliest, nowNs: now)
        }
        return nil
    }

    private func wait(untilNs: UInt64?, nowNs: UInt64) {
        guard let untilNs else {
            unsafe pthread_cond_wait(condition, mutex)
            return
        }
        var deadline = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &deadline)
        let total = UInt64(deadline.tv_nsec) &+ min(untilNs &- nowNs, 3_600_000_000_000)
        deadline.tv_sec += Int(total / 1_000_000_000)
        deadline.tv_nsec = Int(total % 1_000_000_000)
        unsafe pthread_cond_timedwait(condition, mutex, &deadline)
    }

    private func refresh(_ config: ProviderConfig, _ provider: any DiscoveryProvider) {
        let start = time.monotonicNs()
        var problems: [String] = []
        var update: DiscoveryUpdate?
        do throws(DiscoveryFailure) {
            let found = try provider.refresh()
            problems = found.problems
            update = found
        } catch { problems = [error.description] }
        let wallMs = time.wallMs()
        let end = time.monotonicNs()
        locked {
            // It may have left the configuration meanwhile.
            guard var entry = entries[config] else { return }
            entry.isRunning = false
            entry.dueNs = end &+ UInt64(max(provider.refreshIntervalMs, 1)) &* 1_000_000
            entry.statistics.refreshes &+= 1
            entry.statistics.lastDurationSeconds = Double(end &- start) / 1e9
            if let update {
                entry.statistics.lookups &+= UInt64(update.lookups)
                entry.statistics.failedLookups &+= UInt64(update.failedLookups)
                entry.statistics.lastUpdateMs = wallMs
                if Self.merge(update, into: &entry) {
                    let earliest = lastNotifyNs.map { $0 &+ debounceNs } ?? end
                    if earliest > end { delays &+= 1 }
                    notifyNs = notifyNs ?? max(end, earliest)
                }
            } else {
                entry.statistics.failures &+= 1
            }
            entries[config] = entry
            unsafe pthread_cond_broadcast(condition)
        }
        for problem in problems {
            log(.error, "Unable to refresh target groups", [("discovery", type(of: provider).mechanism), ("err", problem)])
        }
    }

    /// Returns whether anything changed.
    private static func merge(_ update: DiscoveryUpdate, into entry: inout Entry) -> Bool {
        var groups = update.isComplete ? [:] : entry.groups
        var order = update.isComplete ? [] : entry.order
        for group in update.groups {
            if groups.updateValue(group, forKey: group.source) == nil { order.append(group.source) }
        }
        let isNew = groups != entry.groups || entry.statistics.refreshes == 1
        entry.groups = groups
        entry.order = order
        entry.statistics.targets = groups.values.reduce(0) { $0 + $1.targets.count }
        return isNew
    }
}
