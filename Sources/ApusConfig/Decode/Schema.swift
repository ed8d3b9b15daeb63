import ApusBytes

/// What a section of the configuration may hold: the one table that decoding, the defaults, the suggestions for
/// mistyped names and `effectiveYAML` read. A new section is a new schema.
final class ObjectSchema: Sendable, Hashable {
    /// As upstream's errors name it: `config.plain`.
    let goType: String
    /// In the order in which the effective configuration lists them.
    let fields: [Field]
    /// The rules that go beyond one field; runs after the fields were decoded without an error.
    let check: @Sendable (inout ConfigObject) throws(ConfigProblem) -> Void

    init(
        _ goType: String, _ fields: [Field],
        check: @escaping @Sendable (inout ConfigObject) throws(ConfigProblem) -> Void = { (_: inout ConfigObject) throws(ConfigProblem) in }
    ) {
        self.goType = goType
        self.fields = fields
        self.check = check
    }

    func field(_ name: String) -> Field? { fields.first { $0.name == name } }

    static func == (left: ObjectSchema, right: ObjectSchema) -> Bool { left === right }
    func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

struct Field: Sendable {
    let name: String
    let kind: ValueKind
    let defaultValue: ConfigValue?
    /// Whether the effective configuration shows the field even if it is zero or empty.
    let isAlwaysShown: Bool
    /// Whether it shows a list in brackets.
    let isFlow: Bool
    /// Whether it shows what the file wrote, even if empty, and nothing else: not every default is worth a line.
    let isShownOnlyWhenSet: Bool
    /// Whether it shows an empty value that the file wrote, where empty is not the default.
    let isShownWhenSet: Bool

    init(
        _ name: String, _ kind: ValueKind, _ defaultValue: ConfigValue? = nil, shown: Bool = false, flow: Bool = false, shownWhenSet: Bool = false,
        shownOnlyWhenSet: Bool = false
    ) {
        self.name = name
        self.kind = kind
        self.defaultValue = defaultValue
        isAlwaysShown = shown
        isFlow = flow
        isShownWhenSet = shownWhenSet
        isShownOnlyWhenSet = shownOnlyWhenSet
    }
}

/// The type of a field.
indirect enum ValueKind: Sendable {
    case string, secret, bool, int, uint, double
    /// `1h30m`; kept in ms.
    case duration
    /// `15MB`, in bytes.
    case size
    /// A file, or a glob of files, relative to the configuration file.
    case path
    /// Has a scheme and a host once it is set.
    case url
    case list(ValueKind)
    case map(ValueKind)
    case object(ObjectSchema)
    /// Decodes like `object`, and says what to do with an entry that is null: an error with this text.
    case entries(ObjectSchema, nullError: String)

    var goType: String {
        switch self {
        case .string, .path: "string"
        case .secret: "config.Secret"
        case .bool: "bool"
        case .int: "int"
        case .uint: "uint"
        case .double: "float64"
        case .duration: "model.Duration"
        case .size: "units.Base2Bytes"
        case .url: "config.URL"
        case .list(let element): "[]" + element.goType
        case .map(let element): "map[string]" + element.goType
        case .object(let schema): schema.goType
        case .entries(let schema, _): "[]*" + schema.goType
        }
    }
}

/// A decoded value.
indirect enum ConfigValue: Sendable, Hashable {
    case null
    case string(ByteString)
    case secret(ByteString)
    case bool(Bool)
    case int(Int64)
    case double(Double)
    case duration(ms: Int64)
    case size(Int64)
    case list([ConfigValue])
    /// Sorted by key.
    case map([MapEntry])
    case object(ConfigObject)

    struct MapEntry: Sendable, Hashable {
        let key: ByteString
        let value: ConfigValue
    }

    /// Go's zero value, which `omitempty` leaves out.
    var isZero: Bool {
        switch self {
        case .null: true
        case .string(let text), .secret(let text): text.isEmpty
        case .bool(let value): !value
        case .int(let value), .duration(let value), .size(let value): value == 0
        case .double(let value): value == 0
        case .list(let items): items.isEmpty
        case .map(let entries): entries.isEmpty
        case .object(let object): object.schema.fields.allSatisfy { !$0.isAlwaysShown && (object.value($0.name)?.isZero ?? true) }
        }
    }
}

/// A decoded mapping: the fields that the file sets, the rest as in the schema.
struct ConfigObject: Sendable, Hashable {
    let schema: ObjectSchema
    let position: ConfigPosition?
    private(set) var values: [String: ConfigValue] = [:]
    private(set) var positions: [String: ConfigPosition] = [:]

    init(_ schema: ObjectSchema, at position: ConfigPosition? = nil) {
        self.schema = schema
        self.position = position
    }

    /// Whether the file wrote the field.
    func isSet(_ name: String) -> Bool { positions[name] != nil }
    /// What the file says, or the default.
    func value(_ name: String) -> ConfigValue? { values[name] ?? schema.field(name)?.defaultValue }
    func position(of name: String) -> ConfigPosition? { positions[name] ?? position }

    mutating func set(_ name: String, _ value: ConfigValue?, at position: ConfigPosition? = nil) {
        values[name] = value
        if let position { positions[name] = position }
    }

    func bytes(_ name: String) -> ByteString {
        switch value(name) {
        case .string(let text)?, .secret(let text)?: text
        default: ""
        }
    }
    func string(_ name: String) -> String { bytes(name).description }
    func secret(_ name: String) -> Secret { Secret(string(name)) }
    func bool(_ name: String) -> Bool { if case .bool(let value)? = value(name) { value } else { false } }
    func int(_ name: String) -> Int64 {
        switch value(name) {
        case .int(let value)?, .duration(let value)?, .size(let value)?: value
        default: 0
        }
    }
    func count(_ name: String) -> Int { Int(clamping: int(name)) }
    func double(_ name: String) -> Double { if case .double(let value)? = value(name) { value } else { 0 } }
    func list(_ name: String) -> [ConfigValue] { if case .list(let items)? = value(name) { items } else { [] } }
    func strings(_ name: String) -> [String] { list(name).compactMap(\.text?.description) }
    func map(_ name: String) -> [ConfigValue.MapEntry] { if case .map(let entries)? = value(name) { entries } else { [] } }
    func object(_ name: String) -> ConfigObject? { if case .object(let object)? = value(name) { object } else { nil } }
    func objects(_ name: String) -> [ConfigObject] {
        list(name).compactMap { if case .object(let object) = $0 { object } else { nil } }
    }

    func problem(_ message: String, field: String? = nil) -> ConfigProblem {
        ConfigProblem(message, at: field.flatMap { position(of: $0) } ?? position)
    }
}

extension ConfigValue {
    var text: ByteString? {
        switch self {
        case .string(let text), .secret(let text): text
        default: nil
        }
    }
    static func text(_ text: String) -> ConfigValue { .string(ByteString(text)) }
}
