import ApusBytes
import ApusModel
import ApusStorage
import ApusTSDB

/// What changes the database. Off unless `--web.enable-admin-api` is given: it deletes, and asks nobody who they are.
extension API {
    /// `/admin/tsdb/delete_series`: marks samples of the series that any selector finds, to be gone at once for readers and
    /// from the disk with a later compaction.
    func deleteSeries(_ request: ServerRequest) throws(APIError) -> APIAnswer {
        try checkAdmin()
        if let problem = request.form.problem { throw APIError(.badData, "error parsing form values: \(problem)") }
        let texts = request.form.all("match[]")
        guard !texts.isEmpty else { throw APIError(.badData, "no match[] parameter provided") }
        let startMs = try request.time("start", default: TimeLimits.minimumMs)
        let endMs = try request.time("end", default: TimeLimits.maximumMs)
        var sets: [[Matcher]] = []
        for text in texts {
            do { sets.append(try parseMatchers(text)) } catch { throw .invalidParameter("match[]", error.message) }
        }
        do { try database().deleteSeries(sets, minTimeMs: startMs, maxTimeMs: endMs) } catch let error as DatabaseError {
            throw APIError(.internal, error.description)
        } catch { throw APIError(.unavailable, "TSDB not ready") }
        return .noContent
    }

    /// `/admin/tsdb/clean_tombstones`: takes what was deleted from the disk.
    func cleanTombstones(_ request: ServerRequest) throws(APIError) -> APIAnswer {
        try checkAdmin()
        do { try database().cleanTombstones() } catch let error as DatabaseError {
            throw APIError(.internal, error.description)
        } catch { throw APIError(.unavailable, "TSDB not ready") }
        return .noContent
    }

    /// `/admin/tsdb/snapshot`: a copy of all blocks, made of links, in a directory of its own, and with it what is only in
    /// the head unless `skip_head` says otherwise.
    func snapshot(_ request: ServerRequest) throws(APIError) -> APIAnswer {
        try checkAdmin()
        let skipHead = try request.boolean("skip_head")
        let name: String
        do { name = try database().snapshot(includingHead: !skipHead) } catch let error as DatabaseError {
            throw APIError(.internal, "create snapshot: \(error)")
        } catch { throw APIError(.unavailable, "TSDB not ready") }
        return APIAnswer { json in
            json.object { json in
                json.key("name")
                json.string(name)
            }
        }
    }

    private func checkAdmin() throws(APIError) {
        guard options.isAdminEnabled else { throw APIError(.unavailable, "admin APIs disabled") }
    }
}

extension ServerRequest {
    /// What Go's `ParseBool` takes; false when not given.
    fileprivate func boolean(_ name: ByteString) throws(APIError) -> Bool {
        let text = form[name]
        switch text.description {
        case "", "0", "f", "F", "false", "FALSE", "False": return false
        case "1", "t", "T", "true", "TRUE", "True": return true
        default:
            throw .invalidParameter(
                name, "unable to parse boolean \(goQuoted(text)): strconv.ParseBool: parsing \(goQuoted(text)): invalid syntax")
        }
    }
}
