import ApusBytes

extension YAMLNode {
    /// The tree with `${NAME}` in its values replaced by the environment's. `${NAME:-text}` is `text` where there is no such
    /// variable, which else is an error: a configuration must not work by accident. `$${` stands for `${`.
    ///
    /// After parsing, so that a value can change what a text says and nothing else. Left alone are keys, relabel rules, where
    /// `${name}` means a group, and external labels, which have Prometheus's own expansion.
    func expanded(_ environment: (String) -> String?) throws(ConfigProblem) -> YAMLNode {
        switch content {
        case .scalar(let scalar):
            guard scalar.text.bytes.contains(UInt8(ascii: "$")) else { return self }
            let text = try expandedText(scalar.text, environment)
            return YAMLNode(content: .scalar(YAMLScalar(text: text, isPlain: scalar.isPlain)), position: position)
        case .sequence(let items):
            var result: [YAMLNode] = []
            for item in items { result.append(try item.expanded(environment)) }
            return YAMLNode(content: .sequence(result), position: position)
        case .mapping(let pairs):
            var result: [(key: YAMLNode, value: YAMLNode)] = []
            for (key, value) in pairs {
                let name = key.scalar?.string ?? ""
                let isLeftAlone = name == "external_labels" || name.hasSuffix("relabel_configs")
                result.append((key, isLeftAlone ? value : try value.expanded(environment)))
            }
            return YAMLNode(content: .mapping(result), position: position)
        }
    }

    private func expandedText(_ text: ByteString, _ environment: (String) -> String?) throws(ConfigProblem) -> ByteString {
        let bytes = text.bytes
        let (dollar, open) = (UInt8(ascii: "$"), UInt8(ascii: "{"))
        var result: [UInt8] = []
        var index = 0
        while index < bytes.count {
            let rest = bytes[index...]
            if rest.starts(with: [dollar, dollar, open]) {
                result += [dollar, open]
                index += 3
            } else if rest.starts(with: [dollar, open]), let end = rest.firstIndex(of: UInt8(ascii: "}")) {
                result += try value(of: String(decoding: bytes[(index + 2)..<end], as: UTF8.self), environment)
                index = end + 1
            } else {
                result.append(bytes[index])
                index += 1
            }
        }
        return ByteString(result)
    }

    private func value(of reference: String, _ environment: (String) -> String?) throws(ConfigProblem) -> [UInt8] {
        var name = reference
        var fallback: String?
        if let colon = reference.firstIndex(of: ":"), reference[colon...].hasPrefix(":-") {
            name = String(reference[..<colon])
            fallback = String(reference[colon...].dropFirst(2))
        }
        guard let first = name.utf8.first, first < UInt8(ascii: "0") || first > UInt8(ascii: "9"),
            name.utf8.allSatisfy({ ($0 | 0x20) &- UInt8(ascii: "a") < 26 || $0 &- UInt8(ascii: "0") < 10 || $0 == UInt8(ascii: "_") })
        else { return Array("${\(reference)}".utf8) }
        guard let value = environment(name) ?? fallback else {
            throw ConfigProblem("environment variable \(name) is not set, and has no default as in ${\(name):-default}", at: position)
        }
        return Array(value.utf8)
    }
}
