import ApusBytes
import ApusModel
import ApusStorage

extension API {
    /// `/labels`: the names in use.
    func labels(_ request: ServerRequest) throws(APIError) -> APIAnswer {
        let limit = try request.limit()
        let startMs = try request.time("start", default: TimeLimits.minimumMs)
        let endMs = try request.time("end", default: TimeLimits.maximumMs)
        let sets = try request.matcherSets()
        let names = try withQuerier(minTimeMs: startMs, maxTimeMs: endMs) { (querier) throws(StorageError) in
            try union(sets) { (matchers) throws(StorageError) in try querier.labelNames(matchers, limit: limit) }
        }
        return answer(names, limit: limit)
    }

    /// `/label/<name>/values`: the values of one label.
    func labelValues(_ request: ServerRequest, name: ByteString) throws(APIError) -> APIAnswer {
        let name = unescapedLabelName(name)
        guard !name.isEmpty, name.isValidUTF8 else { throw APIError(.badData, "invalid label name: \(goQuoted(name))") }
        let limit = try request.limit()
        let startMs = try request.time("start", default: TimeLimits.minimumMs)
        let endMs = try request.time("end", default: TimeLimits.maximumMs)
        let sets = try request.matcherSets()
        let values = try withQuerier(minTimeMs: startMs, maxTimeMs: endMs) { (querier) throws(StorageError) in
            try union(sets) { (matchers) throws(StorageError) in try querier.labelValues(name, matchers, limit: limit) }
        }
        return answer(values, limit: limit)
    }

    /// `/series`: the label sets that any of the selectors finds.
    func series(_ request: ServerRequest) throws(APIError) -> APIAnswer {
        if let problem = request.form.problem { throw APIError(.badData, "error parsing form values: \(problem)") }
        guard !request.form.all("match[]").isEmpty else { throw APIError(.badData, "no match[] parameter provided") }
        let limit = try request.limit()
        let startMs = try request.time("start", default: TimeLimits.minimumMs)
        let endMs = try request.time("end", default: TimeLimits.maximumMs)
        let sets: [[Matcher]]
        do { sets = try request.matcherSets() } catch { throw .invalidParameter("match[]", error.message) }
        var hints = SelectHints(startMs: startMs, endMs: endMs)
        hints.function = "series"
        hints.limit = limit == 0 ? 0 : limit + 1
        let found = try withQuerier(minTimeMs: startMs, maxTimeMs: endMs) { (querier) throws(StorageError) in
            var found: [LabelSet] = []
            for matchers in sets {
                let set = try querier.select(matchers, hints: hints, sorted: sets.count > 1)
                found.reserveCapacity(found.count + set.count)
                for index in 0..<set.count { found.append(set.labels(at: index)) }
            }
            return found
        }
        var all = sets.count > 1 ? sortedUnique(found) : found
        let isTruncated = limit > 0 && all.count > limit
        if isTruncated { all.removeSubrange(limit...) }
        let series = all
        var answer = APIAnswer { json in
            json.array { json in
                for labels in series { json.labels(labels) }
            }
        }
        answer.estimatedBytes = series.reduce(0) { $0 + $1.encoded.count * 2 + 8 }
        if isTruncated { answer.warnings = [truncationWarning] }
        return answer
    }

    /// What all of the matcher sets find together, sorted; without any set, what no matcher at all finds.
    private func union(
        _ sets: [[Matcher]], _ find: ([Matcher]) throws(StorageError) -> [ByteString]
    ) throws(StorageError) -> [ByteString] {
        guard sets.count > 1 else { return try find(sets.first ?? []) }
        var found: [ByteString] = []
        for matchers in sets { found += try find(matchers) }
        return sortedUnique(found)
    }

    private func answer(_ texts: [ByteString], limit: Int) -> APIAnswer {
        let isTruncated = limit > 0 && texts.count > limit
        let shown = isTruncated ? Array(texts.prefix(limit)) : texts
        var answer = APIAnswer { json in
            json.array { json in
                for text in shown { json.string(text) }
            }
        }
        answer.estimatedBytes = shown.reduce(0) { $0 + $1.count + 3 }
        if isTruncated { answer.warnings = [truncationWarning] }
        return answer
    }
}

private func sortedUnique<T: Comparable>(_ items: [T]) -> [T] {
    var result: [T] = []
    result.reserveCapacity(items.count)
    for item in items.sorted() where result.last != item { result.append(item) }
    return result
}
