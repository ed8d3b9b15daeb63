import ApusModel
import CCurl

/// Makes one request and waits for what comes of it: discovery and tokens, which have threads that may wait.
func fetchAndWait(_ request: FetchRequest, time: any TimeSource) -> FetchOutcome {
    guard curlIsReady, let transfer = Transfer(key: request.key, pool: BufferPool()) else {
        return .failed(FetchFailure("Get \"\(request.url)\": out of memory"))
    }
    transfer.prepare(request, nowNs: time.monotonicNs())
    while true {
        let code = unsafe curl_easy_perform(UnsafeMutableRawPointer(transfer.easy))
        switch transfer.finish(code, nowNs: time.monotonicNs()) {
        case .again: continue
        case .done(let outcome): return outcome
        }
    }
}

/// libcurl's own set-up, once a process.
let curlIsReady: Bool = ccurl_global_init() == CURLE_OK
