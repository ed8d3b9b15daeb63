import ApusBytes
import Yams

/// A YAML document as a tree, aliases and merge keys resolved: all that the decoder needs of YAML, and the only file
/// that knows the YAML library.
struct YAMLNode: Sendable {
    enum Content: Sendable {
        case scalar(YAMLScalar)
        case sequence([YAMLNode])
        /// Keys are unique; in the order of the file, merged pairs last.
        case mapping([(key: YAMLNode, value: YAMLNode)])
    }
    let content: Content
    let position: ConfigPosition

    /// A configuration larger than this is a mistake, and reading it a way to exhaust memory.
    static let maximumFileBytes = 64 << 20
    /// Nodes of one document with its aliases written out: a few lines of aliases of aliases can stand for billions.
    static let maximumNodes = 2_000_000

    /// The first document of `text`, nil if there is none.
    static func parse(_ text: String) throws(ConfigProblem) -> YAMLNode? {
        if text.utf8.count > maximumFileBytes {
            throw ConfigProblem("yaml: document is larger than \(maximumFileBytes) bytes")
        }
        let root: Node?
        do {
            root = try Parser(yaml: text, resolver: .basic, encoding: .utf8).nextRoot()
        } catch let error as YamlError {
            throw describe(error)
        } catch {
            throw ConfigProblem("yaml: \(error)")
        }
        guard let root else { return nil }
        var budget = maximumNodes
        return try convert(root, budget: &budget)
    }

    private static func describe(_ error: YamlError) -> ConfigProblem {
        func at(_ mark: Mark) -> ConfigPosition { ConfigPosition(line: mark.line, column: mark.column) }
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _), .composer(_, let problem, let mark, _):
            return ConfigProblem("yaml: line \(mark.line): \(problem)", at: at(mark))
        case .reader(let problem, _, _, _): return ConfigProblem("yaml: \(problem)")
        case .duplicatedKeysInMapping(let keys, let context):
            return ConfigProblem(
                "yaml: line \(context.mark.line): key \(keys.first.map { "\"\($0)\"" } ?? "") already set in map", at: at(context.mark))
        case .memory: return ConfigProblem("yaml: out of memory")
        default: return ConfigProblem("yaml: \(error)")
        }
    }

    /// Recursion is safe: the scanner refuses documents that nest deeper than 1000.
    private static func convert(_ node: Node, budget: inout Int) throws(ConfigProblem) -> YAMLNode {
        let position = ConfigPosition(line: node.mark?.line ?? 1, column: node.mark?.column ?? 1)
        budget -= 1
        if budget < 0 { throw ConfigProblem("yaml: document contains excessive aliasing", at: position) }
        switch node {
        case .scalar(let scalar):
            return YAMLNode(content: .scalar(try YAMLScalar(scalar, at: position)), position: position)
        case .sequence(let sequence):
            var items: [YAMLNode] = []
            for item in sequence { items.append(try convert(item, budget: &budget)) }
            return YAMLNode(content: .sequence(items), position: position)
        case .mapping(let mapping):
            var pairs: [(key: YAMLNode, value: YAMLNode)] = []
            var merged: [(key: YAMLNode, value: YAMLNode)] = []
            for (key, value) in mapping {
                let key = try convert(key, budget: &budget)
                let value = try convert(value, budget: &budget)
                if key.isMergeKey {
                    merged += try mergedPairs(value)
                } else {
                    pairs.append((key, value))
                }
            }
            if !merged.isEmpty {
                // What is written here wins over what is merged in, and an earlier merge over a later one.
                var seen = Set(pairs.compactMap(\.key.scalar?.text))
                for pair in merged where pair.key.scalar.map({ seen.insert($0.text).inserted }) ?? true { pairs.append(pair) }
            }
            return YAMLNode(content: .mapping(pairs), position: position)
        case .alias:
            throw ConfigProblem("yaml: unknown anchor", at: position)
        }
    }

    private static func mergedPairs(_ value: YAMLNode) throws(ConfigProblem) -> [(key: YAMLNode, value: YAMLNode)] {
        switch value.content {
        case .mapping(let pairs): return pairs
        case .sequence(let items):
            var all: [(key: YAMLNode, value: YAMLNode)] = []
            for item in items {
                guard case .mapping(let pairs) = item.content else {
                    throw ConfigProblem("yaml: map merge requires map or sequence of maps as the value", at: item.position)
                }
                all += pairs
            }
            return all
        case .scalar:
            throw ConfigProblem("yaml: map merge requires map or sequence of maps as the value", at: value.position)
        }
    }

    var scalar: YAMLScalar? {
        if case .scalar(let scalar) = content { scalar } else { nil }
    }
    var isNull: Bool { scalar?.isNull ?? false }
    private var isMergeKey: Bool { scalar.map { $0.isPlain && $0.text == "<<" } ?? false }

    /// The tag, and a scalar's first characters, as type errors show them.
    var summary: String {
        switch content {
        case .sequence: return "!!seq"
        case .mapping: return "!!map"
        case .scalar(let scalar):
            let text = scalar.text.description
            return "\(scalar.tag) `\(scalar.text.count > 10 ? text.prefix(7) + "..." : text[...])`"
        }
    }
}

/// A scalar and what YAML 1.1 takes it for.
struct YAMLScalar: Sendable {
    let text: ByteString
    /// Neither quoted nor tagged as a text, so that it may mean a number, a truth value or nothing.
    let isPlain: Bool

    init(text: ByteString, isPlain: Bool) {
        self.text = text
        self.isPlain = isPlain
    }

    init(plain text: String) {
        self.text = ByteString(text)
        isPlain = true
    }

    /// `text` decoded if it is tagged `!!binary`.
    init(_ scalar: Node.Scalar, at position: ConfigPosition) throws(ConfigProblem) {
        let tag = scalar.tag.description
        if tag == "tag:yaml.org,2002:binary" {
            guard let bytes = decodeBase64(scalar.string) else {
                throw ConfigProblem("yaml: !!binary value contains invalid base64 data", at: position)
            }
            text = ByteString(bytes)
            isPlain = false
        } else {
            text = ByteString(scalar.string)
            isPlain = scalar.style == .plain && tag != "tag:yaml.org,2002:str" && tag != "!"
        }
    }

    var string: String { text.description }
    var isNull: Bool { isPlain && ["", "~", "null", "Null", "NULL"].contains(string) }

    var bool: Bool? {
        guard isPlain else { return nil }
        switch string {
        case "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON": return true
        case "n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF": return false
        default: return nil
        }
    }

    /// Decimal, `0x`, `0b`, `0o` or `0` octal, with underscores.
    var int: Int64? {
        guard isPlain, let first = text.bytes.first, first == 0x2B || first == 0x2D || (48...57).contains(first) else { return nil }
        var digits = string.filter { $0 != "_" }[...]
        var sign = ""
        if let first = digits.first, first == "-" || first == "+" {
            sign = String(first)
            digits = digits.dropFirst()
        }
        guard let first = digits.first, first.isASCII, first.isNumber else { return nil }
        for (prefix, radix) in [("0x", 16), ("0b", 2), ("0o", 8)] where digits.hasPrefix(prefix) {
            guard let next = digits.dropFirst(2).first, next.isHexDigit else { return nil }
            return Int64(sign + digits.dropFirst(2), radix: radix)
        }
        if digits.count > 1, digits.first == "0", let octal = Int64(sign + digits, radix: 8) { return octal }
        return Int64(sign + digits, radix: 10)
    }

    var double: Double? {
        guard isPlain else { return nil }
        switch string {
        case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF": return .infinity
        case "-.inf", "-.Inf", "-.INF": return -.infinity
        case ".nan", ".NaN", ".NAN": return .nan
        default: break
        }
        if let int { return Double(int) }
        guard let first = text.bytes.first, (48...57).contains(first) || first == 0x2B || first == 0x2D || first == 0x2E,
            text.bytes.allSatisfy({ (48...57).contains($0) || [0x2B, 0x2D, 0x2E, 0x45, 0x65, 0x5F].contains($0) })
        else { return nil }
        return Double(string.filter { $0 != "_" })
    }

    var tag: String {
        if isNull { return "!!null" }
        if bool != nil { return "!!bool" }
        if int != nil { return "!!int" }
        if double != nil { return "!!float" }
        return "!!str"
    }
}

/// Standard base64 with padding, white space ignored; nil if it is none.
func decodeBase64(_ text: String) -> [UInt8]? {
    var result: [UInt8] = []
    var bits: UInt32 = 0
    var count = 0
    var padding = 0
    for byte in text.utf8 {
        let value: UInt8
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = byte - 65
        case UInt8(ascii: "a")...UInt8(ascii: "z"): value = byte - 97 + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): value = byte - 48 + 52
        case UInt8(ascii: "+"): value = 62
        case UInt8(ascii: "/"): value = 63
        case UInt8(ascii: "="):
            padding += 1
            continue
        case 9, 10, 13, 32: continue
        default: return nil
        }
        if padding > 0 { return nil }
        bits = bits << 6 | UInt32(value)
        count += 1
        if count % 4 == 0 {
            result.append(UInt8(truncatingIfNeeded: bits >> 16))
            result.append(UInt8(truncatingIfNeeded: bits >> 8))
            result.append(UInt8(truncatingIfNeeded: bits))
            bits = 0
        }
    }
    switch (count % 4, padding) {
    case (0, 0): break
    case (2, 2): result.append(UInt8(truncatingIfNeeded: bits >> 4))
    case (3, 1):
        result.append(UInt8(truncatingIfNeeded: bits >> 10))
        result.append(UInt8(truncatingIfNeeded: bits >> 2))
    default: return nil
    }
    return result
}
