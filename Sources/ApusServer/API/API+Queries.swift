import ApusBytes
import ApusModel
import ApusPromQL

extension API {
    /// `/status/active_queries`: the queries that wait or run, the oldest first.
    func activeQueries(_ request: ServerRequest) -> APIAnswer {
        let active = components.queries.active()
        let nowNs = components.time.monotonicNs()
        return APIAnswer { json in
            json.object { json in
                json.key("queries")
                json.array { json in
                    for entry in active { json.activeQuery(entry, nowNs: nowNs) }
                }
            }
        }
    }

    /// Queries that `top_queries` shows in each list when nobody says how many, and at most.
    private static let (defaultTop, maximumTop) = (20, 1_000)

    /// `/status/top_queries`: of the last queries that ended, those that took the most, in one list for each thing there
    /// is to take.
    func topQueries(_ request: ServerRequest) throws(APIError) -> APIAnswer {
        let top = try request.number("topN") ?? Self.defaultTop
        guard (1...Self.maximumTop).contains(top) else {
            throw .invalidParameter("topN", "must be between 1 and \(Self.maximumTop)")
        }
        let isGiven = !request.form["maxLifetime"].isEmpty
        let lifetimeMs: Int64 = isGiven ? try request.requiredDurationNs("maxLifetime") / 1_000_000 : 600_000
        let groups = components.queries.recent.groups(sinceMs: nowMs - lifetimeMs)
        return APIAnswer { json in
            json.object { json in
                json.key("topN")
                json.integer(top)
                json.key("maxLifetime")
                json.string(formatDuration(lifetimeMs))
                json.top("topByCount", groups, top) { Double($0.count) }
                json.top("topByAvgDuration", groups, top) { $0.averageSeconds }
                json.top("topBySumDuration", groups, top) { $0.sumSeconds }
                json.top("topBySamples", groups, top) { Double($0.samples) }
                json.top("topByMemory", groups, top) { Double($0.peakBytes) }
            }
        }
    }

    /// `/query/:id`: ends a query that waits or runs. Its client is told that it was canceled.
    func cancelQuery(_ request: ServerRequest, id: ByteString) throws(APIError) -> APIAnswer {
        guard options.isAdminEnabled else { throw APIError(.unavailable, "admin APIs disabled") }
        guard let number = UInt64("\(id)"), components.queries.cancel(number) else {
            throw APIError(.notFound, "no query with id \(goQuoted(id)) is running; status/active_queries lists those that are")
        }
        return .noContent
    }
}

extension JSONWriter {
    fileprivate mutating func activeQuery(_ entry: QueryRegistry.Active, nowNs: UInt64) {
        let activity = entry.activity
        object { json in
            json.key("id")
            json.string(String(entry.id))
            json.key("query")
            json.string(activity.query)
            json.key("state")
            json.string(activity.startedNs == nil ? "queued" : "running")
            json.key("start")
            json.string(formatRFC3339(ms: activity.startMs))
            json.key("end")
            json.string(formatRFC3339(ms: activity.endMs))
            json.key("stepSeconds")
            json.number(Double(activity.stepMs) / 1_000)
            json.key("durationSeconds")
            json.number(nowNs > activity.queuedNs ? Double(nowNs - activity.queuedNs) / 1e9 : 0)
            json.key("samples")
            json.integer(activity.touchedSamples)
            json.key("memoryBytes")
            json.integer(activity.heldBytes)
            json.key("peakMemoryBytes")
            json.integer(activity.peakBytes)
            switch activity.origin {
            case .request(let client, let method, let path):
                json.key("clientIP")
                json.string(client)
                json.key("method")
                json.string(method)
                json.key("path")
                json.string(path)
            case .rule(let file, let group):
                json.key("ruleFile")
                json.string(file)
                json.key("ruleGroup")
                json.string(group)
            case .unknown: break
            }
        }
    }

    fileprivate mutating func top(
        _ name: String, _ groups: [RecentQueries.Group], _ count: Int, by measure: (RecentQueries.Group) -> Double
    ) {
        key(name)
        let ranked = groups.sorted {
            let (left, right) = (measure($0), measure($1))
            return left != right ? left > right : $0.text != $1.text ? $0.text < $1.text : $0.rangeSeconds < $1.rangeSeconds
        }
        array { json in
            for group in ranked.prefix(count) {
                json.object { json in
                    json.key("query")
                    json.string(group.text)
                    json.key("timeRangeSeconds")
                    json.integer(group.rangeSeconds)
                    json.key("count")
                    json.integer(group.count)
                    json.key("failed")
                    json.integer(group.failed)
                    json.key("avgDurationSeconds")
                    json.number(group.averageSeconds)
                    json.key("sumDurationSeconds")
                    json.number(group.sumSeconds)
                    json.key("maxDurationSeconds")
                    json.number(group.maxSeconds)
                    json.key("samples")
                    json.integer(group.samples)
                    json.key("peakMemoryBytes")
                    json.integer(group.peakBytes)
                }
            }
        }
    }
}
