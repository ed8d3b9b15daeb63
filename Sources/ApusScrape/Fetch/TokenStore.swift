import ApusBytes
import ApusConfig
import ApusModel

/// What an authorization server gave.
struct OAuth2Token: Sendable, Equatable {
    var value: String
    /// `Bearer`, as a rule.
    var type = "Bearer"
    /// On the monotonic clock; nil for never.
    var expiresNs: UInt64?
}

/// The tokens of all `oauth2` sections: got with the client's credentials (RFC 6749, section 4.4), and kept until shortly
/// before they expire. Sections that say the same share one.
final class TokenStore: Sendable {
    /// A token that ends within this time is fetched anew: a request may take a while.
    static let marginNs: UInt64 = 10_000_000_000
    static let maxBodyBytes = 1 << 20

    private let time: any TimeSource
    private let userAgent: String
    private let tokens = Locked<[HTTPClientConfig.OAuth2: OAuth2Token]>([:])

    init(time: any TimeSource, userAgent: String) {
        self.time = time
        self.userAgent = userAgent
    }

    /// The token, if there is one that still holds.
    func cached(_ config: HTTPClientConfig.OAuth2) -> OAuth2Token? {
        let now = time.monotonicNs()
        return tokens.withLock { tokens in
            guard let token = tokens[config] else { return nil }
            if let expires = token.expiresNs, expires <= now &+ Self.marginNs { return nil }
            return token
        }
    }

    /// The token, asked for when there is none. Waits for the server: not for the fetch thread.
    func fetch(_ config: HTTPClientConfig.OAuth2, timeoutMs: Int64) throws(CredentialError) -> OAuth2Token {
        if let token = cached(config) { return token }
        guard config.grantType.isEmpty || config.grantType == "client_credentials" else {
            throw CredentialError(description: "oauth2: grant type \(config.grantType) is not supported, use client_credentials")
        }
        let secret = config.clientSecretFile.isEmpty ? config.clientSecret.value : try readSecret(config.clientSecretFile, "oauth2 client secret")
        // Servers want the credentials in a header or in the form; the header comes first, as the standard prefers it.
        let token: OAuth2Token
        do throws(CredentialError) {
            token = try ask(config, secret: secret, inForm: false, timeoutMs: timeoutMs)
        } catch let first {
            do throws(CredentialError) { token = try ask(config, secret: secret, inForm: true, timeoutMs: timeoutMs) } catch { throw first }
        }
        tokens.withLock { $0[config] = token }
        return token
    }

    private func ask(
        _ config: HTTPClientConfig.OAuth2, secret: String, inForm: Bool, timeoutMs: Int64
    ) throws(CredentialError) -> OAuth2Token {
        var form: [(String, String)] = [("grant_type", "client_credentials")]
        if !config.scopes.isEmpty { form.append(("scope", config.scopes.joined(separator: " "))) }
        if inForm { form += [("client_id", config.clientID), ("client_secret", secret)] }
        for (name, value) in config.endpointParams.sorted(by: { $0.key < $1.key }) {
            form.removeAll { $0.0 == name }
            form.append((name, value))
        }
        var client = HTTPClientConfig()
        client.tls = try loadTLS(config.tls)
        client.proxy = config.proxy
        let pair = "\(formEncoded(config.clientID)):\(formEncoded(secret))"
        let request = FetchRequest(
            key: 0, url: config.tokenURL,
            headers: ["Content-Type: application/x-www-form-urlencoded", "Accept: application/json", "User-Agent: \(userAgent)"],
            privateHeaders: inForm ? [] : ["Authorization: Basic " + base64(Array(pair.utf8))], timeoutMs: timeoutMs,
            bodyLimit: Self.maxBodyBytes, client: client,
            form: form.map { "\(formEncoded($0.0))=\(formEncoded($0.1))" }.joined(separator: "&"))
        switch fetchAndWait(request, time: time) {
        case .failed(let failure):
            // What never got an answer says where it was going.
            let reason = failure.reason
            throw CredentialError(description: reason.hasPrefix("Post ") ? reason : "oauth2: cannot fetch token: " + reason)
        case .page(let body, _, _):
            return try parse(body.copy())
        }
    }

    private func parse(_ bytes: [UInt8]) throws(CredentialError) -> OAuth2Token {
        guard let answer = try? JSONReader.read(bytes), case .string(let name)? = answer["access_token"], !name.isEmpty else {
            throw CredentialError(description: "oauth2: server response missing access_token")
        }
        let value = name.description
        guard !value.utf8.contains(where: { $0 < 0x20 }) else { throw CredentialError(description: "oauth2: the token has a line break") }
        var token = OAuth2Token(value: value)
        if case .string(let type)? = answer["token_type"], type.bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), !type.isEmpty {
            let known = ["bearer": "Bearer", "mac": "MAC", "basic": "Basic"]
            token.type = known[type.description.lowercased()] ?? type.description
        }
        var seconds = 0.0
        switch answer["expires_in"] {
        case .number(let digits)?: seconds = parseDouble(digits.span) ?? 0
        case .string(let digits)?: seconds = parseDouble(digits.bytes.span) ?? 0
        default: break
        }
        if seconds > 0 { token.expiresNs = time.monotonicNs() &+ UInt64(min(seconds, 1e9) * 1e9) }
        return token
    }
}
