public import ApusConfig
public import ApusModel

/// A target as discovery found it and relabelling left it.
public struct DiscoveredTarget: Sendable, Hashable {
    public var discoveredLabels: LabelSet
    /// Empty when relabelling drops the target.
    public var labels: LabelSet
    /// What is wrong with it; nil for nothing.
    public var problem: String?
}

/// Asks each source of a job's targets once.
/// - Returns: the targets, each once, and what went wrong with sources.
public func discoverOnce(
    _ job: ScrapeConfig, options: ScrapeOptions = ScrapeOptions(), time: any TimeSource = SystemTime()
) -> (targets: [DiscoveredTarget], problems: [String]) {
    var groups = job.staticConfigs
    var problems: [String] = []
    for config in job.fileSDConfigs {
        var files = FileDiscovery(config: config)
        problems += files.refresh().map { "\($0.path): \($0.problem)" }
        groups += files.groups
    }
    for config in job.discovery.providers {
        let provider = config.makeProvider(options: options, time: time)
        do throws(DiscoveryFailure) {
            let update = try provider.refresh()
            groups += update.groups
            problems += update.problems
        } catch { problems.append(error.description) }
    }
    var seen: Set<DiscoveredTarget> = []
    var targets: [DiscoveredTarget] = []
    for group in groups {
        for own in group.targets {
            var found = DiscoveredTarget(
                discoveredLabels: Target.discoveredLabels(own, group: group.labels, config: job), labels: .empty, problem: nil)
            switch Target.make(own, group: group.labels, config: job) {
            case .active(let target): found.labels = target.labels
            case .dropped: break
            case .failed(let reason): found.problem = reason
            }
            if seen.insert(found).inserted { targets.append(found) }
        }
    }
    return (targets, problems)
}
