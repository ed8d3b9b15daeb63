import ApusBytes
import ApusModel

/// The extra runs of instant queries: an answer must not depend on how it is asked for.
///
///     as a range query       from a minute before to a minute after: the points in the middle are the answer
///     pinned by `@ <time>`   the same expression, at other times
extension ScriptRunner {
    /// What is wrong with the answers to an instant query when it is asked in other ways; `nil` when nothing is.
    func checkStrictly(_ evaluation: Script.Evaluation, on storage: MemoryStorage) -> String? {
        guard evaluation.isInstant else { return nil }
        let timeMs = evaluation.rangeVector?.endMs ?? evaluation.startMs
        if let problem = checkAsRange(evaluation, atMs: timeMs, on: storage) { return "as a range query: \(problem)" }
        guard let pinned = pinned(evaluation.query, atMs: timeMs) else { return nil }
        var asked = Script.Evaluation(query: pinned, startMs: 0, endMs: 0, stepMs: 0, isInstant: true)
        asked.isOrdered = evaluation.isOrdered
        asked.failure = evaluation.failure
        asked.text = evaluation.text
        asked.scalar = evaluation.scalar
        asked.series = evaluation.series
        let times = timeMs == 0 ? [-1_000, 0, 1_000] : [-10 &* timeMs, 0, timeMs / 5, timeMs, 10 &* timeMs]
        for time in times {
            if let problem = checkValue(of: asked, atMs: time, on: storage) ?? checkAsRange(asked, atMs: time, on: storage) {
                return "as \(pinned) at \(time) ms: \(problem)"
            }
        }
        return nil
    }

    /// Without the annotations, whose places in the query move when it is printed anew.
    private func checkValue(of evaluation: Script.Evaluation, atMs timeMs: Int64, on storage: MemoryStorage) -> String? {
        do {
            let result = try engine.instant(evaluation.query, atMs: timeMs, on: storage)
            return evaluation.failure != nil ? "did not fail" : checkValue(result.value, evaluation)
        } catch {
            guard let expected = evaluation.failure else { return "failed: \(error.message)" }
            return matches(expected, error.message) ? nil : "failed otherwise than expected: \(error.message)"
        }
    }

    // MARK: As a range query

    private func checkAsRange(_ evaluation: Script.Evaluation, atMs timeMs: Int64, on storage: MemoryStorage) -> String? {
        if evaluation.text != nil || evaluation.rangeVector != nil || evaluation.failure != nil { return nil }
        let query = evaluation.query
        let text = String(decoding: query.bytes, as: UTF8.self)
        if ["start()", "end()", "range()", "step()"].contains(where: { text.contains($0) }) { return nil }
        let result: QueryResult
        do {
            result = try engine.range(query, startMs: timeMs - 60_000, endMs: timeMs + 60_000, stepMs: 60_000, on: storage)
        } catch {
            // Only what yields a scalar or an instant vector can be asked for over time.
            if let parsed = try? parseExpression(query, options: Self.parserOptions), parsed.type != .scalar, parsed.type != .instantVector {
                return nil
            }
            return "failed: \(error.message)"
        }
        guard case .matrix(let matrix) = result.value else { return "is no matrix" }
        for (left, right) in zip(matrix, matrix.dropFirst()) where !(left.labels < right.labels) {
            return "the matrix is not in order of labels"
        }
        var found: [VectorSample] = []
        for series in matrix {
            if let place = series.timestampsMs.firstIndex(of: timeMs) {
                found.append(VectorSample(labels: series.labels, timestampMs: timeMs, value: series.values[place]))
            } else if let place = series.histogramTimestampsMs.firstIndex(of: timeMs) {
                found.append(
                    VectorSample(labels: series.labels, timestampMs: timeMs, value: .nan, histogram: series.histograms[place]))
            }
        }
        var unordered = evaluation
        unordered.isOrdered = false
        if evaluation.scalar != nil {
            guard found.count == 1 else { return "is no scalar" }
            return checkValue(.scalar(timestampMs: timeMs, value: found[0].value), unordered)
        }
        return checkValue(.vector(found), unordered)
    }

    // MARK: Pinned to a time

    /// Functions that give something else at another time, whatever their operands are pinned to.
    private static let timeDependent: Set<FunctionName> = [
        .daysInMonth, .dayOfMonth, .dayOfWeek, .dayOfYear, .end, .hour, .minute, .month, .year, .predictLinear, .range, .start, .step,
        .time, .timestamp,
    ]

    /// The query with `@` on each selector and subquery that has none and is not inside a subquery; `nil` when it must not
    /// have the same answer at all times.
    private func pinned(_ query: ByteString, atMs timeMs: Int64) -> ByteString? {
        guard let expression = try? parseExpression(query, options: Self.parserOptions) else { return nil }
        var nodes = expression.nodes
        var isInSubquery = [Bool](repeating: false, count: nodes.count)
        // Parents stand behind their children.
        for index in nodes.indices.reversed() {
            var isSubquery = false
            switch nodes[index].kind {
            case .call(let call) where Self.timeDependent.contains(call.function.name): return nil
            case .vectorSelector(var selector) where !isInSubquery[index] && selector.at == nil:
                selector.at = .timestampMs(timeMs)
                nodes[index].kind = .vectorSelector(selector)
            case .subquery(var subquery):
                isSubquery = true
                if !isInSubquery[index], subquery.at == nil {
                    subquery.at = .timestampMs(timeMs)
                    nodes[index].kind = .subquery(subquery)
                }
            default: break
            }
            for child in expression.children(of: NodeID(index)) where isSubquery || isInSubquery[index] {
                isInSubquery[child.index] = true
            }
        }
        return ByteString(Expression(query: query, nodes: nodes, root: expression.root).description)
    }
}
