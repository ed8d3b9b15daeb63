public enum DatabaseLogLevel: Sendable, Equatable { case debug, info, warning, error }

/// How far the replay of a log is.
public struct ReplayProgress: Sendable, Equatable {
    /// Segments there are, checkpoint included, and the one being read.
    public var firstSegment: Int
    public var lastSegment: Int
    public var currentSegment: Int
    /// Bytes read so far.
    public var bytesRead: Int
    public init(firstSegment: Int, lastSegment: Int, currentSegment: Int, bytesRead: Int) {
        self.firstSegment = firstSegment
        self.lastSegment = lastSegment
        self.currentSegment = currentSegment
        self.bytesRead = bytesRead
    }
}

/// Hears what a database does. Called from any thread; it must not call the database, and should return at once.
public protocol DatabaseObserver: Sendable {
    /// - Parameter message: a constant sentence; what differs is in the fields.
    func log(_ level: DatabaseLogLevel, _ message: String, _ fields: [(name: String, value: String)])
    func replayProgress(_ progress: ReplayProgress)
}

/// Hears nothing.
public struct SilentObserver: DatabaseObserver {
    public init() {}
    public func log(_ level: DatabaseLogLevel, _ message: String, _ fields: [(name: String, value: String)]) {}
    public func replayProgress(_ progress: ReplayProgress) {}
}
