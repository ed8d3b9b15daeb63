import ApusConfig

/// What a record says, as far as discovery asks.
enum DNSRecord: Hashable, Sendable {
    case address(String)
    case service(target: String, port: Int)
    case mailExchange(String)
    case nameServer(String)
}

struct DNSError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Questions and answers of the domain name system: RFC 1035, with the larger datagrams of RFC 6891.
///
///     ┌────┬───────┬─────────────────────────┬───────────┬─────────┬───
///     │ id │ flags │ counts of the four parts│ questions │ answers │ …
///     │ 2  │   2   │         4 × 2           │           │         │
///     └────┴───────┴─────────────────────────┴───────────┴─────────┴───
enum DNSMessage {
    static let maxNameBytes = 255
    /// The size of datagram that is offered.
    static let datagramBytes = 4096

    enum Code: UInt8 { case success = 0, formatError = 1, serverFailure = 2, nameError = 3 }
    struct Answer {
        var code: UInt8
        /// The datagram had no room for all records: ask again over TCP.
        var isTruncated: Bool
        var records: [DNSRecord]
    }

    static func number(_ type: DNSSDConfig.RecordType) -> UInt16 {
        switch type {
        case .a: 1
        case .ns: 2
        case .mx: 15
        case .aaaa: 28
        case .srv: 33
        }
    }

    // MARK: Questions

    /// - Parameter name: with or without the dot at its end.
    /// - Returns: nil for a name that no question can hold.
    static func question(id: UInt16, name: String, type: DNSSDConfig.RecordType, offersLarge: Bool) -> [UInt8]? {
        guard let encoded = encode(name) else { return nil }
        // Recursion desired; one question, and an additional record that says how large an answer may be.
        var bytes: [UInt8] = [UInt8(id >> 8), UInt8(id & 255), 1, 0, 0, 1, 0, 0, 0, 0, 0, offersLarge ? 1 : 0]
        bytes += encoded
        let number = number(type)
        bytes += [UInt8(number >> 8), UInt8(number & 255), 0, 1]
        if offersLarge { bytes += [0, 0, 41, UInt8(datagramBytes >> 8), UInt8(datagramBytes & 255), 0, 0, 0, 0, 0, 0] }
        return bytes
    }

    static func encode(_ name: String) -> [UInt8]? {
        var bytes: [UInt8] = []
        var text = Array(name.utf8)
        if text.last == UInt8(ascii: ".") { text.removeLast() }
        for label in text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false) where !text.isEmpty {
            guard !label.isEmpty, label.count < 64 else { return nil }
            bytes.append(UInt8(label.count))
            bytes += label
        }
        bytes.append(0)
        return bytes.count <= maxNameBytes ? bytes : nil
    }

    // MARK: Answers

    /// Reads the answer to `question`.
    /// - Returns: nil when the bytes are no such answer.
    static func decode(_ bytes: [UInt8], to question: [UInt8], type: DNSSDConfig.RecordType) -> Answer? {
        var reader = Reader(bytes: bytes)
        guard let id = reader.u16(), let flags = reader.u16(), let questions = reader.u16(), let answers = reader.u16(),
            reader.skip(4), flags & 0x8000 != 0, question.count >= 12, id == UInt16(question[0]) << 8 | UInt16(question[1])
        else { return nil }
        var answer = Answer(code: UInt8(flags & 15), isTruncated: flags & 0x0200 != 0, records: [])
        for _ in 0..<questions {
            var asked = Reader(bytes: question, offset: 12)
            guard let name = reader.name(), let type = reader.u16(), reader.skip(2), let own = asked.name(), let ownType = asked.u16(),
                name.lowercased() == own.lowercased(), type == ownType
            else { return nil }
        }
        for _ in 0..<answers {
            guard reader.name() != nil, let found = reader.u16(), reader.skip(6), let length = reader.u16() else {
                return answer.isTruncated ? answer : nil
            }
            let end = reader.offset + Int(length)
            guard end <= bytes.count else { return answer.isTruncated ? answer : nil }
            // CNAME records lead to the others and are no targets.
            if found == number(type) {
                guard let record = record(&reader, type, length: Int(length)) else { return nil }
                answer.records.append(record)
            }
            reader.offset = end
        }
        return answer
    }

    private static func record(_ reader: inout Reader, _ type: DNSSDConfig.RecordType, length: Int) -> DNSRecord? {
        switch type {
        case .a:
            guard length == 4, let bytes = reader.bytes(4) else { return nil }
            return .address(bytes.map { String($0) }.joined(separator: "."))
        case .aaaa:
            guard length == 16, let bytes = reader.bytes(16) else { return nil }
            return .address(formatIPv6(Array(bytes)))
        case .srv:
            guard reader.skip(4), let port = reader.u16(), let target = reader.name() else { return nil }
            return .service(target: target, port: Int(port))
        case .mx:
            guard reader.skip(2), let host = reader.name() else { return nil }
            return .mailExchange(host)
        case .ns:
            guard let host = reader.name() else { return nil }
            return .nameServer(host)
        }
    }

    /// The usual short form: the longest run of zeros left out.
    static func formatIPv6(_ bytes: [UInt8]) -> String {
        let groups = stride(from: 0, to: 16, by: 2).map { UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]) }
        if groups.prefix(5).allSatisfy({ $0 == 0 }), groups[5] == 0xFFFF {
            return bytes.suffix(4).map { String($0) }.joined(separator: ".")
        }
        var best = 0..<0
        var index = 0
        while index < 8 {
            var end = index
            while end < 8 && groups[end] == 0 { end += 1 }
            if end - index > max(best.count, 1) { best = index..<end }
            index = max(end, index + 1)
        }
        func text(_ part: ArraySlice<UInt16>) -> String { part.map { String($0, radix: 16) }.joined(separator: ":") }
        return best.isEmpty ? text(groups[...]) : text(groups[..<best.lowerBound]) + "::" + text(groups[best.upperBound...])
    }

    /// Reads without ever going beyond the bytes.
    private struct Reader {
        let bytes: [UInt8]
        var offset = 0

        mutating func u16() -> UInt16? {
            guard bytes.count - offset >= 2 else { return nil }
            defer { offset += 2 }
            return UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1])
        }
        mutating func skip(_ count: Int) -> Bool {
            guard bytes.count - offset >= count else { return false }
            offset += count
            return true
        }
        mutating func bytes(_ count: Int) -> ArraySlice<UInt8>? {
            guard bytes.count - offset >= count else { return nil }
            defer { offset += count }
            return bytes[offset..<offset + count]
        }

        /// A name with the root's dot. It may go on elsewhere in the message; each jump must lead backwards, so none loops.
        mutating func name() -> String? {
            var text: [UInt8] = []
            var position = offset
            var lowest = offset
            var end: Int?
            while position < bytes.count {
                let length = Int(bytes[position])
                if length == 0 {
                    offset = end ?? position + 1
                    return text.isEmpty ? "." : String(decoding: text, as: UTF8.self)
                }
                if length & 0xC0 == 0xC0 {
                    guard position + 1 < bytes.count else { return nil }
                    let target = (length & 0x3F) << 8 | Int(bytes[position + 1])
                    guard target < lowest else { return nil }
                    end = end ?? position + 2
                    lowest = target
                    position = target
                    continue
                }
                guard length < 64, bytes.count - position > length, text.count + length < DNSMessage.maxNameBytes else { return nil }
                for byte in bytes[position + 1...position + length] {
                    // As a zone file has it: what is not printed is a backslash and its number.
                    if byte == UInt8(ascii: ".") || byte == UInt8(ascii: "\\") {
                        text += [UInt8(ascii: "\\"), byte]
                    } else if byte > 0x20 && byte < 0x7F {
                        text.append(byte)
                    } else {
                        text += Array("\\\(String(1000 + Int(byte)).dropFirst())".utf8)
                    }
                }
                text.append(UInt8(ascii: "."))
                position += length + 1
            }
            return nil
        }
    }
}
