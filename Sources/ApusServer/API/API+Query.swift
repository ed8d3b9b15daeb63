import ApusBytes
import ApusModel
import ApusPromQL

extension API {
    /// More points than a screen has; a range query that would give more is refused before it costs anything.
    static let maximumPointsPerSeries: Int64 = 11_000

    /// Takes an answer, on the thread that computed it.
    typealias Completion = @Sendable (Result<APIAnswer, APIError>) -> Void

    /// `/query`: one expression at one moment.
    func query(_ request: ServerRequest, explains: Bool = false, _ completion: @escaping Completion) throws(APIError) {
        let limit = try request.limit()
        let timeMs = try request.time("time", default: nowMs)
        let options = try queryOptions(request, explains: explains)
        components.engine.submitInstant(request.form["query"], atMs: timeMs, on: components.storage, options: options) { result in
            completion(answer(result, limit: limit, request) { _ in timeMs })
        }
    }

    /// `/query_range`: one expression at every step from `start` to `end`, both included.
    func queryRange(_ request: ServerRequest, explains: Bool = false, _ completion: @escaping Completion) throws(APIError) {
        let limit = try request.limit()
        let startMs = try request.requiredTime("start")
        let endMs = try request.requiredTime("end")
        guard endMs >= startMs else { throw .invalidParameter("end", "end timestamp must not be before start time") }
        let stepNs = try request.requiredDurationNs("step")
        guard stepNs > 0 else {
            throw .invalidParameter(
                "step", "zero or negative query resolution step widths are not accepted. Try a positive integer")
        }
        let (spanMs, overflowed) = endMs.subtractingReportingOverflow(startMs)
        let (spanNs, overflowedToo) = spanMs.multipliedReportingOverflow(by: 1_000_000)
        guard (overflowed || overflowedToo ? .max : spanNs) / stepNs <= Self.maximumPointsPerSeries else {
            throw APIError(
                .badData,
                "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)")
        }
        let options = try queryOptions(request, explains: explains)
        let stepMs = max(1, stepNs / 1_000_000)
        components.engine.submitRange(
            request.form["query"], startMs: startMs, endMs: endMs, stepMs: stepMs, on: components.storage, options: options
        ) { result in
            completion(answer(result, limit: limit, request) { startMs &+ Int64($0) &* stepMs })
        }
    }

    /// `/format_query`: the expression as it is written well.
    func formatQuery(_ request: ServerRequest) throws(APIError) -> APIAnswer {
        let expression = try parsed(request)
        let text = expression.prettified()
        return APIAnswer { $0.string(text) }
    }

    private func parsed(_ request: ServerRequest) throws(APIError) -> Expression {
        do { return try parseExpression(request.form["query"], options: components.engine.parserOptions) } catch {
            throw .invalidParameter("query", error.message)
        }
    }

    /// `/query_explain`: what the query does, and why parts of it are empty. With `start`, `end` and `step` as a range query,
    /// else at one moment.
    func queryExplain(_ request: ServerRequest, _ completion: @escaping Completion) throws(APIError) {
        if request.form["step"].isEmpty { return try query(request, explains: true, completion) }
        try queryRange(request, explains: true, completion)
    }

    private func queryOptions(_ request: ServerRequest, explains: Bool) throws(APIError) -> QueryOptions {
        var options = QueryOptions()
        options.explains = explains
        options.countsSteps = request.form["stats"] == "all"
        options.origin = .request(
            clientAddress: request.clientAddress, method: request.method.rawValue, path: request.path)
        if !request.form["timeout"].isEmpty {
            options.timeoutMs = try request.requiredDurationNs("timeout") / 1_000_000
        }
        let lookback = request.form["lookback_delta"]
        if !lookback.isEmpty {
            do {
                let milliseconds = try parseDurationNs(lookback) / 1_000_000
                if milliseconds > 0 { options.lookbackDeltaMs = milliseconds }
            } catch {
                throw APIError(.badData, "error parsing lookback delta duration: \(error.message)")
            }
        }
        let flag = CancellationFlag()
        request.cancellation.onCancel { flag.cancel() }
        options.cancellation = flag
        return options
    }

    private func answer(
        _ outcome: Result<QueryResult, QueryError>, limit: Int, _ request: ServerRequest,
        timesMs: @escaping @Sendable (_ step: Int) -> Int64
    ) -> Result<APIAnswer, APIError> {
        let result: QueryResult
        switch outcome {
        case .success(let value): result = value
        case .failure(let error): return .failure(APIError(error))
        }
        let (value, isTruncated) = limit > 0 ? result.value.truncated(to: limit) : (result.value, false)
        let explanation = result.explanation
        // Times and samples tell half of why; they come along.
        let asked = request.form["stats"]
        let statistics = asked.isEmpty && explanation == nil ? nil : result.statistics
        let engine = components.engine
        var answer = APIAnswer { json in
            json.object { json in
                json.members(of: value, with: engine)
                if let statistics {
                    json.key("stats")
                    json.statistics(statistics, timesMs: timesMs)
                }
                if let explanation {
                    json.key("explanation")
                    json.explanation(explanation)
                }
            }
        }
        answer.estimatedBytes = min(value.estimatedBytes, 256 << 10)
        answer.warnings = result.warnings + (isTruncated ? [truncationWarning] : [])
        if !asked.isEmpty, asked != "true", asked != "all" {
            answer.warnings.append(
                "value \(goQuoted(asked)) for parameter \"stats\" is deprecated and will be rejected in the next major release, "
                    + "use \"true\" or \"all\"")
        }
        answer.infos = result.infos
        return .success(answer)
    }
}

extension APIError {
    init(_ error: QueryError) {
        switch error {
        case .parse(let error): self = .invalidParameter("query", error.message)
        case .execution(let message): self.init(.execution, message)
        case .timeout(let message): self.init(.timeout, message)
        case .canceled(let message): self.init(.canceled, message)
        case .storage(let message): self.init(.internal, message)
        }
    }
}

extension QueryValue {
    /// The first `limit` series, and whether there were more. A scalar or a string is never cut.
    fileprivate func truncated(to limit: Int) -> (QueryValue, Bool) {
        switch self {
        case .vector(let samples) where samples.count > limit: (.vector(Array(samples.prefix(limit))), true)
        case .matrix(let series) where series.count > limit: (.matrix(Array(series.prefix(limit))), true)
        default: (self, false)
        }
    }

    /// A guess at the length of the JSON, so that its buffer need not grow much and large answers are told from small.
    fileprivate var estimatedBytes: Int {
        switch self {
        case .scalar: 64
        case .string(_, let text): text.count + 64
        case .vector(let samples): samples.reduce(0) { $0 + $1.labels.encoded.count * 2 + 64 }
        case .matrix(let series): series.reduce(0) { $0 + $1.labels.encoded.count * 2 + $1.values.count * 32 + $1.histograms.count * 512 + 64 }
        }
    }
}
