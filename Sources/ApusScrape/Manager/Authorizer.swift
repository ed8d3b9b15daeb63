import ApusConfig
import ApusModel

/// Gets tokens for scrapes that need one first, away from the fetch thread and from the workers: a thread for each `oauth2`
/// section, so that a slow server delays its own targets only.
final class Authorizer: Sendable {
    let tokens: TokenStore
    private struct Worker {
        let queue: BlockingQueue<@Sendable () -> Void>
        let thread: PosixThread
    }
    private struct State {
        var workers: [HTTPClientConfig.OAuth2: Worker] = [:]
        var retired: [Worker] = []
        var isStopped = false
    }
    private let state = Locked(State())

    init(tokens: TokenStore) { self.tokens = tokens }

    /// Calls `then` on a thread of its own, with the token or why there is none.
    func authorize(
        _ config: HTTPClientConfig.OAuth2, timeoutMs: Int64, then: @escaping @Sendable (Result<OAuth2Token, CredentialError>) -> Void
    ) {
        let queue = state.withLock { state -> BlockingQueue<@Sendable () -> Void>? in
            if let worker = state.workers[config] { return worker.queue }
            if state.isStopped { return nil }
            let queue = BlockingQueue<@Sendable () -> Void>()
            let thread = PosixThread {
                while let job = queue.pop() { job() }
            }
            guard let thread else { return nil }
            state.workers[config] = Worker(queue: queue, thread: thread)
            return queue
        }
        guard let queue else {
            then(.failure(CredentialError(description: "oauth2: the system gives no more threads")))
            return
        }
        queue.push { [tokens] in
            do throws(CredentialError) { then(.success(try tokens.fetch(config, timeoutMs: timeoutMs))) } catch { then(.failure(error)) }
        }
    }

    /// Threads of other sections end when they have done what they are at.
    func keep(_ configs: Set<HTTPClientConfig.OAuth2>) {
        state.withLock { state in
            for (config, worker) in state.workers where !configs.contains(config) {
                worker.queue.close()
                state.retired.append(worker)
                state.workers[config] = nil
            }
        }
    }

    /// Waits until no thread runs.
    func stop() {
        let workers = state.withLock { state -> [Worker] in
            state.isStopped = true
            defer {
                state.workers = [:]
                state.retired = []
            }
            return Array(state.workers.values) + state.retired
        }
        for worker in workers { worker.queue.close() }
        for worker in workers { worker.thread.join() }
    }
}
