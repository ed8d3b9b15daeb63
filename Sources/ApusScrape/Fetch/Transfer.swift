import ApusConfig
import ApusModel
import CCurl
import Glibc

/// One target's side of libcurl: an easy handle, kept for the target's life so that its connection is, and the answer
/// that is coming in. Belongs to the fetch thread alone.
@safe final class Transfer {
    static let maxRedirects = 10
    /// The most that is read of an answer which is not wanted, to keep its connection.
    static let drainLimit = 1 << 20
    /// What is taken of an answer before others have a turn, in bytes: less than a millisecond's worth. libcurl alone would go on
    /// for a hundred of its buffers, and targets that send without end would make all others wait.
    static let turnBytes = 256 << 10
    /// What libcurl asks a socket for at once.
    static let bufferBytes = 16 << 10

    let key: UInt64
    let easy: OpaquePointer
    /// Where it runs, unless it is waited for.
    var multi: FetchMulti?
    private(set) var request: FetchRequest?
    /// What the handle is set up for, whole: the same request again needs no set-up.
    private var applied: FetchRequest?
    private var headerList: UnsafeMutablePointer<curl_slist>?
    private var connectList: UnsafeMutablePointer<curl_slist>?
    private var proxyList: UnsafeMutablePointer<curl_slist>?
    private var errorText: UnsafeMutablePointer<CChar>
    private var appliedClient: HTTPClientConfig?
    private let pool: BufferPool

    // The answer.
    private var url = ""
    private var status = 0
    private var reasonPhrase = ""
    private var contentType = ""
    private var contentEncoding = ""
    private var location = ""
    private var body: BodyBuffer?
    private var exceededLimit = false
    private var drained = 0
    /// Since the turn began.
    private var takenBytes = 0
    private(set) var isPaused = false
    private var redirects = 0
    private var deadlineNs: UInt64 = 0

    init?(key: UInt64, pool: BufferPool) {
        guard let easy = unsafe curl_easy_init() else { return nil }
        self.key = key
        unsafe self.easy = OpaquePointer(easy)
        self.pool = pool
        unsafe headerList = nil
        unsafe connectList = nil
        unsafe proxyList = nil
        unsafe errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
        unsafe errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        // SAFETY: the callbacks get this object unretained; the handle dies in `deinit`, so they never outlive it.
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        unsafe ccurl_set_pointer(handle, CURLOPT_PRIVATE, context)
        unsafe ccurl_set_pointer(handle, CURLOPT_WRITEDATA, context)
        unsafe ccurl_set_write(handle, CURLOPT_WRITEFUNCTION, transferReceivedBody)
        unsafe ccurl_set_pointer(handle, CURLOPT_HEADERDATA, context)
        unsafe ccurl_set_write(handle, CURLOPT_HEADERFUNCTION, transferReceivedHeader)
        unsafe ccurl_set_pointer(handle, CURLOPT_ERRORBUFFER, errorText)
        unsafe ccurl_set_long(handle, CURLOPT_NOSIGNAL, 1)
        // Names are asked for whenever a connection is made, as Go does it; and libcurl walks all of a cache of names after each transfer.
        unsafe ccurl_set_long(handle, CURLOPT_DNS_CACHE_TIMEOUT, 0)
        unsafe ccurl_set_long(handle, CURLOPT_BUFFERSIZE, Self.bufferBytes)
        unsafe ccurl_set_long(handle, CURLOPT_FOLLOWLOCATION, 0)
        unsafe ccurl_set_long(handle, CURLOPT_TCP_NODELAY, 1)
        unsafe ccurl_set_string(handle, CURLOPT_PROTOCOLS_STR, "http,https")
    }

    deinit {
        unsafe curl_easy_cleanup(handle)
        unsafe curl_slist_free_all(headerList)
        unsafe curl_slist_free_all(connectList)
        unsafe curl_slist_free_all(proxyList)
        unsafe errorText.deallocate()
        if let body { pool.giveBack(body) }
    }

    private var handle: UnsafeMutableRawPointer { unsafe UnsafeMutableRawPointer(easy) }

    // MARK: Before

    private var bodyLimit: Int { request?.bodyLimit ?? 0 }

    /// Makes the handle ready for `request`.
    func prepare(_ request: FetchRequest, nowNs: UInt64) {
        self.request = request
        redirects = 0
        deadlineNs = nowNs &+ UInt64(max(request.timeoutMs, 1)) &* 1_000_000
        if applied === request {
            forgetAnswer()
            setTimeouts(nowNs: nowNs)
            return
        }
        url = request.url
        if appliedClient != request.client {
            apply(request.client)
            appliedClient = request.client
        }
        unsafe ccurl_set_string(handle, CURLOPT_UNIX_SOCKET_PATH, request.unixSocket.isEmpty ? nil : request.unixSocket)
        prepareHop(nowNs: nowNs)
        applied = request
    }

    private func prepareHop(nowNs: UInt64) {
        guard let request else { return }
        applied = nil
        forgetAnswer()
        var target = url
        var headers = request.headers
        if redirects == 0 || Self.origin(url) == Self.origin(request.url) { headers += request.privateHeaders }
        // A header without a colon removes the one that libcurl sends by itself.
        headers.append("Expect:")
        unsafe curl_slist_free_all(connectList)
        unsafe connectList = nil
        let serverName = request.client.tls.serverName
        if !serverName.isEmpty, redirects == 0, url.hasPrefix("https:"),
            let host = Self.part(url, CURLUPART_HOST), let port = Self.part(url, CURLUPART_PORT), host != serverName
        {
            // The certificate is checked against the URL's host, so the URL names the one expected, and the connection
            // and the Host header go where they belong.
            unsafe connectList = curl_slist_append(nil, "\(serverName):\(port):\(host):\(port)")
            if let renamed = Self.replacingHost(of: url, with: serverName) { target = renamed }
            headers.append("Host: \(port == "443" ? host : "\(host):\(port)")")
        }
        unsafe ccurl_set_list(handle, CURLOPT_CONNECT_TO, connectList)
        unsafe curl_slist_free_all(headerList)
        unsafe headerList = nil
        for header in headers { unsafe headerList = curl_slist_append(headerList, header) }
        unsafe ccurl_set_list(handle, CURLOPT_HTTPHEADER, headerList)
        unsafe ccurl_set_string(handle, CURLOPT_URL, target)
        if let form = request.form, redirects == 0 {
            unsafe ccurl_set_string(handle, CURLOPT_COPYPOSTFIELDS, form)
        } else {
            unsafe ccurl_set_long(handle, CURLOPT_HTTPGET, 1)
        }
        setTimeouts(nowNs: nowNs)
    }

    private func setTimeouts(nowNs: UInt64) {
        let leftMs = deadlineNs > nowNs ? Int((deadlineNs - nowNs) / 1_000_000) : 0
        unsafe ccurl_set_long(handle, CURLOPT_TIMEOUT_MS, max(leftMs, 1))
        unsafe ccurl_set_long(handle, CURLOPT_CONNECTTIMEOUT_MS, max(leftMs, 1))
    }

    private func apply(_ client: HTTPClientConfig) {
        let tls = client.tls
        unsafe ccurl_set_long(handle, CURLOPT_HTTP_VERSION, client.enableHTTP2 ? Int(CURL_HTTP_VERSION_2TLS) : Int(CURL_HTTP_VERSION_1_1))
        unsafe ccurl_set_long(handle, CURLOPT_SSL_VERIFYPEER, tls.insecureSkipVerify ? 0 : 1)
        unsafe ccurl_set_long(handle, CURLOPT_SSL_VERIFYHOST, tls.insecureSkipVerify ? 0 : 2)
        // Files were read by `loadTLS`: another content is another client to libcurl, which then opens a new connection.
        setBlob(CURLOPT_CAINFO_BLOB, tls.ca)
        setBlob(CURLOPT_SSLCERT_BLOB, tls.certificate)
        setBlob(CURLOPT_SSLKEY_BLOB, tls.key.value)
        let lowest = Self.sslVersion(tls.minVersion ?? .tls12)
        let highest = tls.maxVersion.map(Self.sslVersion) ?? 0
        unsafe ccurl_set_long(handle, CURLOPT_SSLVERSION, lowest | highest << 16)
        if !client.proxy.fromEnvironment {
            // An empty text, and not a null, keeps the environment's proxies out.
            unsafe ccurl_set_string(handle, CURLOPT_PROXY, client.proxy.url)
            unsafe ccurl_set_string(handle, CURLOPT_NOPROXY, client.proxy.noProxy)
        }
        unsafe curl_slist_free_all(proxyList)
        unsafe proxyList = nil
        for (name, values) in client.proxy.connectHeaders.sorted(by: { $0.key < $1.key }) {
            for value in values { unsafe proxyList = curl_slist_append(proxyList, "\(name): \(value.value)") }
        }
        unsafe ccurl_set_list(handle, CURLOPT_PROXYHEADER, proxyList)
        unsafe ccurl_set_long(handle, CURLOPT_HEADEROPT, 1)
    }

    private func setBlob(_ option: CURLoption, _ text: String) {
        if text.isEmpty { return }
        var text = text
        // SAFETY: libcurl copies the bytes.
        _ = text.withUTF8 { unsafe ccurl_set_blob(handle, option, $0.baseAddress, $0.count) }
    }

    private static func sslVersion(_ version: TLSConfig.Version) -> Int {
        switch version {
        case .tls10: 4
        case .tls11: 5
        case .tls12: 6
        case .tls13: 7
        }
    }

    private func forgetAnswer() {
        takenBytes = 0
        isPaused = false
        status = 0
        reasonPhrase = ""
        contentType = ""
        contentEncoding = ""
        location = ""
        exceededLimit = false
        drained = 0
        body?.removeAll()
        unsafe errorText[0] = 0
    }

    // MARK: While bytes come in

    fileprivate func receivedHeader(_ line: UnsafeBufferPointer<UInt8>) {
        // SAFETY: the line is valid during the call.
        switch AnswerLine(unsafe Span(_unsafeElements: line)) {
        case .status(let number, let phrase):
            // Each answer, an interim one too, starts over.
            forgetAnswer()
            status = number
            reasonPhrase = phrase
        case .contentType(let value): contentType = value
        case .contentEncoding(let value): contentEncoding = value
        case .location(let value): location = value
        case .contentLength(let length):
            // Room ahead saves copies, but a promise is not worth more than a usual page's memory.
            guard status == 200, length > 0 else { return }
            _ = ensureBody().reserve(min(length &+ 64, bodyLimit &+ 64, BodyBuffer.keptBytes))
        case .other: return
        }
    }

    private func ensureBody() -> BodyBuffer {
        if let body { return body }
        let taken = pool.take()
        body = taken
        return taken
    }

    fileprivate enum Taking { case taken, refused, later }

    fileprivate func receivedBody(_ bytes: UnsafeRawPointer, _ count: Int) -> Taking {
        if let multi, takenBytes >= Self.turnBytes {
            if !isPaused { multi.paused(self) }
            isPaused = true
            return .later
        }
        takenBytes += count
        guard status == 200 else {
            drained += count
            return drained <= Self.drainLimit ? .taken : .refused
        }
        let body = ensureBody()
        if count > bodyLimit - body.count {
            exceededLimit = true
            return .refused
        }
        return unsafe body.append(bytes, count: count) ? .taken : .refused
    }

    /// The next turn of a transfer that was paused. libcurl hands over at once what it has kept meanwhile.
    /// - Returns: what went wrong with that, for libcurl does not end the transfer then; `CURLE_OK` otherwise.
    func takeTurn() -> CURLcode {
        takenBytes = 0
        isPaused = false
        return unsafe curl_easy_pause(handle, CURLPAUSE_CONT)
    }

    // MARK: After

    enum Step {
        /// Another request of the same handle is ready to start.
        case again
        case done(FetchOutcome)
    }

    /// What follows from the end of a transfer.
    func finish(_ code: CURLcode, nowNs: UInt64) -> Step {
        guard let request else { return .done(.failed(FetchFailure("no request"))) }
        if code != CURLE_OK {
            let failure = failure(code)
            end()
            return .done(.failed(failure))
        }
        if [301, 302, 303, 307, 308].contains(status), request.client.followRedirects, !location.isEmpty {
            guard let next = resolve(location) else {
                let failure = FetchFailure("Get \"\(url)\": failed to parse Location header \(goQuoted(location))")
                end()
                return .done(.failed(failure))
            }
            guard next.hasPrefix("http://") || next.hasPrefix("https://") else {
                let scheme = next.prefix { $0 != ":" }
                let failure = FetchFailure("Get \(goQuoted(next)): unsupported protocol scheme \(goQuoted(String(scheme)))")
                end()
                return .done(.failed(failure))
            }
            redirects += 1
            url = next
            guard redirects < Self.maxRedirects else {
                // Prometheus names the place as the last answer wrote it.
                let failure = FetchFailure("Get \(goQuoted(location)): stopped after \(Self.maxRedirects) redirects")
                end()
                return .done(.failed(failure))
            }
            prepareHop(nowNs: nowNs)
            return .again
        }
        guard status == 200 else {
            let phrase = reasonPhrase.isEmpty ? statusText(status) : reasonPhrase
            end()
            return .done(.failed(FetchFailure("server returned HTTP status \(status) \(phrase)")))
        }
        let taken = ensureBody()
        body = nil
        let outcome = FetchOutcome.page(body: taken, contentType: contentType, coding: BodyCoding(contentEncoding))
        end()
        return .done(outcome)
    }

    private func end() {
        request = nil
        isPaused = false
        if let body { pool.giveBack(body) }
        body = nil
    }

    private func failure(_ code: CURLcode) -> FetchFailure {
        if exceededLimit { return .bodySizeLimit }
        let whole = "\(request?.form == nil ? "Get" : "Post") \"\(url)\": "
        switch code {
        case CURLE_OPERATION_TIMEDOUT:
            // Within the body Prometheus reports the bare reason: the request itself had succeeded.
            return FetchFailure(status == 200 ? "context deadline exceeded" : whole + "context deadline exceeded")
        case CURLE_COULDNT_CONNECT:
            var errorNumber = 0
            unsafe ccurl_get_long(handle, CURLINFO_OS_ERRNO, &errorNumber)
            let reason = errorNumber == Int(ECONNREFUSED) || errorNumber == 0 ? "connection refused" : systemError(errorNumber)
            let proxy = request?.client.proxy
            // With exceptions nobody can tell whether it was the proxy.
            if let proxy, !proxy.url.isEmpty, proxy.noProxy.isEmpty {
                let place = "\(Self.part(proxy.url, CURLUPART_HOST) ?? ""):\(Self.part(proxy.url, CURLUPART_PORT) ?? "")"
                return FetchFailure(whole + "proxyconnect tcp: dial tcp \(place): connect: \(reason)")
            }
            return FetchFailure(whole + "dial tcp \(address()): connect: \(reason)")
        case CURLE_COULDNT_RESOLVE_HOST:
            return FetchFailure(whole + "dial tcp: lookup \(Self.part(url, CURLUPART_HOST) ?? ""): no such host")
        case CURLE_GOT_NOTHING:
            return FetchFailure(whole + "EOF")
        case CURLE_RECV_ERROR where status == 0:
            return FetchFailure(whole + "read: connection reset by peer")
        case CURLE_PARTIAL_FILE:
            return FetchFailure("unexpected EOF")
        case CURLE_WRITE_ERROR where status != 200:
            let phrase = reasonPhrase.isEmpty ? statusText(status) : reasonPhrase
            return FetchFailure("server returned HTTP status \(status) \(phrase)")
        default:
            let detail = unsafe errorText[0] == 0 ? String(cString: curl_easy_strerror(code)) : String(cString: errorText)
            return FetchFailure(whole + detail)
        }
    }

    private func address() -> String {
        var pointer: UnsafeMutablePointer<CChar>?
        unsafe ccurl_get_string(handle, CURLINFO_PRIMARY_IP, &pointer)
        var host = Self.part(url, CURLUPART_HOST) ?? ""
        if let pointer = unsafe pointer, unsafe pointer[0] != 0 {
            host = unsafe String(cString: pointer)
            if host.contains(":") { host = "[\(host)]" }
        }
        return "\(host):\(Self.part(url, CURLUPART_PORT) ?? "")"
    }

    private func resolve(_ location: String) -> String? {
        // SAFETY: the result is ours to free.
        guard let text = unsafe ccurl_resolve(url, location) else { return nil }
        defer { unsafe curl_free(text) }
        return unsafe String(cString: text)
    }

    /// Scheme, host and port: what credentials belong to.
    static func origin(_ url: String) -> [String] {
        [
            part(url, CURLUPART_SCHEME)?.lowercased() ?? "", part(url, CURLUPART_HOST)?.lowercased() ?? "",
            part(url, CURLUPART_PORT) ?? "",
        ]
    }

    private static func replacingHost(of url: String, with host: String) -> String? {
        // SAFETY: the result is ours to free.
        guard let text = unsafe ccurl_replace_host(url, host) else { return nil }
        defer { unsafe curl_free(text) }
        return unsafe String(cString: text)
    }

    private static func part(_ url: String, _ part: CURLUPart) -> String? {
        // SAFETY: the result is ours to free.
        guard let text = unsafe ccurl_url_part(url, part) else { return nil }
        defer { unsafe curl_free(text) }
        return unsafe String(cString: text)
    }
}

private func systemError(_ number: Int) -> String {
    switch Int32(truncatingIfNeeded: number) {
    case EHOSTUNREACH: "no route to host"
    case ENETUNREACH: "network is unreachable"
    case ECONNRESET: "connection reset by peer"
    case ETIMEDOUT: "connection timed out"
    default: "errno \(number)"
    }
}

/// The phrase of a status whose answer carried none, as HTTP/2's do not.
private func statusText(_ status: Int) -> String {
    switch status {
    case 204: "No Content"
    case 301: "Moved Permanently"
    case 302: "Found"
    case 307: "Temporary Redirect"
    case 308: "Permanent Redirect"
    case 400: "Bad Request"
    case 401: "Unauthorized"
    case 403: "Forbidden"
    case 404: "Not Found"
    case 405: "Method Not Allowed"
    case 429: "Too Many Requests"
    case 500: "Internal Server Error"
    case 502: "Bad Gateway"
    case 503: "Service Unavailable"
    case 504: "Gateway Timeout"
    default: ""
    }
}

// C calls these on the fetch thread, where the object lives.
private func transferReceivedBody(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let bytes = unsafe bytes, let context = unsafe context else { return 0 }
    let length = size &* count
    // SAFETY: `context` is the transfer that made the handle, alive as long as it.
    let transfer = unsafe Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
    switch unsafe transfer.receivedBody(bytes, length) {
    case .taken: return length
    case .refused: return 0
    case .later: return Int(CURL_WRITEFUNC_PAUSE)
    }
}

private func transferReceivedHeader(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let bytes = unsafe bytes, let context = unsafe context else { return 0 }
    let length = size &* count
    // SAFETY: as above; the line is valid during the call.
    let transfer = unsafe Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
    unsafe UnsafeRawPointer(bytes).withMemoryRebound(to: UInt8.self, capacity: length) {
        unsafe transfer.receivedHeader(UnsafeBufferPointer(start: $0, count: length))
    }
    return length
}
