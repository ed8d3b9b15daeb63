/// Lends queries the memory for what they hold, and may refuse. Asked in large pieces, from the engine's threads.
public protocol QueryMemory: Sendable {
    /// Nil when the bytes are lent; else why not, for who asked the query.
    func reserve(_ bytes: Int) -> String?
    func release(_ bytes: Int)
}
