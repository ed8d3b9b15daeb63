/// What an expression yields, known before it runs.
public enum ValueType: String, Sendable, CaseIterable {
    case none
    case scalar
    case string
    case instantVector = "vector"
    case rangeVector = "matrix"

    /// The name that error texts use: `instant vector`, where the API says `vector`.
    public var documentedName: String {
        switch self {
        case .instantVector: "instant vector"
        case .rangeVector: "range vector"
        case .none, .scalar, .string: rawValue
        }
    }
}
