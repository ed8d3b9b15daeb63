public import ApusBytes
public import ApusStorage

extension Expression {
    /// The same expression with other selectors.
    ///
    /// The result prints as what it is, `description` and `prettified`; `query`, and the ranges of nodes, remain those of
    /// the text that was parsed. To evaluate the result, print and parse it.
    ///
    /// - Parameter change: is called with each vector selector, those of range selectors among them, and the selector of
    ///   labels that `info` takes.
    public func rewritingSelectors(_ change: (inout VectorSelector) -> Void) -> Expression {
        var nodes = nodes
        for index in nodes.indices {
            guard case .vectorSelector(var selector) = nodes[index].kind else { continue }
            change(&selector)
            nodes[index].kind = .vectorSelector(selector)
        }
        return Expression(query: query, nodes: nodes, root: root)
    }

    /// All selectors with one more matcher, in place of those of the same label: as `promtool promql label-matchers set`.
    public func settingMatcher(_ matcher: Matcher) -> Expression {
        rewritingSelectors { selector in
            var found = false
            for index in selector.matchers.indices where selector.matchers[index].name == matcher.name {
                selector.matchers[index] = matcher
                found = true
            }
            if !found { selector.matchers.append(matcher) }
        }
    }

    /// All selectors without the matchers of a label: as `promtool promql label-matchers delete`.
    public func deletingMatchers(of label: ByteString) -> Expression {
        rewritingSelectors { selector in selector.matchers.removeAll { $0.name == label } }
    }

    /// The selectors, in the order of the array of nodes: what an expression reads.
    public var selectors: [VectorSelector] {
        nodes.compactMap { node in
            if case .vectorSelector(let selector) = node.kind { return selector }
            return nil
        }
    }
}
