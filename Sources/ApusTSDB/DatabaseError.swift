import ApusBytes
import ApusStorage

/// Why a database cannot be opened, or a request to it not be carried out.
public struct DatabaseError: Error, Sendable, CustomStringConvertible {
    public enum Reason: Sendable, Equatable {
        /// Another process has the directory.
        case locked
        /// The directory cannot be made, read or written.
        case directory
        /// A file is damaged in a way that is not repaired by itself.
        case corrupt
        /// The request makes no sense, or not for a database in memory or opened for reading only.
        case unsupported
        case closed
        /// The disk refused.
        case failed
    }
    public let reason: Reason
    public let description: String
    public init(_ reason: Reason, _ description: String) {
        self.reason = reason
        self.description = description
    }
}

extension DatabaseError {
    init(_ what: String, _ error: FileError) { self.init(.failed, "\(what): \(error)") }
    init(_ what: String, _ error: BlockError) {
        switch error.reason {
        case .corrupt, .meta: self.init(.corrupt, "\(what): \(error)")
        case .closed, .cancelled: self.init(.closed, "\(what): \(error)")
        case .file, .order, .limit: self.init(.failed, "\(what): \(error)")
        }
    }
    init(_ what: String, _ error: WALError) {
        if case .corrupt = error { self.init(.corrupt, "\(what): \(error)") } else { self.init(.failed, "\(what): \(error)") }
    }
}

/// Calls into the parts, with their errors as the database's. `what` is what was being done.
func during<R>(_ what: @autoclosure () -> String, _ body: () throws(FileError) -> R) throws(DatabaseError) -> R {
    do throws(FileError) { return try body() } catch { throw DatabaseError(what(), error) }
}
func duringBlock<R>(_ what: @autoclosure () -> String, _ body: () throws(BlockError) -> R) throws(DatabaseError) -> R {
    do throws(BlockError) { return try body() } catch { throw DatabaseError(what(), error) }
}
func duringLog<R>(_ what: @autoclosure () -> String, _ body: () throws(WALError) -> R) throws(DatabaseError) -> R {
    do throws(WALError) { return try body() } catch { throw DatabaseError(what(), error) }
}
