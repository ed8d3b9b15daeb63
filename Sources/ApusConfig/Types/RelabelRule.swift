public import ApusBytes
public import ApusRegex

/// One entry of `relabel_configs`, compiled. `relabel(_:_:)` applies a list of them.
public struct RelabelRule: Sendable, Hashable {
    public enum Action: String, Sendable, Hashable, CaseIterable {
        case replace, keep, drop, keepequal, dropequal, hashmod, labelmap, labeldrop, labelkeep, lowercase, uppercase
    }
    public var sourceLabels: [ByteString] = []
    public var separator: ByteString = ";"
    public var regex: AnchoredRegex = RelabelRule.matchAll
    public var modulus: UInt64 = 0
    public var targetLabel: ByteString = ""
    public var replacement: ByteString = "$1"
    public var action = Action.replace
    public var nameValidation = NameValidation.utf8

    public init(action: Action = .replace, regex: AnchoredRegex) {
        self.action = action
        self.regex = regex
    }
}
