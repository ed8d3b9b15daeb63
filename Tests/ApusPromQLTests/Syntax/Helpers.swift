import ApusBytes
import Testing

@testable import ApusPromQL

extension ParserOptions {
    static let experimentalFunctions = ParserOptions(enableExperimentalFunctions: true)
    static let everything = ParserOptions(
        enableExperimentalFunctions: true, enableExtendedRangeSelectors: true, enableBinopFill: true)
}

/// The message of the error that `query` gives; `nil` when it gives none.
func parseFailure(_ query: String, _ options: ParserOptions) -> String? {
    do throws(ParseError) {
        _ = try parseExpression(ByteString(query), options: options)
        return nil
    } catch {
        return error.message
    }
}

extension Expression {
    /// What the engine relies on: children stand before their parents and ranges lie in the query.
    func checkInvariants() {
        for index in nodes.indices {
            for child in children(of: NodeID(index)) { #expect(child.index < index, "\(self)") }
            let range = nodes[index].range
            #expect(range.lowerBound >= 0 && range.upperBound <= query.count && !range.isEmpty, "\(self)")
        }
    }

    /// The tree with parentheses around each operator.
    func shape(_ id: NodeID) -> String {
        switch self[id].kind {
        case .binary(let binary): "(\(shape(binary.left)) \(binary.op.rawValue) \(shape(binary.right)))"
        case .unary(let isNegative, let operand): "(\(isNegative ? "-" : "+")\(shape(operand)))"
        default: text(of: id)
        }
    }
}

/// SplitMix64: the same numbers for the same seed.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
