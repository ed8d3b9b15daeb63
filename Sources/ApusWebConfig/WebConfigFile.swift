public import ApusBytes
public import ApusModel

/// A web configuration file that is read again whenever it, or a file that it names, has changed.
///
/// Prometheus reads the file at each request. So do we, as far as anyone can tell: at each request the files' times and
/// sizes are looked at, and only what changed is read.
public final class WebConfigFile: Sendable {
    /// What a file was when it was read.
    private struct Stamp: Equatable {
        let path: String
        let status: FileStatus?
    }
    /// What is in force.
    public struct Content: Sendable {
        public let config: WebConfig
        /// Nil without TLS.
        public let tls: TLSServerContext?
    }
    private struct State {
        var stamps: [Stamp] = []
        var content: Result<Content, WebConfigError>
    }

    public let path: String
    public let passwords = PasswordChecker()
    private let fileSystem: any FileSystem
    private let state: Locked<State>
    private let limiter: RateLimiter?
    /// Whether the listener speaks TLS: that is decided at the start, as with Prometheus.
    public let hasTLS: Bool

    /// Reads and checks the file and all it names. Blocks.
    public init(_ path: String, fileSystem: any FileSystem = PosixFileSystem(), time: any TimeSource = SystemTime())
        throws(WebConfigError)
    {
        self.path = path
        self.fileSystem = fileSystem
        let (stamps, content) = Self.read(path, fileSystem)
        let first = try content.get()
        hasTLS = first.tls != nil
        limiter = first.config.rateLimit.map { RateLimiter($0, time: time) }
        state = Locked(State(stamps: stamps, content: content))
    }

    /// What the file says now. Blocks while it is read again.
    public func current() throws(WebConfigError) -> Content {
        let content = state.withLock { state in
            if state.stamps != state.stamps.map({ Self.stamp($0.path, fileSystem) }) {
                (state.stamps, state.content) = Self.read(path, fileSystem)
            }
            return state.content
        }
        return try content.get()
    }

    /// Whether `rate_limit` lets a request pass.
    public func admits() -> Bool { limiter?.admits() ?? true }

    private static func stamp(_ path: String, _ fileSystem: any FileSystem) -> Stamp {
        Stamp(path: path, status: (try? fileSystem.status(path)) ?? nil)
    }

    private static func read(_ path: String, _ fileSystem: any FileSystem) -> ([Stamp], Result<Content, WebConfigError>) {
        // Before reading: what changes meanwhile is read once more.
        var stamps = [stamp(path, fileSystem)]
        do {
            let config = try WebConfig.load(path, fileSystem: fileSystem)
            stamps += config.tls.files.map { stamp($0, fileSystem) }
            let tls = config.tls.isEnabled ? try TLSServerContext(config.tls, fileSystem: fileSystem) : nil
            return (stamps, .success(Content(config: config, tls: tls)))
        } catch let error as WebConfigError {
            return (stamps, .failure(error))
        } catch {
            return (stamps, .failure(WebConfigError("\(error)")))
        }
    }
}

/// A bucket of tokens that fills by one each interval.
final class RateLimiter: Sendable {
    private struct State {
        var tokens: Double
        var lastNs: UInt64
    }
    private let limit: WebConfig.RateLimit
    private let time: any TimeSource
    private let state: Locked<State>

    init(_ limit: WebConfig.RateLimit, time: any TimeSource) {
        self.limit = limit
        self.time = time
        state = Locked(State(tokens: Double(limit.burst), lastNs: time.monotonicNs()))
    }

    func admits() -> Bool {
        let now = time.monotonicNs()
        return state.withLock { state in
            let gained = Double(now &- state.lastNs) / 1e6 / Double(limit.intervalMs)
            state.tokens = min(Double(limit.burst), state.tokens + gained)
            state.lastNs = now
            guard state.tokens >= 1 else { return false }
            state.tokens -= 1
            return true
        }
    }
}
