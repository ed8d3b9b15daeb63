public import ApusBytes

/// Why a block cannot be opened, read or written.
public struct BlockError: Error, Sendable, Equatable, CustomStringConvertible {
    public enum Reason: Sendable, Equatable {
        /// `meta.json` is missing or no such file: the directory is no block (yet), and is to be left out.
        case meta
        /// Bytes are not what the format says, or their checksum is not theirs.
        case corrupt
        /// The system refused a call.
        case file(FileError)
        /// The block is being closed.
        case closed
        /// Series or chunks came in an order in which they cannot be written.
        case order
        /// More than the format can address.
        case limit
        /// The caller asked to stop.
        case cancelled
    }
    public let reason: Reason
    /// In the words Prometheus has for it, where it has some.
    public let description: String

    public init(_ reason: Reason, _ description: String) {
        self.reason = reason
        self.description = description
    }
    init(_ error: FileError) { self.init(.file(error), error.description) }

    static func corrupt(_ path: String, _ offset: Int, _ problem: String) -> BlockError {
        BlockError(.corrupt, "\(problem) (\(path), offset \(offset))")
    }

    /// The same, in front of it what was being done.
    func during(_ what: String) -> BlockError { BlockError(reason, "\(what): \(description)") }
}

/// Calls into the file system, with their errors as the block's.
func withFiles<R>(_ body: () throws(FileError) -> R) throws(BlockError) -> R {
    do throws(FileError) { return try body() } catch { throw BlockError(error) }
}
