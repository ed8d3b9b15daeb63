public import ApusBytes

/// How names outside the classic alphabet are written for a reader that may not know them. The words are those of the
/// `escaping` parameter in `Accept` and `Content-Type`: <https://prometheus.io/docs/instrumenting/escaping_schemes/>.
public enum NameEscaping: String, Sendable, CaseIterable {
    /// As they are, in quotes.
    case allowUTF8 = "allow-utf-8"
    /// Each character outside the alphabet becomes `_`. Different names may become one.
    case underscores
    /// `.` becomes `_dot_`, `_` becomes `__`, each other character `__`.
    case dots
    /// `U__`, then each character outside the alphabet as `_HEX_` and `_` as `__`: can be read back.
    case values

    /// `name` in this scheme. Classic names stay, except that `dots` still doubles underscores and names its dots.
    public func escape(_ name: ByteString) -> ByteString { escape(name, allowsColon: true) }

    /// The same for the name of a label, in which `:` is not of the alphabet.
    public func escapeLabel(_ name: ByteString) -> ByteString { escape(name, allowsColon: false) }

    private func escape(_ name: ByteString, allowsColon: Bool) -> ByteString {
        if self == .allowUTF8 || name.isEmpty { return name }
        let isClassic =
            allowsColon ? TextFormat.isClassicMetricName(name.bytes.span) : TextFormat.isClassicLabelName(name.bytes.span)
        if isClassic, self != .dots { return name }
        var out: [UInt8] = self == .values ? Array("U__".utf8) : []
        var isFirst = true
        for scalar in name.description.unicodeScalars {
            let isLegal = Self.isLegal(scalar, isFirst: isFirst, allowsColon: allowsColon)
            isFirst = false
            switch self {
            case .allowUTF8: break
            case .underscores: out.append(isLegal ? UInt8(truncatingIfNeeded: scalar.value) : UInt8(ascii: "_"))
            case .dots:
                if scalar == "_" {
                    out.append(contentsOf: "__".utf8)
                } else if scalar == "." {
                    out.append(contentsOf: "_dot_".utf8)
                } else if isLegal {
                    out.append(UInt8(truncatingIfNeeded: scalar.value))
                } else {
                    out.append(contentsOf: "__".utf8)
                }
            case .values:
                if scalar == "_" {
                    out.append(contentsOf: "__".utf8)
                } else if isLegal {
                    out.append(UInt8(truncatingIfNeeded: scalar.value))
                } else {
                    out.append(contentsOf: "_\(String(scalar.value, radix: 16))_".utf8)
                }
            }
        }
        return ByteString(out)
    }

    private static func isLegal(_ scalar: Unicode.Scalar, isFirst: Bool, allowsColon: Bool) -> Bool {
        switch scalar {
        case "a"..."z", "A"..."Z", "_": true
        case ":": allowsColon
        case "0"..."9": !isFirst
        default: false
        }
    }
}
