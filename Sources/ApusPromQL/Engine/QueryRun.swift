import ApusBytes
import ApusModel
import ApusStorage

/// One query from its text to its result.
struct QueryRun {
    let query: ByteString
    let steps: Steps
    let isInstant: Bool
    let storage: any Queryable
    let engine: EngineOptions
    let options: QueryOptions
    let time: any TimeSource
    /// When the query was asked for.
    let queuedNs: UInt64

    func execute() throws(QueryError) -> QueryResult {
        let clock = Stopwatch(time: time, observer: engine.observer)
        var statistics = QueryStatistics()
        statistics.queueSeconds = clock.observe(.queueTime, since: queuedNs)
        let timeoutMs = max(0, min(options.timeoutMs ?? engine.timeoutMs, engine.timeoutMs))
        let (timeoutNs, isTooLong) = UInt64(timeoutMs).multipliedReportingOverflow(by: 1_000_000)
        let (deadlineNs, isTooLate) = queuedNs.addingReportingOverflow(timeoutNs)
        let bounds = QueryGuard(
            time: time, deadlineNs: isTooLong || isTooLate ? .max : deadlineNs, cancellation: options.cancellation,
            maxSamples: engine.maxSamples, memory: engine.memory)
        if time.monotonicNs() > bounds.deadlineNs { throw .timedOutInQueue }

        var startedNs = time.monotonicNs()
        let expression: Expression
        do { expression = try parseExpression(query, options: engine.parser) } catch { throw .parse(error) }
        if !isInstant, expression.type != .scalar, expression.type != .instantVector {
            throw .parse(
                ParseError(
                    message: "invalid expression type \"\(expression.type.documentedName)\" for range query, must be Scalar or "
                        + "instant Vector", range: 0..<query.count))
        }
        guard steps.count <= engine.maxSamples else { throw .tooManySamples }
        let lookbackMs = options.lookbackDeltaMs.flatMap { $0 > 0 ? $0 : nil } ?? engine.lookbackDeltaMs
        let plan = try QueryPlan(expression, steps: steps, options: engine, lookbackMs: lookbackMs)
        var querier: (any Querier)?
        if let range = plan.timeRange {
            do { querier = try storage.querier(minTimeMs: range.lowerBound, maxTimeMs: range.upperBound) } catch {
                throw .storage(error.description)
            }
        }
        defer { querier?.close() }
        let evaluator = Evaluator(
            expression, plan: plan, options: engine, lookbackMs: lookbackMs, limit: options.limit, querier: querier,
            bounds: bounds)
        statistics.prepareSeconds = clock.observe(.prepareTime, since: startedNs)

        startedNs = time.monotonicNs()
        var value = try evaluator.result(isInstant: isInstant)
        statistics.innerEvalSeconds = clock.observe(.innerEval, since: startedNs)

        startedNs = time.monotonicNs()
        if case .matrix(var series) = value {
            series.sort { $0.labels < $1.labels }
            value = .matrix(series)
        }
        statistics.resultSortSeconds = clock.observe(.resultSort, since: startedNs)
        statistics.totalQueryableSamples = Int64(bounds.touchedSamples)
        statistics.samplesRead = Int64(bounds.readSamples)
        statistics.peakSamples = Int64(bounds.peakSamples)
        statistics.seriesSelected = Int64(evaluator.seriesSelected)
        let (warnings, infos) = evaluator.annotations.rendered()
        return QueryResult(value: value, warnings: warnings, infos: infos, statistics: statistics)
    }
}

private struct Stopwatch {
    let time: any TimeSource
    let observer: (any QueryObserver)?

    func observe(_ slice: QuerySlice, since startNs: UInt64) -> Double {
        let seconds = Double(time.monotonicNs() &- startNs) / 1e9
        observer?.observe(slice: slice, seconds: seconds)
        return seconds
    }
}

extension Evaluator {
    /// The value of the whole query.
    func result(isInstant: Bool) throws(QueryError) -> QueryValue {
        let root = expression.root
        let steps = plan.steps
        switch expression.type {
        case .string: return .string(timestampMs: steps.startMs, try text(root))
        case .scalar:
            let column = try scalar(root, steps)
            if isInstant { return .scalar(timestampMs: steps.startMs, value: column[0]) }
            try bounds.hold(steps.count)
            return .matrix([
                MatrixSeries(
                    labels: .empty, timestampsMs: (0..<steps.count).map { steps.timestampMs($0) },
                    values: (0..<steps.count).map { column[$0] })
            ])
        case .instantVector: return isInstant ? .vector(try finalVector(root)) : .matrix(try finalMatrix(root, steps))
        case .rangeVector: return .matrix(try rangeVector(root, steps))
        case .none: throw .execution("the query yields nothing")
        }
    }

    private func finalVector(_ root: NodeID) throws(QueryError) -> [VectorSample] {
        let steps = plan.steps
        var result: [VectorSample] = []
        var seen: Set<LabelSet> = []
        try vector(root, steps) { (name, row) throws(QueryError) in
            if row[0].isAbsent { return }
            let labels = name.dropsName ? name.labels.withoutReserved : name.labels
            guard seen.insert(labels).inserted else { throw .duplicateLabels }
            try bounds.hold(1)
            result.append(VectorSample(labels: labels, timestampMs: steps.startMs, value: row[0]))
        }
        return result
    }

    private func finalMatrix(_ root: NodeID, _ steps: Steps) throws(QueryError) -> [MatrixSeries] {
        var result: [MatrixSeries] = []
        var indices: [LabelSet: Int] = [:]
        try vector(root, steps) { (name, row) throws(QueryError) in
            let labels = name.dropsName ? name.labels.withoutReserved : name.labels
            let count = row.presentCount
            if count == 0 { return }
            try bounds.hold(count)
            var series = MatrixSeries(labels: labels, timestampsMs: [], values: [])
            series.timestampsMs.reserveCapacity(count)
            series.values.reserveCapacity(count)
            for step in 0..<row.count where !row[step].isAbsent {
                series.timestampsMs.append(steps.timestampMs(step))
                series.values.append(row[step])
            }
            if let index = indices[labels] {
                guard let merged = result[index].merged(with: series) else { throw .duplicateLabels }
                result[index] = merged
            } else {
                indices[labels] = result.count
                result.append(series)
            }
        }
        return result
    }

    /// The samples of a range selector or subquery as they are: an instant query may ask for them.
    private func rangeVector(_ root: NodeID, _ steps: Steps) throws(QueryError) -> [MatrixSeries] {
        var result: [MatrixSeries] = []
        var seen: Set<LabelSet> = []
        try forEachRangeSeries(root, steps, function: "") { (series) throws(QueryError) in
            let labels = series.name.dropsName ? series.name.labels.withoutReserved : series.name.labels
            var copy = MatrixSeries(labels: labels, timestampsMs: [], values: [])
            let extent = extent(ofRange: root)
            if extent != .plain {
                for point in extendedPoints(series, extent) {
                    copy.timestampsMs.append(point.timestampMs)
                    copy.values.append(point.value)
                }
                if copy.values.isEmpty { return }
            } else {
                for index in 0..<series.samples.count {
                    copy.timestampsMs.append(series.samples.timestampMs(index))
                    copy.values.append(series.samples.value(index))
                }
            }
            bounds.touch(copy.values.count)
            try bounds.hold(copy.values.count)
            guard seen.insert(labels).inserted else { throw .duplicateLabels }
            result.append(copy)
        }
        return result
    }
}

extension MatrixSeries {
    /// Both in order of time; `nil` when they share a moment.
    fileprivate func merged(with other: MatrixSeries) -> MatrixSeries? {
        var result = MatrixSeries(labels: labels, timestampsMs: [], values: [])
        var (a, b) = (0, 0)
        while a < values.count || b < other.values.count {
            let takesOwn = b == other.values.count || (a < values.count && timestampsMs[a] < other.timestampsMs[b])
            if a < values.count, b < other.values.count, timestampsMs[a] == other.timestampsMs[b] { return nil }
            result.timestampsMs.append(takesOwn ? timestampsMs[a] : other.timestampsMs[b])
            result.values.append(takesOwn ? values[a] : other.values[b])
            if takesOwn { a += 1 } else { b += 1 }
        }
        return result
    }
}
