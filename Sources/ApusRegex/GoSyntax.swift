import ApusBytes

/// Go's `regexp/syntax` as a gate before RE2: it accepts what Go accepts and says what Go says of the rest.
///
/// The two read the same language but for details: RE2 knows `\C` and `(?P=name)`-free syntax of its own age, so
/// `(?<name>` becomes `(?P<name>`; and it words its errors otherwise. One pass over the bytes, no recursion.
///
/// Source: the package documentation of regexp/syntax, and https://github.com/google/re2/wiki/Syntax.
struct GoSyntax {
    /// The pattern for RE2.
    private(set) var translated: ByteString

    /// Go's bounds: how often `{n,m}` may repeat, nested counts multiplied, and how deep groups may nest.
    static let maximumRepeat = 1000
    static let maximumDepth = 1000

    private let bytes: [UInt8]
    private var index = 0
    /// For each open group, and the pattern around them: the largest product of nested repeat counts inside.
    private var products: [Int] = [1]
    /// The same for the last item, nil where there is nothing to repeat.
    private var lastItem: Int?
    /// Where the repetition that ends here began, if one does.
    private var lastRepeatStart: Int?
    /// Where `(?<` must become `(?P<`.
    private var insertions: [Int] = []

    static func check(_ pattern: ByteString) throws(RegexError) -> GoSyntax {
        if !pattern.isValidUTF8 { throw error("invalid UTF-8", pattern.bytes[...]) }
        var syntax = GoSyntax(pattern)
        try syntax.parse()
        return syntax
    }

    private init(_ pattern: ByteString) {
        bytes = pattern.bytes
        translated = pattern
    }

    private static func error(_ reason: String, _ text: ArraySlice<UInt8>) -> RegexError {
        RegexError("error parsing regexp: \(reason): `\(String(decoding: text, as: UTF8.self))`")
    }

    private mutating func parse() throws(RegexError) {
        while index < bytes.count {
            var repeatStart: Int?
            switch bytes[index] {
            case UInt8(ascii: "("): try openGroup()
            case UInt8(ascii: ")"):
                guard products.count > 1 else { throw Self.error("unexpected )", bytes[...]) }
                let inner = products.removeLast()
                noteItem(inner)
                index += 1
            case UInt8(ascii: "|"):
                lastItem = nil
                index += 1
            case UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "?"):
                repeatStart = index
                try simpleRepeat()
            case UInt8(ascii: "{"): repeatStart = try countedRepeat()
            case UInt8(ascii: "["):
                try characterClass()
                noteItem(1)
            case UInt8(ascii: "\\"):
                try escape()
                noteItem(1)
            case let byte:
                index += characterLength(byte)
                noteItem(1)
            }
            lastRepeatStart = repeatStart
        }
        if products.count > 1 { throw Self.error("missing closing )", bytes[...]) }
        if !insertions.isEmpty {
            var result: [UInt8] = []
            var start = 0
            for at in insertions {
                result += bytes[start..<at]
                result.append(UInt8(ascii: "P"))
                start = at
            }
            translated = ByteString(result + bytes[start...])
        }
    }

    private mutating func noteItem(_ product: Int) {
        lastItem = product
        products[products.count - 1] = max(products[products.count - 1], product)
    }

    private func characterLength(_ byte: UInt8) -> Int { byte < 0x80 ? 1 : byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2 }
    private func byte(at index: Int) -> UInt8? { index < bytes.count ? bytes[index] : nil }

    // MARK: Groups

    private mutating func openGroup() throws(RegexError) {
        let start = index
        if byte(at: start + 1) == UInt8(ascii: "?") {
            if try !flagsOrName(start) { return }
        } else {
            index += 1
        }
        products.append(1)
        lastItem = nil
        if products.count > Self.maximumDepth { throw Self.error("expression nests too deeply", bytes[...]) }
    }

    /// After `(?`. False if it only sets flags, `(?i)`, and opens no group.
    private mutating func flagsOrName(_ start: Int) throws(RegexError) -> Bool {
        let third = byte(at: start + 2)
        let isNameP = third == UInt8(ascii: "P") && byte(at: start + 3) == UInt8(ascii: "<")
        if third == UInt8(ascii: "<"), let next = byte(at: start + 3), next == UInt8(ascii: "=") || next == UInt8(ascii: "!") {
            throw Self.error("invalid or unsupported Perl syntax", bytes[start..<(start + 3)])
        }
        if isNameP || third == UInt8(ascii: "<") {
            let nameStart = isNameP ? start + 4 : start + 3
            guard let end = bytes[min(nameStart, bytes.count)...].firstIndex(of: UInt8(ascii: ">")) else {
                throw Self.error("invalid named capture", bytes[start...])
            }
            let isName = end > nameStart && bytes[nameStart..<end].allSatisfy {
                $0 == 0x5F || (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0)
            }
            if !isName { throw Self.error("invalid named capture", bytes[start...end]) }
            if !isNameP { insertions.append(start + 2) }
            index = end + 1
            return true
        }
        index = start + 2
        var isNegative = false
        var sawFlag = false
        while let byte = byte(at: index) {
            index += characterLength(byte)
            switch byte {
            case UInt8(ascii: "i"), UInt8(ascii: "m"), UInt8(ascii: "s"), UInt8(ascii: "U"): sawFlag = true
            case UInt8(ascii: "-") where !isNegative:
                isNegative = true
                sawFlag = false
            case UInt8(ascii: ":") where !isNegative || sawFlag: return true
            case UInt8(ascii: ")") where !isNegative || sawFlag: return false
            default: throw Self.error("invalid or unsupported Perl syntax", bytes[start..<index])
            }
        }
        throw Self.error("missing closing )", bytes[...])
    }

    // MARK: Repetition

    private mutating func simpleRepeat() throws(RegexError) {
        let start = index
        index += 1
        try finishRepeat(start, count: nil)
    }

    /// `{n}`, `{n,}`, `{n,m}`; anything else that begins with a brace is literal. Returns where the repetition began.
    private mutating func countedRepeat() throws(RegexError) -> Int? {
        let start = index
        var end = index + 1
        guard let minimum = number(&end) else { return literalBrace() }
        var maximum = minimum
        if byte(at: end) == UInt8(ascii: ",") {
            end += 1
            if byte(at: end) == UInt8(ascii: "}") {
                maximum = -1
            } else {
                guard let number = number(&end) else { return literalBrace() }
                maximum = number
            }
        }
        guard byte(at: end) == UInt8(ascii: "}") else { return literalBrace() }
        index = end + 1
        if minimum > Self.maximumRepeat || maximum > Self.maximumRepeat || (maximum >= 0 && minimum > maximum) {
            throw Self.error("invalid repeat count", bytes[start..<index])
        }
        try finishRepeat(start, count: maximum < 0 ? minimum : maximum)
        return start
    }

    private mutating func literalBrace() -> Int? {
        index += 1
        noteItem(1)
        return nil
    }

    /// Decimal without leading zeros; a number beyond all bounds is returned as one.
    private func number(_ index: inout Int) -> Int? {
        let start = index
        var value = 0
        while let byte = byte(at: index), (48...57).contains(byte) {
            value = min(value * 10 + Int(byte - 48), Self.maximumRepeat + 1)
            index += 1
        }
        if index == start || (index - start > 1 && bytes[start] == 48) { return nil }
        return value
    }

    private mutating func finishRepeat(_ start: Int, count: Int?) throws(RegexError) {
        guard let item = lastItem else { throw Self.error("missing argument to repetition operator", bytes[start..<index]) }
        if byte(at: index) == UInt8(ascii: "?") { index += 1 }
        if let first = lastRepeatStart { throw Self.error("invalid nested repetition operator", bytes[first..<index]) }
        let product = item * max(1, count ?? 1)
        if product > Self.maximumRepeat { throw Self.error("invalid repeat count", bytes[start..<index]) }
        noteItem(product)
    }

    // MARK: Escapes and classes

    private mutating func escape() throws(RegexError) {
        switch byte(at: index + 1) {
        case UInt8(ascii: "Q"):
            // Literal up to `\E`, or to the end.
            var end = index + 2
            while end < bytes.count, !(bytes[end] == UInt8(ascii: "\\") && byte(at: end + 1) == UInt8(ascii: "E")) { end += 1 }
            index = min(end + 2, bytes.count)
        case UInt8(ascii: "A"), UInt8(ascii: "b"), UInt8(ascii: "B"), UInt8(ascii: "z"), UInt8(ascii: "d"), UInt8(ascii: "D"),
            UInt8(ascii: "s"), UInt8(ascii: "S"), UInt8(ascii: "w"), UInt8(ascii: "W"):
            index += 2
        case UInt8(ascii: "p"), UInt8(ascii: "P"): try unicodeClass()
        default: _ = try escapedCharacter()
        }
    }

    /// `\pL` or `\p{Greek}`; whether the name is known RE2 says, in the same words.
    private mutating func unicodeClass() throws(RegexError) {
        let start = index
        guard let first = byte(at: index + 2) else { throw Self.error("invalid character class range", bytes[start...]) }
        if first != UInt8(ascii: "{") {
            index += 2 + characterLength(first)
            return
        }
        guard let end = bytes[index...].firstIndex(of: UInt8(ascii: "}")) else {
            throw Self.error("invalid character class range", bytes[start...])
        }
        index = end + 1
    }

    /// An escape that stands for one character; returns its code.
    private mutating func escapedCharacter() throws(RegexError) -> UInt32 {
        let start = index
        guard let byte = byte(at: index + 1) else {
            throw Self.error("trailing backslash at end of expression", [])
        }
        index += 1 + characterLength(byte)
        func invalid() -> RegexError { Self.error("invalid escape sequence", bytes[start..<index]) }
        func isOctal(_ byte: UInt8?) -> Bool { byte.map { (48...55).contains($0) } ?? false }
        switch byte {
        case 49...55 where !isOctal(self.byte(at: index)): throw invalid()
        case 48...55:
            var value = UInt32(byte - 48)
            var digits = 1
            while digits < 3, let next = self.byte(at: index), isOctal(next) {
                value = value * 8 + UInt32(next - 48)
                index += 1
                digits += 1
            }
            return value
        case UInt8(ascii: "x"): return try hexadecimal(start)
        case UInt8(ascii: "a"): return 7
        case UInt8(ascii: "f"): return 12
        case UInt8(ascii: "n"): return 10
        case UInt8(ascii: "r"): return 13
        case UInt8(ascii: "t"): return 9
        case UInt8(ascii: "v"): return 11
        case 0x5F: return 0x5F
        case 48...57, 65...90, 97...122, 0x80...: throw invalid()
        default: return UInt32(byte)
        }
    }

    /// After `\x`: two digits, or some in braces.
    private mutating func hexadecimal(_ start: Int) throws(RegexError) -> UInt32 {
        func digit(_ byte: UInt8?) -> UInt32? {
            switch byte {
            case let byte? where (48...57).contains(byte): UInt32(byte - 48)
            case let byte? where (65...70).contains(byte): UInt32(byte - 55)
            case let byte? where (97...102).contains(byte): UInt32(byte - 87)
            default: nil
            }
        }
        var value: UInt32 = 0
        if byte(at: index) == UInt8(ascii: "{") {
            index += 1
            let first = index
            while let next = digit(byte(at: index)) {
                value = min(value * 16 + next, 0x11_0000)
                index += 1
            }
            let isClosed = byte(at: index) == UInt8(ascii: "}")
            if index < bytes.count { index += characterLength(bytes[index]) }
            if !isClosed || index == first + 1 || value > 0x10_FFFF { throw Self.error("invalid escape sequence", bytes[start..<index]) }
            return value
        }
        for _ in 0..<2 {
            guard let next = digit(byte(at: index)) else {
                if index < bytes.count { index += characterLength(bytes[index]) }
                throw Self.error("invalid escape sequence", bytes[start..<index])
            }
            value = value * 16 + next
            index += 1
        }
        return value
    }

    private static let posixClasses: Set<String> = [
        "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word", "xdigit",
    ]

    private mutating func characterClass() throws(RegexError) {
        let start = index
        index += 1
        if byte(at: index) == UInt8(ascii: "^") { index += 1 }
        var isFirst = true
        while true {
            guard let byte = byte(at: index) else { throw Self.error("missing closing ]", bytes[start...]) }
            if byte == UInt8(ascii: "]") && !isFirst {
                index += 1
                return
            }
            isFirst = false
            if byte == UInt8(ascii: "["), self.byte(at: index + 1) == UInt8(ascii: ":"), try posixClass() { continue }
            if byte == UInt8(ascii: "\\"), let next = self.byte(at: index + 1) {
                if "dDsSwW".utf8.contains(next) {
                    index += 2
                    continue
                }
                if next == UInt8(ascii: "p") || next == UInt8(ascii: "P") {
                    try unicodeClass()
                    continue
                }
            }
            let rangeStart = index
            let low = try classCharacter(start)
            if self.byte(at: index) == UInt8(ascii: "-"), let next = self.byte(at: index + 1), next != UInt8(ascii: "]") {
                index += 1
                if try classCharacter(start) < low { throw Self.error("invalid character class range", bytes[rangeStart..<index]) }
            }
        }
    }

    /// `[:alpha:]` or `[:^alpha:]`; false if the text only begins like one.
    private mutating func posixClass() throws(RegexError) -> Bool {
        var end = index + 2
        while end + 1 < bytes.count, !(bytes[end] == UInt8(ascii: ":") && bytes[end + 1] == UInt8(ascii: "]")) { end += 1 }
        guard end + 1 < bytes.count else { return false }
        var name = String(decoding: bytes[(index + 2)..<end], as: UTF8.self)
        if name.hasPrefix("^") { name.removeFirst() }
        guard Self.posixClasses.contains(name) else { throw Self.error("invalid character class range", bytes[index..<(end + 2)]) }
        index = end + 2
        return true
    }

    private mutating func classCharacter(_ classStart: Int) throws(RegexError) -> UInt32 {
        guard let byte = byte(at: index) else { throw Self.error("missing closing ]", bytes[classStart...]) }
        if byte == UInt8(ascii: "\\") { return try escapedCharacter() }
        let length = characterLength(byte)
        let scalar = String(decoding: bytes[index..<min(index + length, bytes.count)], as: UTF8.self).unicodeScalars.first
        index += length
        return scalar?.value ?? 0
    }
}
