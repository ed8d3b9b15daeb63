/// A scalar over the steps of a query: often the same at all of them.
enum ScalarColumn {
    case constant(Double)
    /// One value a step.
    case values([Double])

    @inline(__always) subscript(step: Int) -> Double {
        switch self {
        case .constant(let value): value
        case .values(let values): values[step]
        }
    }

    /// Combines two columns step by step.
    static func combine(_ left: ScalarColumn, _ right: ScalarColumn, _ operation: (Double, Double) -> Double) -> ScalarColumn {
        switch (left, right) {
        case (.constant(let a), .constant(let b)): .constant(operation(a, b))
        case (.constant(let a), .values(let b)): .values(b.map { operation(a, $0) })
        case (.values(let a), .constant(let b)): .values(a.map { operation($0, b) })
        case (.values(let a), .values(let b)): .values(zip(a, b).map { operation($0, $1) })
        }
    }

    func map(_ transform: (Double) -> Double) -> ScalarColumn {
        switch self {
        case .constant(let value): .constant(transform(value))
        case .values(let values): .values(values.map(transform))
        }
    }

    /// Whether `predicate` holds at some step.
    func contains(where predicate: (Double) -> Bool) -> Bool {
        switch self {
        case .constant(let value): predicate(value)
        case .values(let values): values.contains(where: predicate)
        }
    }

    /// The first value for which `predicate` holds.
    func first(where predicate: (Double) -> Bool) -> Double? {
        switch self {
        case .constant(let value): predicate(value) ? value : nil
        case .values(let values): values.first(where: predicate)
        }
    }
}
