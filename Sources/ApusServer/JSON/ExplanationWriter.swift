import ApusPromQL

extension JSONWriter {
    /// The tree of an explanation as a list, each node before its operands: see `QueryExplanation`.
    mutating func explanation(_ explanation: QueryExplanation) {
        object { json in
            json.key("nodes")
            json.array { json in
                for node in explanation.nodes { json.node(node) }
            }
            if explanation.isTruncated {
                json.key("truncated")
                json.boolean(true)
            }
        }
    }

    private mutating func node(_ node: ExplainedNode) {
        object { json in
            json.key("depth")
            json.integer(node.depth)
            json.key("type")
            json.string(node.kind)
            json.key("operation")
            json.string(node.operation)
            json.key("valueType")
            json.string(node.type.rawValue)
            json.key("start")
            json.integer(node.range.lowerBound)
            json.key("end")
            json.integer(node.range.upperBound)
            json.key("evaluations")
            json.integer(node.evaluations)
            json.key("seriesIn")
            json.integer(node.seriesIn)
            json.key("samplesIn")
            json.integer(node.samplesIn)
            json.key("series")
            json.integer(node.series)
            json.key("samples")
            json.integer(node.samples)
            json.key("selfSeconds")
            json.number(node.selfSeconds)
            json.key("totalSeconds")
            json.number(node.totalSeconds)
            if !node.reasons.isEmpty {
                json.key("reasons")
                json.strings(node.reasons)
            }
        }
    }
}
