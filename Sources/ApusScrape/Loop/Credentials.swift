import ApusConfig

struct CredentialError: Error, CustomStringConvertible {
    let description: String
}

/// The headers that only the target's own host may see. Files are read anew each time, since secrets rotate.
/// - Parameter token: what `TokenStore` has for `oauth2`.
func makePrivateHeaders(_ client: HTTPClientConfig, token: OAuth2Token? = nil) throws(CredentialError) -> [String] {
    var headers: [String] = []
    if client.oauth2 != nil {
        guard let token else { throw CredentialError(description: "oauth2: there is no token yet") }
        headers.append("Authorization: \(token.type) \(token.value)")
    } else if let basic = client.basicAuth {
        let user = basic.usernameFile.isEmpty ? basic.username : try readSecret(basic.usernameFile, "basic auth username")
        let password = basic.passwordFile.isEmpty ? basic.password.value : try readSecret(basic.passwordFile, "basic auth password")
        headers.append("Authorization: Basic " + base64(Array("\(user):\(password)".utf8)))
    } else if let authorization = client.authorization {
        let file = authorization.credentialsFile
        let secret = file.isEmpty ? authorization.credentials.value : try readSecret(file, "authorization credentials")
        headers.append("Authorization: \(authorization.type) \(secret)")
    }
    for (name, values) in client.headers.sorted(by: { $0.key < $1.key }) {
        for value in values.values { headers.append("\(name): \(value)") }
        for secret in values.secrets { headers.append("\(name): \(secret.value)") }
        for file in values.files { headers.append("\(name): \(try readSecret(file, "http header \(name)"))") }
    }
    // A line break in a secret would end its header and begin another.
    for header in headers where header.utf8.contains(where: { $0 == 0x0A || $0 == 0x0D || $0 == 0 }) {
        throw CredentialError(description: "net/http: invalid header field value for \"\(header.prefix { $0 != ":" })\"")
    }
    return headers
}

extension HTTPClientConfig {
    /// Whether each use of it is the same: no file is read anew, no token is asked for.
    var isConstant: Bool {
        oauth2 == nil && basicAuth.map { $0.usernameFile.isEmpty && $0.passwordFile.isEmpty } ?? true
            && authorization?.credentialsFile.isEmpty ?? true && headers.values.allSatisfy(\.files.isEmpty) && tls.caFile.isEmpty
            && tls.certificateFile.isEmpty && tls.keyFile.isEmpty
    }
}

func readSecret(_ path: String, _ what: String) throws(CredentialError) -> String {
    guard let bytes = readFile(path, limit: 1 << 20) else {
        throw CredentialError(description: "unable to read \(what): unable to read file \(path): open \(path): \(lastError())")
    }
    var text = bytes[...]
    while let last = text.last, last <= 0x20 { text.removeLast() }
    while let first = text.first, first <= 0x20 { text.removeFirst() }
    return String(decoding: text, as: UTF8.self)
}

/// `tls` with its files read: they are read at each use, so that renewed certificates take effect without a reload.
func loadTLS(_ tls: TLSConfig) throws(CredentialError) -> TLSConfig {
    var loaded = tls
    if !tls.caFile.isEmpty {
        loaded.ca = try readPEM(tls.caFile, "CA cert")
        loaded.caFile = ""
    }
    if !tls.certificateFile.isEmpty {
        loaded.certificate = try readPEM(tls.certificateFile, "client cert")
        loaded.certificateFile = ""
    }
    if !tls.keyFile.isEmpty {
        loaded.key = Secret(try readPEM(tls.keyFile, "client key"))
        loaded.keyFile = ""
    }
    return loaded
}

private func readPEM(_ path: String, _ what: String) throws(CredentialError) -> String {
    guard let bytes = readFile(path, limit: 16 << 20) else {
        throw CredentialError(description: "unable to read \(what): unable to read file \(path): open \(path): \(lastError())")
    }
    return String(decoding: bytes, as: UTF8.self)
}

/// RFC 4648, with padding.
public func base64(_ bytes: [UInt8]) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var result: [UInt8] = []
    var index = 0
    while index < bytes.count {
        let group = bytes[index..<min(index + 3, bytes.count)]
        var word: UInt32 = 0
        for byte in group { word = word << 8 | UInt32(byte) }
        word <<= UInt32(8 * (3 - group.count))
        for position in 0..<4 {
            result.append(position <= group.count ? alphabet[Int(word >> UInt32(18 - 6 * position)) & 63] : UInt8(ascii: "="))
        }
        index += 3
    }
    return String(decoding: result, as: UTF8.self)
}
