extension Expression {
    /// The operands of a node, in the order of evaluation; an aggregation's operand comes before its parameter.
    public func children(of id: NodeID) -> [NodeID] {
        switch self[id].kind {
        case .number, .string, .vectorSelector: []
        case .matrixSelector(let matrix): [matrix.selector]
        case .subquery(let subquery): [subquery.expression]
        case .call(let call): call.arguments
        case .aggregate(let aggregation): [aggregation.operand] + (aggregation.parameter.map { [$0] } ?? [])
        case .binary(let binary): [binary.left, binary.right]
        case .unary(_, let operand), .paren(let operand): [operand]
        }
    }

    /// The same without an array: for walks over a whole query, which may have a million nodes.
    @inline(__always) func forEachChild(of id: NodeID, _ body: (NodeID) -> Void) {
        switch nodes[id.index].kind {
        case .number, .string, .vectorSelector: break
        case .binary(let binary):
            body(binary.left)
            body(binary.right)
        case .unary(_, let operand), .paren(let operand): body(operand)
        default: children(of: id).forEach(body)
        }
    }

    /// The node inside all parentheses around `id`.
    public func unwrapped(_ id: NodeID) -> NodeID {
        var id = id
        while case .paren(let inner) = self[id].kind { id = inner }
        return id
    }

    /// How many nodes lie on the longest way from the root down. May be as large as the query is long; who recurses
    /// over the tree asks this first.
    public var height: Int {
        var heights = [Int](repeating: 1, count: nodes.count)
        for index in nodes.indices {
            for child in children(of: NodeID(index)) { heights[index] = max(heights[index], heights[child.index] + 1) }
        }
        return heights[root.index]
    }

    /// The text that a node was parsed from.
    public func text(of id: NodeID) -> String {
        String(decoding: query.bytes[self[id].range.clamped(to: 0..<query.count)], as: UTF8.self)
    }
}
