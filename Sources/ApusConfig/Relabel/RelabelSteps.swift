public import ApusModel

/// What one rule did to a label set.
public struct RelabelStep: Sendable {
    public let rule: RelabelRule
    /// The labels behind the rule; nil when it drops them.
    public let output: LabelSet?
}

/// Applies `rules` one by one. Ends with the rule that drops the labels, if one does.
public func relabelSteps(_ labels: LabelSet, _ rules: [RelabelRule]) -> [RelabelStep] {
    var steps: [RelabelStep] = []
    var current = labels
    for rule in rules {
        let output = relabel(current, [rule])
        steps.append(RelabelStep(rule: rule, output: output))
        guard let output else { break }
        current = output
    }
    return steps
}
