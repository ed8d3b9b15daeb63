public import ApusBytes
import ApusModel

// Error messages of the API quote what was sent the way Go does, because clients and tests compare them.

/// `text` as Go's `%q` prints it: in double quotes, with what is not printable or not UTF-8 escaped.
public func goQuoted(_ text: ByteString) -> String {
    var result = "\""
    var valid = ""
    var decoder = UTF8.ForwardParser()
    var bytes = text.bytes.makeIterator()
    var position = 0
    func flush() {
        result += goQuoted(valid).dropFirst().dropLast()
        valid = ""
    }
    scan: while true {
        switch decoder.parseScalar(from: &bytes) {
        case .emptyInput: break scan
        case .valid(let encoded):
            position += encoded.count
            valid.unicodeScalars.append(UTF8.decode(encoded))
        case .error(let length):
            flush()
            for byte in text.bytes[position..<min(position + length, text.bytes.count)] {
                result += (byte < 0x10 ? "\\x0" : "\\x") + String(byte, radix: 16)
            }
            position += length
        }
    }
    flush()
    return result + "\""
}

/// Why a text is not an integer, in the words of Go's `strconv`.
struct IntegerError: Error, Equatable {
    let message: String
}

/// A decimal integer with an optional sign, as `strconv.Atoi` reads it.
func parseInteger(_ text: ByteString, function: String = "Atoi") throws(IntegerError) -> Int {
    func failure(_ reason: String) -> IntegerError { IntegerError(message: "strconv.\(function): parsing \(goQuoted(text)): \(reason)") }
    var digits = text.bytes[...]
    let isNegative = digits.first == UInt8(ascii: "-")
    if isNegative || digits.first == UInt8(ascii: "+") { digits = digits.dropFirst() }
    guard !digits.isEmpty, digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
        throw failure("invalid syntax")
    }
    var value = 0
    for digit in digits {
        let (tens, overflowed) = value.multipliedReportingOverflow(by: 10)
        let unit = Int(digit - UInt8(ascii: "0"))
        let (next, overflowedAgain) = isNegative ? tens.subtractingReportingOverflow(unit) : tens.addingReportingOverflow(unit)
        guard !overflowed, !overflowedAgain else { throw failure("value out of range") }
        value = next
    }
    return value
}

/// `1`, `t`, `true`, `0`, `f`, `false` and their capital forms, as `strconv.ParseBool` reads them.
func parseBoolean(_ text: ByteString) throws(IntegerError) -> Bool {
    switch text.description {
    case "1", "t", "T", "true", "TRUE", "True": return true
    case "0", "f", "F", "false", "FALSE", "False": return false
    default: throw IntegerError(message: "strconv.ParseBool: parsing \(goQuoted(text)): invalid syntax")
    }
}
