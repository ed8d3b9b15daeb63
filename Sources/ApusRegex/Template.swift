import ApusBytes

/// A group that a template refers to.
enum GroupReference {
    case number(Int)
    case name([UInt8])
}

/// Replaces the references in `template` by what `value` gives, by the rules of Go's `Regexp.Expand`.
func expandTemplate(_ template: ByteString, _ value: (GroupReference) -> [UInt8]) -> ByteString {
    let bytes = template.bytes
    let dollar = UInt8(ascii: "$")
    var result: [UInt8] = []
    var index = 0
    while index < bytes.count {
        guard bytes[index] == dollar else {
            result.append(bytes[index])
            index += 1
            continue
        }
        if index + 1 < bytes.count, bytes[index + 1] == dollar {
            result.append(dollar)
            index += 2
            continue
        }
        guard let (reference, end) = parseReference(bytes, after: index + 1) else {
            // Malformed: the dollar stands for itself.
            result.append(dollar)
            index += 1
            continue
        }
        result += value(reference)
        index = end
    }
    return ByteString(result)
}

/// The reference after a dollar, and where it ends.
private func parseReference(_ bytes: [UInt8], after start: Int) -> (GroupReference, Int)? {
    guard start < bytes.count else { return nil }
    let inBraces = bytes[start] == UInt8(ascii: "{")
    let first = inBraces ? start + 1 : start
    var end = first
    while end < bytes.count {
        let length = wordCharacterLength(bytes, at: end)
        if length == 0 { break }
        end += length
    }
    if end == first { return nil }
    if inBraces && (end >= bytes.count || bytes[end] != UInt8(ascii: "}")) { return nil }
    let name = bytes[first..<end]
    return (reference(name), inBraces ? end + 1 : end)
}

/// How many bytes the letter, digit or underscore at `index` takes; 0 if there is none.
private func wordCharacterLength(_ bytes: [UInt8], at index: Int) -> Int {
    let byte = bytes[index]
    if byte < 0x80 {
        let isWord = byte == 0x5F || (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
        return isWord ? 1 : 0
    }
    let length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2
    guard index + length <= bytes.count,
        let text = String(validating: bytes[index..<(index + length)], as: UTF8.self), let scalar = text.unicodeScalars.first,
        text.unicodeScalars.count == 1
    else { return 0 }
    switch scalar.properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .decimalNumber: return length
    default: return 0
    }
}

private func reference(_ name: ArraySlice<UInt8>) -> GroupReference {
    let isNumber = name.allSatisfy { (48...57).contains($0) } && name.count <= 9 && (name.count == 1 || name.first != 48)
    if isNumber { return .number(name.reduce(0) { $0 * 10 + Int($1 - 48) }) }
    return .name(Array(name))
}

/// The bytes with each one that is no UTF-8 replaced by U+FFFD, as Go reads them. `origins[i]` is where the byte `i` of
/// the result comes from; one more entry says where the text ends.
func repairUTF8(_ bytes: Span<UInt8>, origins: inout [Int]) -> [UInt8] {
    var result: [UInt8] = []
    var index = 0
    while index < bytes.count {
        let length = sequenceLength(bytes, at: index)
        if length == 0 {
            result += [0xEF, 0xBF, 0xBD]
            origins += [index, index, index]
            index += 1
        } else {
            for offset in 0..<length {
                result.append(bytes[index + offset])
                origins.append(index + offset)
            }
            index += length
        }
    }
    origins.append(bytes.count)
    return result
}

/// The length of the well-formed sequence at `index`, 0 if it is ill-formed.
private func sequenceLength(_ bytes: Span<UInt8>, at index: Int) -> Int {
    let first = bytes[index]
    if first < 0x80 { return 1 }
    let length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2
    guard index + length <= bytes.count, isValidUTF8(bytes.extracting(index..<(index + length))) else { return 0 }
    return length
}
