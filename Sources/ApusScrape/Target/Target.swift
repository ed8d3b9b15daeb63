import ApusBytes
import ApusConfig
import ApusModel

/// One endpoint to scrape, as relabelling left it.
struct Target: Sendable {
    /// All labels before relabelling.
    let discoveredLabels: LabelSet
    /// After relabelling, with the labels that direct the scrape (`__address__` …) and without `__meta_`.
    let labels: LabelSet
    /// What its series carry: `labels` without those that begin with `__`.
    let publicLabels: LabelSet
    let url: String
    let intervalMs: Int64
    let timeoutMs: Int64
    /// A Unix socket to scrape over, or "".
    let unixSocket: String
    let histograms: HistogramSettings
    /// Of labels and URL. Targets of one identity are one target.
    let identity: UInt64
    /// Of public labels and URL: the target is the same thing although it is scraped in another way.
    let cacheIdentity: UInt64
}

/// What relabelling made of a discovered target.
enum TargetOutcome {
    case active(Target)
    case dropped(LabelSet)
    case failed(String)
}

extension Target {
    static let addressLabel: ByteString = "__address__"
    static let instanceLabel: ByteString = "instance"
    static let jobLabel: ByteString = "job"

    /// The labels of a target before relabelling: its own, its group's, then what the configuration says.
    static func discoveredLabels(_ own: LabelSet, group: LabelSet, config: ScrapeConfig) -> LabelSet {
        var all = group.labels + own.labels  // Of one name the last wins.
        let present = LabelSet(all)
        let defaults: [(ByteString, String)] = [
            (jobLabel, config.jobName), ("__scrape_interval__", formatDuration(config.scrapeIntervalMs)),
            ("__scrape_timeout__", formatDuration(config.scrapeTimeoutMs)), ("__metrics_path__", config.metricsPath),
            ("__scheme__", config.scheme),
        ]
        for (name, value) in defaults where present[name] == nil { all.append(Label(name, ByteString(value))) }
        for (key, values) in config.params {
            let name = ByteString("__param_" + key)
            if let first = values.first, present[name] == nil { all.append(Label(name, ByteString(first))) }
        }
        return LabelSet(all)
    }

    /// Relabels a target and reads from its labels how to scrape it.
    static func make(_ own: LabelSet, group: LabelSet, config: ScrapeConfig) -> TargetOutcome {
        let discovered = discoveredLabels(own, group: group, config: config)
        guard var labels = config.relabelRules.isEmpty ? discovered : relabel(discovered, config.relabelRules) else {
            return .dropped(discovered)
        }
        guard let address = labels[addressLabel] else { return .failed("no address") }
        if address.bytes.contains(UInt8(ascii: "/")) {
            return .failed("\(goQuoted(address.description)) is not a valid hostname")
        }
        let intervalMs: Int64
        let timeoutMs: Int64
        let intervalText = labels["__scrape_interval__"]?.description ?? ""
        let timeoutText = labels["__scrape_timeout__"]?.description ?? ""
        do { intervalMs = try parseDuration(intervalText) } catch { return .failed("error parsing scrape interval: \(error)") }
        if intervalMs == 0 { return .failed("scrape interval cannot be 0") }
        do { timeoutMs = try parseDuration(timeoutText) } catch { return .failed("error parsing scrape timeout: \(error)") }
        if timeoutMs == 0 { return .failed("scrape timeout cannot be 0") }
        if timeoutMs > intervalMs {
            return .failed(
                "scrape timeout cannot be greater than scrape interval (\(goQuoted(timeoutText)) > \(goQuoted(intervalText)))")
        }
        var kept = labels.labels.filter { !$0.name.hasPrefix("__meta_") }
        if labels[instanceLabel] == nil { kept.append(Label(instanceLabel, address)) }
        labels = LabelSet(kept)
        for label in labels where !label.value.isValidUTF8 {
            return .failed("invalid label value for \(label.name.debugDescription): \(label.value.debugDescription)")
        }
        let histograms: HistogramSettings
        do throws(HistogramSettings.LabelError) { histograms = try HistogramSettings(labels, config) } catch { return .failed(error.description) }
        let publicLabels = LabelSet(labels.filter { !$0.name.hasPrefix("__") })
        let url = makeURL(labels, params: config.params)
        let urlHash = hashBytes(Array(url.utf8).span)
        return .active(
            Target(
                discoveredLabels: discovered, labels: labels, publicLabels: publicLabels, url: url, intervalMs: intervalMs,
                timeoutMs: timeoutMs, unixSocket: labels["__unix_socket__"]?.description ?? "", histograms: histograms,
                identity: labels.hash64(seed: urlHash), cacheIdentity: publicLabels.hash64(seed: urlHash)))
    }

    /// `scheme://address/path?query`. The first value of a parameter comes from its label, the others from `params`.
    static func makeURL(_ labels: LabelSet, params: [String: [String]]) -> String {
        var values = params
        for label in labels where label.name.hasPrefix("__param_") {
            let key = ByteString(label.name.bytes.dropFirst(8)).description
            var all = values[key] ?? []
            if all.isEmpty { all = [label.value.description] } else { all[0] = label.value.description }
            values[key] = all
        }
        var query = ""
        for (key, list) in values.sorted(by: { ByteString($0.key) < ByteString($1.key) }) {
            for value in list {
                query += query.isEmpty ? "?" : "&"
                query += percentEncoded(key, keeping: "-_.~", spaceAsPlus: true) + "="
                    + percentEncoded(value, keeping: "-_.~", spaceAsPlus: true)
            }
        }
        var path = labels["__metrics_path__"]?.description ?? ""
        if !path.isEmpty && !path.hasPrefix("/") { path = "/" + path }
        return (labels["__scheme__"]?.description ?? "http") + "://" + (labels[addressLabel]?.description ?? "")
            + percentEncoded(path, keeping: "-_.~$&+,/:;=@!'()*%", spaceAsPlus: false) + query
    }
}

/// A text as the forms of the web have it.
func formEncoded(_ text: String) -> String { percentEncoded(text, keeping: "-_.~", spaceAsPlus: true) }

private func percentEncoded(_ text: String, keeping: String, spaceAsPlus: Bool) -> String {
    let kept = Set(keeping.utf8)
    let digits = Array("0123456789ABCDEF".utf8)
    var result: [UInt8] = []
    for byte in text.utf8 {
        let isAlphanumeric = (byte | 0x20) &- UInt8(ascii: "a") < 26 || byte &- UInt8(ascii: "0") < 10
        if isAlphanumeric || kept.contains(byte) {
            result.append(byte)
        } else if byte == UInt8(ascii: " ") && spaceAsPlus {
            result.append(UInt8(ascii: "+"))
        } else {
            result += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        }
    }
    return String(decoding: result, as: UTF8.self)
}

/// All targets of a job, each once.
struct TargetSet {
    var active: [Target] = []
    var dropped: [LabelSet] = []
    var droppedCount = 0
    /// What was wrong with a target, and where.
    var failures: [String] = []

    /// - Parameter shard: the part of all targets that is scraped here; the others count as dropped.
    init(groups: [TargetGroup], config: ScrapeConfig, shard: Shard? = nil) {
        var identities: Set<UInt64> = []
        for group in groups {
            for (index, own) in group.targets.enumerated() {
                switch Target.make(own, group: group.labels, config: config) {
                case .active(let target):
                    if let shard, !shard.owns(target.cacheIdentity) {
                        drop(target.discoveredLabels, config)
                        continue
                    }
                    if identities.insert(target.identity).inserted { active.append(target) }
                case .dropped(let labels): drop(labels, config)
                case .failed(let reason): failures.append("instance \(index) in group \(group.source): \(reason)")
                }
            }
        }
    }

    private mutating func drop(_ labels: LabelSet, _ config: ScrapeConfig) {
        droppedCount += 1
        let limit = config.limits.keepDroppedTargets
        if limit == 0 || dropped.count < limit { dropped.append(labels) }
    }
}
