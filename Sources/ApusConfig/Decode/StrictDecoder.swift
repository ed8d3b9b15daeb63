import ApusBytes
import ApusModel

/// Decodes YAML by a schema. Unknown fields and wrong types are collected, so that one run shows them all; a broken
/// rule ends the decoding at once.
struct StrictDecoder {
    let baseDirectory: String
    /// For files that others read as well, with fields of their own.
    var ignoresUnknownFields = false
    private(set) var problems: [ConfigProblem] = []
    /// Enough to see the pattern of a mistake.
    static let maximumProblems = 100

    init(baseDirectory: String) { self.baseDirectory = baseDirectory }

    /// The mapping `node` as an object of `schema`. Null counts as an empty mapping.
    mutating func object(_ node: YAMLNode, _ schema: ObjectSchema) throws(ConfigProblem) -> ConfigObject? {
        var object = ConfigObject(schema, at: node.position)
        let before = problems.count
        if !node.isNull {
            guard case .mapping(let pairs) = node.content else {
                report("cannot unmarshal \(node.summary) into \(schema.goType)", at: node.position)
                return nil
            }
            for (key, value) in pairs {
                let name = key.scalar?.string ?? key.summary
                guard let field = schema.field(name) else {
                    if ignoresUnknownFields { continue }
                    report(
                        "field \(name) not found in type \(schema.goType)", at: key.position,
                        suggestion: nearestName(to: name, among: schema.fields.map(\.name)))
                    continue
                }
                if object.isSet(name) {
                    report("field \(name) already set in type \(schema.goType)", at: key.position)
                    continue
                }
                object.set(name, try self.value(value, field.kind), at: key.position)
            }
        }
        // A section with wrong fields breaks rules by the way; what is wrong with the fields says more.
        if problems.count == before { try schema.check(&object) }
        return object
    }

    /// The value of a field; nil after a reported problem.
    private mutating func value(_ node: YAMLNode, _ kind: ValueKind) throws(ConfigProblem) -> ConfigValue? {
        switch kind {
        case .object(let schema):
            return try object(node, schema).map { .object($0) }
        case .entries(let schema, let nullError):
            return try list(node, kind) { (decoder: inout StrictDecoder, item: YAMLNode) throws(ConfigProblem) in
                if item.isNull { throw ConfigProblem(nullError, at: item.position) }
                return try decoder.object(item, schema).map { .object($0) }
            }
        case .list(let element):
            return try list(node, kind) { (decoder: inout StrictDecoder, item: YAMLNode) throws(ConfigProblem) in
                try decoder.value(item, element)
            }
        case .map(let element):
            if node.isNull { return .map([]) }
            guard case .mapping(let pairs) = node.content else { return mismatch(node, kind) }
            var entries: [ConfigValue.MapEntry] = []
            for (key, value) in pairs {
                guard let key = key.scalar else {
                    report("cannot unmarshal \(key.summary) into string", at: key.position)
                    continue
                }
                if let value = try self.value(value, element) { entries.append(.init(key: key.text, value: value)) }
            }
            return .map(entries.sorted { $0.key < $1.key })
        case .string, .secret, .path, .url, .bool, .int, .uint, .double, .duration, .size:
            guard let scalar = node.scalar else { return mismatch(node, kind) }
            return try self.scalar(scalar, node, kind)
        }
    }

    private mutating func list(
        _ node: YAMLNode, _ kind: ValueKind,
        _ decode: (inout StrictDecoder, YAMLNode) throws(ConfigProblem) -> ConfigValue?
    ) throws(ConfigProblem) -> ConfigValue? {
        if node.isNull { return .list([]) }
        guard case .sequence(let items) = node.content else { return mismatch(node, kind) }
        var values: [ConfigValue] = []
        for item in items {
            if let value = try decode(&self, item) { values.append(value) }
        }
        return .list(values)
    }

    private mutating func scalar(_ scalar: YAMLScalar, _ node: YAMLNode, _ kind: ValueKind) throws(ConfigProblem) -> ConfigValue? {
        let isNull = scalar.isNull
        switch kind {
        case .string: return .string(isNull ? "" : scalar.text)
        case .secret: return .secret(isNull ? "" : scalar.text)
        case .path: return .text(isNull ? "" : resolvePath(scalar.string, baseDirectory))
        case .url:
            if !isNull, let problem = urlProblem(scalar.string) { throw ConfigProblem(problem, at: node.position) }
            return .string(isNull ? "" : scalar.text)
        case .bool:
            if isNull { return .bool(false) }
            if let bool = scalar.bool { return .bool(bool) }
        case .int, .uint:
            if isNull { return .int(0) }
            if let int = scalar.int ?? scalar.double.flatMap({ Int64(exactly: $0) }) {
                if case .uint = kind, int < 0 { break }
                return .int(int)
            }
        case .double:
            if isNull { return .double(0) }
            if let double = scalar.double { return .double(double) }
        case .duration:
            if isNull { return .duration(ms: 0) }
            do throws(DurationError) {
                return .duration(ms: try parseDuration(scalar.string))
            } catch {
                throw ConfigProblem(error.description, at: node.position)
            }
        case .size:
            if isNull { return .size(0) }
            do throws(ConfigProblem) {
                return .size(try parseSize(scalar.string))
            } catch {
                throw ConfigProblem(error.message, at: node.position)
            }
        case .list, .map, .object, .entries: break
        }
        return mismatch(node, kind)
    }


    private mutating func mismatch(_ node: YAMLNode, _ kind: ValueKind) -> ConfigValue? {
        report("cannot unmarshal \(node.summary) into \(kind.goType)", at: node.position)
        return nil
    }

    private mutating func report(_ message: String, at position: ConfigPosition, suggestion: String? = nil) {
        if problems.count < Self.maximumProblems {
            problems.append(ConfigProblem(message, at: position, suggestion: suggestion))
        }
    }
}

/// What is wrong with a URL, as Go's `url.Parse` says it, or nil.
func urlProblem(_ text: String) -> String? {
    if text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) {
        return "parse \(goQuoted(text)): net/url: invalid control character in URL"
    }
    if text.hasPrefix(":") { return "parse \(goQuoted(text)): missing protocol scheme" }
    return nil
}

/// Scheme and host of a URL, lower case; empty where absent.
func urlParts(_ text: String) -> (scheme: String, host: String) {
    guard let colon = text.firstIndex(of: ":") else { return ("", "") }
    let scheme = text[..<colon]
    guard scheme.first?.isLetter == true, scheme.allSatisfy({ $0.isLetter || $0.isNumber || "+-.".contains($0) }) else { return ("", "") }
    let rest = text[text.index(after: colon)...]
    guard rest.hasPrefix("//") else { return (scheme.lowercased(), "") }
    return (scheme.lowercased(), String(rest.dropFirst(2).prefix { $0 != "/" && $0 != "?" && $0 != "#" }))
}

/// The name that `name` was probably meant to be: at most a third of its letters differ. Nil if none is near.
func nearestName(to name: String, among names: [String]) -> String? {
    let letters = Array(name.utf8.prefix(64))
    var best: (name: String, distance: Int)?
    for candidate in names {
        let distance = editDistance(letters, Array(candidate.utf8))
        if distance < best?.distance ?? .max { best = (candidate, distance) }
    }
    guard let best, best.distance <= max(1, letters.count / 3) else { return nil }
    return best.name
}

/// Levenshtein's distance in bytes, two rows of the table at a time.
func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
    var previous = Array(0...b.count)
    for (i, left) in a.enumerated() {
        var row = [i + 1]
        row.reserveCapacity(b.count + 1)
        for (j, right) in b.enumerated() {
            row.append(min(previous[j] + (left == right ? 0 : 1), previous[j + 1] + 1, row[j] + 1))
        }
        previous = row
    }
    return previous[b.count]
}
