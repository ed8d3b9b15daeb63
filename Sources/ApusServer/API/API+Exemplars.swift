import ApusBytes
import ApusModel
import ApusPromQL
import ApusStorage

extension API {
    /// `/query_exemplars`: the exemplars of all series that any selector of an expression finds, by series.
    func queryExemplars(_ request: ServerRequest) throws(APIError) -> APIAnswer {
        let startMs = try request.time("start", default: TimeLimits.minimumMs)
        let endMs = try request.time("end", default: TimeLimits.maximumMs)
        guard endMs >= startMs else { throw APIError(.badData, "end timestamp must not be before start timestamp") }
        let expression: Expression
        do { expression = try parseExpression(request.form["query"], options: components.engine.parserOptions) } catch {
            throw APIError(.badData, error.message)
        }
        let selectors = expression.nodes.compactMap { node -> [Matcher]? in
            if case .vectorSelector(let selector) = node.kind { selector.matchers } else { nil }
        }
        if selectors.isEmpty { return .noContent }
        let found = try database().exemplars(matchers: selectors, minTimeMs: startMs, maxTimeMs: endMs)
        return APIAnswer { json in
            json.array { json in
                for (labels, exemplars) in found {
                    json.object { json in
                        json.key("seriesLabels")
                        json.labels(labels)
                        json.key("exemplars")
                        json.array { json in
                            for exemplar in exemplars { json.exemplar(exemplar) }
                        }
                    }
                }
            }
        }
    }
}

extension JSONWriter {
    fileprivate mutating func exemplar(_ exemplar: Exemplar) {
        object { json in
            json.key("labels")
            json.labels(exemplar.labels)
            json.key("value")
            json.value { bytes in
                bytes.append(UInt8(ascii: "\""))
                bytes.appendDouble(exemplar.value, style: .json)
                bytes.append(UInt8(ascii: "\""))
            }
            json.key("timestamp")
            json.timestamp(exemplar.timestampMs)
        }
    }
}
