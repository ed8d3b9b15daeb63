import ApusBytes
import ApusModel
import ApusScrape
import ApusStorage

extension API {
    /// `/targets`: what is scraped, how it went, and what relabelling dropped.
    func targets(_ request: ServerRequest) -> APIAnswer {
        let state = request.form["state"].description.lowercased()
        let pool = request.form["scrapePool"]
        let showsActive = ["", "any", "active"].contains(state)
        let showsDropped = ["", "any", "dropped"].contains(state)
        let snapshot = components.scrape.targets()
        func isWanted(_ name: String) -> Bool { pool.isEmpty || pool == ByteString(name) }
        let active = showsActive ? snapshot.active.filter { isWanted($0.scrapePool) } : []
        let dropped = showsDropped ? snapshot.dropped.filter { isWanted($0.scrapePool) } : []
        // Of all pools, whichever was asked for.
        let counts = showsDropped ? snapshot.droppedCounts.sorted { $0.key < $1.key } : nil
        var answer = APIAnswer { json in
            json.object { json in
                json.key("activeTargets")
                json.array { json in
                    for target in active { json.activeTarget(target) }
                }
                json.key("droppedTargets")
                json.array { json in
                    for target in dropped {
                        json.object { json in
                            json.key("discoveredLabels")
                            json.labels(target.discoveredLabels)
                            json.key("scrapePool")
                            json.string(target.scrapePool)
                        }
                    }
                }
                json.key("droppedTargetCounts")
                guard let counts else { return json.null() }
                json.object { json in
                    for (name, count) in counts {
                        json.key(name)
                        json.integer(count)
                    }
                }
            }
        }
        answer.estimatedBytes = active.count * 1024 + dropped.count * 512
        return answer
    }

    /// `/scrape_pools`: the names of the jobs.
    func scrapePools(_ request: ServerRequest) -> APIAnswer {
        let pools = components.configuration.snapshot.configuration.scrapeConfigs.map(\.jobName).sorted()
        return APIAnswer { json in
            json.object { json in
                json.key("scrapePools")
                json.strings(pools)
            }
        }
    }

    /// `/metadata`: for each metric, what the targets say of it, each different statement once.
    func metadata(_ request: ServerRequest) throws(APIError) -> APIAnswer {
        let limit = try request.number("limit") ?? -1
        let limitPerMetric = try request.number("limit_per_metric") ?? -1
        let metric = request.form["metric"]
        var byName: [ByteString: [MetricMetadata]] = [:]
        for entry in components.scrape.metadata(metric: metric.isEmpty ? nil : metric) {
            let known = byName[entry.metric, default: []]
            if !known.contains(entry.metadata), limitPerMetric <= 0 || known.count < limitPerMetric {
                byName[entry.metric] = known + [entry.metadata]
            }
        }
        let sorted = byName.sorted { $0.key < $1.key }
        let shown = limit >= 0 ? Array(sorted.prefix(limit)) : sorted
        var answer = APIAnswer { json in
            json.object { json in
                for (name, statements) in shown {
                    json.key(name.bytes.span)
                    json.array { json in
                        for statement in statements {
                            json.object { json in
                                json.key("type")
                                json.string(statement.type.rawValue)
                                json.key("unit")
                                json.string(statement.unit)
                                json.key("help")
                                json.string(statement.help)
                            }
                        }
                    }
                }
            }
        }
        answer.estimatedBytes = shown.count * 160
        return answer
    }

    /// `/targets/metadata`: what each target says of a metric, or of all.
    func targetMetadata(_ request: ServerRequest) throws(APIError) -> APIAnswer {
        let limit = try request.number("limit") ?? -1
        let metric = request.form["metric"]
        let selector = request.form["match_target"]
        var matchers = [Matcher]()
        if !selector.isEmpty {
            do { matchers = try parseMatchers(selector) } catch { throw .invalidParameter("match_target", error.message) }
        }
        let entries = components.scrape.metadata(metric: metric.isEmpty ? nil : metric) { $0.matches(matchers) }
        let shown = limit >= 0 ? Array(entries.prefix(limit)) : entries
        var answer = APIAnswer { json in
            json.array { json in
                for entry in shown {
                    json.object { json in
                        json.key("target")
                        json.labels(entry.targetLabels)
                        if metric.isEmpty {
                            json.key("metric")
                            json.string(entry.metric)
                        }
                        json.key("type")
                        json.string(entry.metadata.type.rawValue)
                        json.key("help")
                        json.string(entry.metadata.help)
                        json.key("unit")
                        json.string(entry.metadata.unit)
                    }
                }
            }
        }
        answer.estimatedBytes = shown.count * 256
        return answer
    }
}

extension LabelSet {
    fileprivate func matches(_ matchers: [Matcher]) -> Bool {
        matchers.allSatisfy { matcher in
            let value = self[matcher.name] ?? ByteString()
            return matcher.matches(value.bytes.span)
        }
    }
}

extension JSONWriter {
    fileprivate mutating func activeTarget(_ target: TargetStatus) {
        object { json in
            json.key("discoveredLabels")
            json.labels(target.discoveredLabels)
            json.key("labels")
            json.labels(target.labels)
            json.key("scrapePool")
            json.string(target.scrapePool)
            json.key("scrapeUrl")
            json.string(target.scrapeUrl)
            json.key("globalUrl")
            json.string(target.globalUrl)
            json.key("lastError")
            json.string(target.lastError)
            json.key("lastScrape")
            // Go's zero time stands for "never".
            json.string(target.lastScrapeMs == 0 ? "0001-01-01T00:00:00Z" : formatRFC3339(ms: target.lastScrapeMs))
            json.key("lastScrapeDuration")
            json.number(target.lastScrapeDurationSeconds)
            json.key("health")
            json.string(target.health.rawValue)
            json.key("scrapeInterval")
            json.string(target.scrapeInterval)
            json.key("scrapeTimeout")
            json.string(target.scrapeTimeout)
        }
    }
}
