import ApusBytes

/// What stands between a binary operator and its right operand.
struct BinaryModifiers {
    var returnsBool = false
    var matching = VectorMatching()
    var hasFill: Bool { matching.fillLeft != nil || matching.fillRight != nil }
}

extension Parser {
    /// `bool`, then `on` or `ignoring`, then `group_left` or `group_right`, then fills; each may be absent.
    mutating func parseBinaryModifiers() throws(ParseError) -> BinaryModifiers {
        var modifiers = BinaryModifiers()
        modifiers.returnsBool = try accept(.keyword(.bool))
        let isOn = current.kind == .keyword(.on)
        if isOn || current.kind == .keyword(.ignoring) {
            try advance()
            modifiers.matching.isOn = isOn
            modifiers.matching.labels = try parseGroupingLabels()
            if current.kind == .keyword(.groupLeft) || current.kind == .keyword(.groupRight) {
                modifiers.matching.cardinality = current.kind == .keyword(.groupLeft) ? .manyToOne : .oneToMany
                try advance()
                switch current.kind {
                case .leftParen: modifiers.matching.include = try parseGroupingLabels()
                case .keyword(.fill), .keyword(.fillLeft), .keyword(.fillRight): break
                default:
                    if !startsExpression { throw unexpected(in: "grouping opts", expected: "\"(\"") }
                }
            }
        }
        if try accept(.keyword(.fill)) {
            let value = try parseFillValue()
            (modifiers.matching.fillLeft, modifiers.matching.fillRight) = (value, value)
        } else if try accept(.keyword(.fillLeft)) {
            modifiers.matching.fillLeft = try parseFillValue()
            if try accept(.keyword(.fillRight)) { modifiers.matching.fillRight = try parseFillValue() }
        } else if try accept(.keyword(.fillRight)) {
            modifiers.matching.fillRight = try parseFillValue()
            if try accept(.keyword(.fillLeft)) { modifiers.matching.fillLeft = try parseFillValue() }
        }
        return modifiers
    }

    /// `(number)`, with a sign or without.
    private mutating func parseFillValue() throws(ParseError) -> Double {
        try expect(.leftParen)
        var isNegative = false
        if case .binary(let op) = current.kind, op == .add || op == .subtract {
            isNegative = op == .subtract
            try advance()
        }
        guard current.kind == .number || current.kind == .duration else { throw unexpected() }
        let value = try parseNumber().value
        try expect(.rightParen)
        return isNegative ? -value : value
    }

    // MARK: Behind a selector

    /// Where a node keeps what modifiers say.
    private enum Place {
        case selector(Int, VectorSelector)
        case subquery(Int, Subquery)
    }

    /// - Returns: the vector selector or subquery that a modifier behind `operand` goes to; `nil` for other expressions.
    private func place(_ operand: NodeID) -> Place? {
        switch nodes[operand.index].kind {
        case .vectorSelector(let selector): return .selector(operand.index, selector)
        case .matrixSelector(let matrix):
            guard case .vectorSelector(let selector) = nodes[matrix.selector.index].kind else { return nil }
            return .selector(matrix.selector.index, selector)
        case .subquery(let subquery): return .subquery(operand.index, subquery)
        default: return nil
        }
    }

    private mutating func store(_ place: Place, for operand: NodeID) {
        switch place {
        case .selector(let index, let selector): nodes[index].kind = .vectorSelector(selector)
        case .subquery(let index, let subquery): nodes[index].kind = .subquery(subquery)
        }
        let start = nodes[operand.index].range.lowerBound
        nodes[operand.index].range = start..<max(start, previousEnd)
    }

    /// `offset …`
    mutating func parseOffset(_ operand: NodeID) throws(ParseError) {
        try advance()
        let offset = try parseOffsetDuration()
        let range = nodes[operand.index].range
        func checkUnset(_ old: DurationValue) throws(ParseError) {
            if old != .milliseconds(0) { throw lines.error("offset may not be set multiple times", range) }
        }
        switch place(operand) {
        case .selector(let index, var selector):
            try checkUnset(selector.offset)
            selector.offset = offset
            store(.selector(index, selector), for: operand)
        case .subquery(let index, var subquery):
            try checkUnset(subquery.offset)
            subquery.offset = offset
            store(.subquery(index, subquery), for: operand)
        case nil:
            throw lines.error(
                "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery", range)
        }
    }

    /// `@ number`, `@ start()`, `@ end()`
    mutating func parseAt(_ operand: NodeID) throws(ParseError) {
        try advance()
        let range = nodes[operand.index].range
        let modifier: AtModifier
        switch current.kind {
        case .preprocessor(.start), .preprocessor(.end):
            modifier = current.kind == .preprocessor(.start) ? .start : .end
            try advance()
            guard current.kind == .leftParen else { throw unexpected(in: "@", expected: "timestamp") }
            try advance()
            guard current.kind == .rightParen else { throw unexpected(in: "@", expected: "timestamp") }
            try advance()
        case .number, .duration, .binary(.add), .binary(.subtract):
            let isNegative = current.kind == .binary(.subtract)
            if isNegative || current.kind == .binary(.add) { try advance() }
            guard current.kind == .number || current.kind == .duration else {
                throw unexpected(in: "@", expected: "timestamp")
            }
            let seconds = try parseNumber().value * (isNegative ? -1 : 1)
            // The bound is that of the milliseconds, so that no number of seconds overflows them.
            guard let milliseconds = Int64(exactly: (seconds * 1_000).rounded(.toNearestOrAwayFromZero)) else {
                throw lines.error("timestamp out of bounds for @ modifier: \(NumberText.exact(seconds))", range)
            }
            modifier = .timestampMs(milliseconds)
        default: throw unexpected(in: "@", expected: "timestamp")
        }
        func checkUnset(_ old: AtModifier?) throws(ParseError) {
            if old != nil { throw lines.error("@ <timestamp> may not be set multiple times", range) }
        }
        switch place(operand) {
        case .selector(let index, var selector):
            try checkUnset(selector.at)
            selector.at = modifier
            store(.selector(index, selector), for: operand)
        case .subquery(let index, var subquery):
            try checkUnset(subquery.at)
            subquery.at = modifier
            store(.subquery(index, subquery), for: operand)
        case nil:
            throw lines.error(
                "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery", range)
        }
    }

    /// `anchored` or `smoothed`
    mutating func parseExtent(_ extent: RangeExtent, _ operand: NodeID) throws(ParseError) {
        try advance()
        let range = nodes[operand.index].range
        guard options.enableExtendedRangeSelectors else {
            throw lines.error("\(extent.rawValue) modifier is experimental and not enabled", range)
        }
        switch place(operand) {
        case .selector(let index, var selector):
            if selector.extent != .plain, selector.extent != extent {
                throw lines.error("anchored and smoothed modifiers cannot be used together", range)
            }
            selector.extent = extent
            store(.selector(index, selector), for: operand)
        case .subquery: throw lines.error("\(extent.rawValue) modifier is not supported for subqueries", range)
        case nil: throw lines.error("\(extent.rawValue) modifier not implemented", range)
        }
    }

    /// `[range]` or `[range:step]`
    mutating func parseBrackets(_ operand: NodeID) throws(ParseError) -> NodeID {
        let open = current.range.lowerBound
        let start = nodes[operand.index].range.lowerBound
        try advance()
        let range = try parsePositiveDuration(.range)
        if try accept(.colon) {
            var step: DurationValue?
            if current.kind != .rightBracket {
                step = try parsePositiveDuration(.step)
                guard current.kind == .rightBracket else { throw unexpected(in: "subquery selector", expected: "\"]\"") }
            }
            try advance()
            let subquery = Subquery(expression: operand, range: range, step: step)
            return add(.subquery(subquery), .rangeVector, start..<previousEnd)
        }
        guard current.kind == .rightBracket else { throw unexpected(in: "subquery or range", expected: "\":\" or \"]\"") }
        // Before the bracket is consumed: what comes behind it may be wrong, too, but later.
        let brackets = open..<current.range.upperBound
        guard case .vectorSelector(let selector) = nodes[operand.index].kind else {
            throw lines.error("ranges only allowed for vector selectors", brackets)
        }
        if selector.offset != .milliseconds(0) { throw lines.error("no offset modifiers allowed before range", brackets) }
        if selector.at != nil { throw lines.error("no @ modifiers allowed before range", brackets) }
        try advance()
        return add(.matrixSelector(MatrixSelector(selector: operand, range: range)), .rangeVector, start..<previousEnd)
    }
}
