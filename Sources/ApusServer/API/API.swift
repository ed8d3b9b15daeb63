import ApusBytes
import ApusModel
import ApusStorage
import ApusTSDB

/// The handlers of `/api/v1`: `API+Query`, `API+Series`, `API+Targets`, `API+Rules` and `API+Status` hold them by topic,
/// `Routes` says which path is whose, and `Envelope` wraps what they answer.
struct API: Sendable {
    let components: ServerComponents
    let options: ServerOptions

    /// The database; an error until it is open.
    func database() throws(APIError) -> Database {
        guard let database = components.storage.database else { throw APIError(.unavailable, "TSDB not ready") }
        return database
    }

    var nowMs: Int64 { components.time.wallMs() }

    /// Opens the storage for `[minTimeMs, maxTimeMs]`, lends it to `body` and closes it again.
    func withQuerier<R>(
        minTimeMs: Int64, maxTimeMs: Int64, _ body: (any Querier) throws(StorageError) -> R
    ) throws(APIError) -> R {
        do {
            let querier = try components.storage.querier(minTimeMs: minTimeMs, maxTimeMs: maxTimeMs)
            defer { querier.close() }
            return try body(querier)
        } catch {
            throw APIError(.internal, error.description)
        }
    }
}

/// What the answer says when there was more than `limit` allows.
let truncationWarning = "results truncated due to limit"
