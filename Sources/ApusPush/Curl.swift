import CCurl

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// One request of HTTP.
struct CurlRequest: Sendable {
    let method: String
    let url: String
    var headers: [(name: String, value: String)] = []
    let body: [UInt8]
    let timeoutMs: Int
}

struct CurlAnswer: Sendable {
    var status = 0
    /// At most `maximumBytes`.
    var body: [UInt8] = []
    static let maximumBytes = 1 << 20
}

struct CurlFailure: Error { let reason: String }

/// Makes a request on a thread of its own, since libcurl blocks and Swift's threads must not.
func perform(_ request: CurlRequest) async throws(CurlFailure) -> CurlAnswer {
    let result: Result<CurlAnswer, CurlFailure> = await withCheckedContinuation { continuation in
        let work = Work {
            let result: Result<CurlAnswer, CurlFailure>
            do throws(CurlFailure) { result = .success(try performAndWait(request)) } catch { result = .failure(error) }
            continuation.resume(returning: result)
        }
        var thread = pthread_t()
        let context = unsafe Unmanaged.passRetained(work)
        // SAFETY: the thread takes over the reference; where there is no thread, this one does.
        if unsafe pthread_create(&thread, nil, runWork, context.toOpaque()) == 0 {
            pthread_detach(thread)
        } else {
            unsafe context.release()
            continuation.resume(returning: .failure(CurlFailure(reason: "the system has no more threads")))
        }
    }
    return try result.get()
}

private final class Work: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

/// A thread's start. A top-level function: a closure written in isolated code would expect its actor.
private nonisolated func runWork(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    // SAFETY: the context is the reference that `perform` retained for this call.
    if let context = unsafe context { unsafe Unmanaged<Work>.fromOpaque(context).takeRetainedValue().run() }
    return nil
}

/// libcurl's own set-up, once a process.
private let isReady: Bool = ccurl_global_init() == CURLE_OK

private func performAndWait(_ request: CurlRequest) throws(CurlFailure) -> CurlAnswer {
    guard isReady, let easy = unsafe curl_easy_init() else { throw CurlFailure(reason: "libcurl cannot be used") }
    defer { unsafe curl_easy_cleanup(easy) }
    var list: UnsafeMutablePointer<curl_slist>?
    defer { unsafe curl_slist_free_all(list) }
    // Without `Expect` no gateway is asked whether it wants the body.
    for header in request.headers.map({ "\($0.name): \($0.value)" }) + ["Expect:"] {
        // A line end would begin a header of its own.
        guard !header.utf8.contains(where: { $0 < 0x20 }) else {
            throw CurlFailure(reason: "a header contains control characters")
        }
        guard let longer = unsafe curl_slist_append(list, header) else { throw CurlFailure(reason: "out of memory") }
        unsafe list = longer
    }
    let answer = Collected()
    let handle = unsafe UnsafeMutableRawPointer(easy)
    unsafe ccurl_set_string(handle, CURLOPT_URL, request.url)
    unsafe ccurl_set_string(handle, CURLOPT_PROTOCOLS_STR, "http,https")
    unsafe ccurl_set_string(handle, CURLOPT_CUSTOMREQUEST, request.method)
    unsafe ccurl_set_string(handle, CURLOPT_USERAGENT, "apus-push")
    unsafe ccurl_set_long(handle, CURLOPT_NOSIGNAL, 1)
    unsafe ccurl_set_long(handle, CURLOPT_TIMEOUT_MS, max(1, request.timeoutMs))
    unsafe ccurl_set_list(handle, CURLOPT_HTTPHEADER, list)
    unsafe ccurl_set_write(handle, CURLOPT_WRITEFUNCTION, collectBytes)
    unsafe ccurl_set_pointer(handle, CURLOPT_WRITEDATA, Unmanaged.passUnretained(answer).toOpaque())
    let code = unsafe request.body.withUnsafeBytes { body in
        if request.method != "DELETE" {
            unsafe ccurl_set_long(handle, CURLOPT_POSTFIELDSIZE, body.count)
            // SAFETY: libcurl reads the body during the transfer, which ends within this closure. An empty one has no address,
            // and then nothing is read.
            unsafe ccurl_set_pointer(handle, CURLOPT_POSTFIELDS, UnsafeMutableRawPointer(mutating: body.baseAddress))
        }
        // SAFETY: `answer` lives until after the transfer.
        return withExtendedLifetime(answer) { unsafe curl_easy_perform(easy) }
    }
    guard code == CURLE_OK else { throw CurlFailure(reason: unsafe String(cString: curl_easy_strerror(code))) }
    unsafe ccurl_get_long(handle, CURLINFO_RESPONSE_CODE, &answer.answer.status)
    return answer.answer
}

private final class Collected {
    var answer = CurlAnswer()
}

/// libcurl's call for a piece of the body.
private nonisolated func collectBytes(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let bytes = unsafe bytes, let context = unsafe context else { return 0 }
    // SAFETY: the context is the `Collected` of `performAndWait`, which waits for the transfer's end.
    let collected = unsafe Unmanaged<Collected>.fromOpaque(context).takeUnretainedValue()
    let room = CurlAnswer.maximumBytes - collected.answer.body.count
    // SAFETY: libcurl lends `count` bytes for the call; `size` is always 1. What does not fit is thrown away.
    unsafe collected.answer.body.append(contentsOf: UnsafeRawBufferPointer(start: bytes, count: min(count, room)))
    return count
}
