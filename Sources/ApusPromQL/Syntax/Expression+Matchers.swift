public import ApusBytes
public import ApusStorage

extension Expression {
    /// The same query with this test in every selector: in place of those on the same label, or else beside the others.
    public func settingMatcher(_ matcher: Matcher) -> Expression {
        changingSelectors { selector in
            var isThere = false
            for index in selector.matchers.indices where selector.matchers[index].name == matcher.name {
                selector.matchers[index] = matcher
                isThere = true
            }
            if !isThere { selector.matchers.append(matcher) }
            if matcher.name == LabelNames.name { selector.name = matcher.kind == .equal ? matcher.value : ByteString() }
        }
    }

    /// The same query without any test on this label in its selectors.
    public func removingMatchers(on label: ByteString) -> Expression {
        changingSelectors { selector in
            selector.matchers.removeAll { $0.name == label }
            if label == LabelNames.name { selector.name = ByteString() }
        }
    }

    private func changingSelectors(_ change: (inout VectorSelector) -> Void) -> Expression {
        var nodes = nodes
        for index in nodes.indices {
            guard case .vectorSelector(var selector) = nodes[index].kind else { continue }
            change(&selector)
            nodes[index].kind = .vectorSelector(selector)
        }
        return Expression(query: query, nodes: nodes, root: root)
    }
}
