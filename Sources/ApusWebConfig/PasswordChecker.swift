import ApusBytes
import ApusModel
import CCrypt

/// Checks passwords against bcrypt hashes. A check takes as long as the hash's cost says, by design a long time, so answers
/// are remembered, and only one is computed at a time: guessing costs one core and not all.
public final class PasswordChecker: Sendable {
    /// Answers remembered.
    static let cacheLimit = 100
    /// What bcrypt looks at; a longer password is cut there, as everywhere.
    static let maximumPasswordBytes = 1024

    /// For users that do not exist: their check takes as long as any other, so that time tells nothing. The value is
    /// Prometheus's, of "fakepassword".
    private static let nobody = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"

    private struct Question: Hashable {
        let hash: String
        let password: [UInt8]
    }
    private let answers = Locked<[Question: Bool]>([:])
    private let computing = Locked(())

    public init() {}

    /// Whether `password` is that of `user`. Blocks while it computes.
    public func check(_ user: String, _ password: [UInt8], _ users: [String: String]) -> Bool {
        let known = users[user]
        let question = Question(hash: known ?? Self.nobody, password: password)
        // The library stops at a zero byte: with it, the beginning of a password would do.
        guard password.count <= Self.maximumPasswordBytes, !password.contains(0) else { return false }
        if let answer = answers.withLock({ $0[question] }) { return answer && known != nil }
        let matches = computing.withLock { _ in Self.matches(password, question.hash) }
        answers.withLock { answers in
            if answers.count >= Self.cacheLimit { answers = [:] }
            answers[question] = matches
        }
        return matches && known != nil
    }

    private static func matches(_ password: [UInt8], _ hash: String) -> Bool {
        let terminated = password.map { CChar(bitPattern: $0) } + [0]
        return unsafe terminated.withUnsafeBufferPointer { password in
            // SAFETY: both end with a zero byte and are only read, during the call.
            unsafe hash.withCString { hash in unsafe ccrypt_matches(password.baseAddress, hash) == 1 }
        }
    }

    /// Whether a hash is one of bcrypt. The texts are those of Go's library.
    static func checkHash(_ hash: String) throws(WebConfigError) {
        let bytes = Array(hash.utf8)
        if bytes.count < 59 { throw WebConfigError("crypto/bcrypt: hashedSecret too short to be a bcrypted password") }
        if bytes[0] != UInt8(ascii: "$") {
            throw WebConfigError(
                "crypto/bcrypt: bcrypt hashes must start with '$', but hashedSecret started with '\(Character(Unicode.Scalar(bytes[0])))'"
            )
        }
        if bytes[1] > UInt8(ascii: "2") {
            throw WebConfigError(
                "crypto/bcrypt: bcrypt algorithm version '\(Character(Unicode.Scalar(bytes[1])))' requested is newer than current version '2'"
            )
        }
        let start = bytes[2] == UInt8(ascii: "$") ? 3 : 4
        let text = String(decoding: bytes[start..<(start + 2)], as: UTF8.self)
        guard let cost = Int(text) else { throw WebConfigError("strconv.Atoi: parsing \"\(text)\": invalid syntax") }
        guard (4...31).contains(cost) else {
            throw WebConfigError("crypto/bcrypt: cost \(cost) is outside allowed inclusive range 4..31")
        }
    }
}

extension PasswordChecker {
    /// User and password of an `Authorization` header; nil if it is no basic one.
    public static func credentials(_ header: String?) -> (user: String, password: [UInt8])? {
        guard let header, header.utf8.count > 6, header.prefix(6).lowercased() == "basic ",
            let decoded = base64Decoded(header.dropFirst(6)), let colon = decoded.firstIndex(of: UInt8(ascii: ":"))
        else { return nil }
        return (String(decoding: decoded[..<colon], as: UTF8.self), Array(decoded[(colon + 1)...]))
    }

    /// Standard base64 with its padding; nil for anything else.
    static func base64Decoded(_ text: Substring) -> [UInt8]? {
        var result: [UInt8] = []
        var (bits, count): (UInt32, Int) = (0, 0)
        let bytes = Array(text.utf8)
        guard bytes.count % 4 == 0 else { return nil }
        let padding = bytes.suffix(2).count { $0 == UInt8(ascii: "=") }
        for byte in bytes.dropLast(padding) {
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): digit = byte - 65
            case UInt8(ascii: "a")...UInt8(ascii: "z"): digit = byte - 71
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte + 4
            case UInt8(ascii: "+"): digit = 62
            case UInt8(ascii: "/"): digit = 63
            default: return nil
            }
            bits = bits << 6 | UInt32(digit)
            count += 6
            if count >= 8 {
                count -= 8
                result.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return result
    }
}
