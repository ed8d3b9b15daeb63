import ApusBytes
import ApusModel
import ApusTSDB

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

extension API {
    /// `/status/buildinfo`. Without `features`: a list of those makes Grafana take the server for Mimir.
    func buildInfo(_ request: ServerRequest) -> APIAnswer { APIAnswer { [build = options.build] in $0.buildInfo(build) } }

    /// `/status/config`.
    func configuration(_ request: ServerRequest) -> APIAnswer {
        let yaml = components.configuration.snapshot.yaml
        return APIAnswer { json in
            json.object { json in
                json.key("yaml")
                json.string(yaml)
            }
        }
    }

    /// `/status/flags`.
    func flags(_ request: ServerRequest) -> APIAnswer {
        APIAnswer { [flags = options.flags] json in
            json.object { json in
                for (name, value) in flags.sorted(by: { $0.key < $1.key }) {
                    json.key(name)
                    json.string(value)
                }
            }
        }
    }

    /// `/status/runtimeinfo`. What upstream says of Go's runtime is said of ours where it has the like.
    func runtimeInfo(_ request: ServerRequest) -> APIAnswer {
        let configuration = components.configuration.snapshot
        let (started, now) = (components.lifecycle.startedMs, nowMs)
        let database = components.storage.database
        let retention = database.map { retentionText($0.settings) } ?? ""
        let corruptions = database.map { $0.statistics().wal?.corruptions ?? 0 } ?? 0
        return APIAnswer { json in
            json.object { json in
                json.key("startTime")
                json.string(formatRFC3339(ms: started))
                json.key("CWD")
                json.string(currentDirectory())
                json.key("hostname")
                json.string(hostName())
                json.key("serverTime")
                json.string(formatRFC3339(ms: now))
                json.key("reloadConfigSuccess")
                json.boolean(configuration.lastReloadSucceeded)
                json.key("lastConfigTime")
                json.string(formatRFC3339(ms: configuration.lastSuccessMs / 1000 * 1000))
                json.key("corruptionCount")
                json.integer(corruptions)
                json.key("goroutineCount")
                json.integer(threadCount())
                json.key("GOMAXPROCS")
                json.integer(sysconf(Int32(_SC_NPROCESSORS_ONLN)))
                json.key("GOMEMLIMIT")
                json.integer(Int64.max)
                json.key("GOGC")
                json.string("")
                json.key("GODEBUG")
                json.string("")
                json.key("storageRetention")
                json.string(retention)
            }
        }
    }

    /// `/status/walreplay`: how far the start is. The segments there are, and how many were read.
    func walReplay(_ request: ServerRequest) -> APIAnswer {
        let storage = components.storage
        let progress = storage.replayProgress
        let state = storage.isOpen ? "done" : progress == nil ? "waiting" : "in progress"
        return APIAnswer { json in
            json.object { json in
                json.key("min")
                json.integer(progress?.firstSegment ?? 0)
                json.key("max")
                json.integer(progress?.lastSegment ?? 0)
                json.key("current")
                json.integer(progress?.currentSegment ?? 0)
                json.key("state")
                json.string(state)
            }
        }
    }

    /// `/status/tsdb/blocks`: what the `meta.json` of each block says.
    func tsdbBlocks(_ request: ServerRequest) throws(APIError) -> APIAnswer {
        let metas = try database().blockMetas
        return APIAnswer { json in
            json.object { json in
                json.key("blocks")
                json.array { json in
                    for meta in metas { json.value { $0 += meta.json } }
                }
            }
        }
    }

    /// `/notifications`: what the one who runs the server should know, which is that a reload failed.
    func notifications(_ request: ServerRequest) -> APIAnswer {
        let sinceMs = components.configuration.snapshot.failedSinceMs
        return APIAnswer { json in
            json.array { json in
                guard sinceMs != 0 else { return }
                json.object { json in
                    json.key("text")
                    json.string("Configuration reload has failed.")
                    json.key("date")
                    json.string(formatRFC3339(ms: sinceMs))
                    json.key("active")
                    json.boolean(true)
                }
            }
        }
    }

    /// `/status/tsdb`: how many series there are, and which names and values have the most.
    func tsdbStatus(_ request: ServerRequest) throws(APIError) -> APIAnswer {
        let text = request.form["limit"]
        var limit = 10
        if !text.isEmpty {
            guard let number = try? parseInteger(text), number >= 1 else {
                throw APIError(.badData, "limit must be a positive number")
            }
            guard number <= 10_000 else { throw APIError(.badData, "limit must not exceed 10000") }
            limit = number
        }
        let part = try database().head
        let (head, cardinality) = (part.statistics(), part.cardinality(limit: limit))
        return APIAnswer { json in
            json.object { json in
                json.key("headStats")
                json.object { json in
                    json.key("numSeries")
                    json.integer(head.numSeries)
                    json.key("numLabelPairs")
                    json.integer(head.numLabelPairs)
                    json.key("chunkCount")
                    json.integer(head.numChunks)
                    json.key("minTime")
                    json.integer(head.minTimeMs)
                    json.key("maxTime")
                    json.integer(head.maxTimeMs)
                }
                json.key("seriesCountByMetricName")
                json.counts(cardinality.seriesCountByMetricName)
                json.key("labelValueCountByLabelName")
                json.counts(cardinality.labelValueCountByLabelName)
                json.key("memoryInBytesByLabelName")
                json.counts(cardinality.memoryInBytesByLabelName)
                json.key("seriesCountByLabelValuePair")
                json.counts(cardinality.seriesCountByLabelValuePair)
            }
        }
    }
}

/// As upstream's page shows what holds: `15d or 10GiB`.
func retentionText(_ settings: DatabaseSettings) -> String {
    var parts: [String] = []
    if settings.retentionMs > 0 { parts.append(formatDuration(settings.retentionMs)) }
    if settings.retentionPercentage > 0 {
        parts.append("\(settings.retentionPercentage)%")
    } else if settings.retentionBytes > 0 {
        parts.append(formatBytes(Int(settings.retentionBytes)))
    }
    return parts.joined(separator: " or ")
}

extension JSONWriter {
    fileprivate mutating func counts(_ entries: [CardinalityStatistics.Entry]) {
        array { json in
            for entry in entries {
                json.object { json in
                    json.key("name")
                    json.string(entry.name)
                    json.key("value")
                    json.integer(entry.count)
                }
            }
        }
    }

    mutating func buildInfo(_ build: BuildInfo) {
        object { json in
            for (name, value) in [
                ("version", build.version), ("revision", build.revision), ("branch", build.branch),
                ("buildUser", build.buildUser), ("buildDate", build.buildDate), ("goVersion", build.languageVersion),
            ] {
                json.key(name)
                json.string(value)
            }
        }
    }
}

private func currentDirectory() -> ByteString {
    unsafe withTerminatedBytes { buffer in
        guard let start = buffer.baseAddress else { return false }
        return unsafe getcwd(start, buffer.count) != nil
    }
}

/// What a C function that fills a buffer left in it, up to the zero; empty when it failed.
private func withTerminatedBytes(_ fill: (UnsafeMutableBufferPointer<CChar>) -> Bool) -> ByteString {
    var buffer = [CChar](repeating: 0, count: 4096)
    // SAFETY: the buffer outlives the call, which writes no more than its count.
    guard unsafe buffer.withUnsafeMutableBufferPointer({ unsafe fill($0) }) else { return ByteString() }
    return ByteString(buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) })
}

/// The threads of this process, from `/proc/self/stat`; 0 where there is none.
private func threadCount() -> Int {
    guard let file = unsafe fopen("/proc/self/stat", "r") else { return 0 }
    defer { unsafe fclose(file) }
    var buffer = [UInt8](repeating: 0, count: 1024)
    // SAFETY: fread writes at most `count` bytes into the buffer.
    let length = unsafe buffer.withUnsafeMutableBytes { unsafe fread($0.baseAddress, 1, $0.count, file) }
    // The command may hold blanks and brackets; the fields after the last bracket are state, parent, …; threads are the 18th.
    guard let bracket = buffer[..<length].lastIndex(of: UInt8(ascii: ")")) else { return 0 }
    let fields = buffer[(bracket + 1)..<length].split(separator: UInt8(ascii: " "))
    return fields.count > 17 ? Int(String(decoding: fields[17], as: UTF8.self)) ?? 0 : 0
}
