import ApusBytes

// Rules and notifications are not evaluated by this server yet; the answers are those of a server without any, so that
// Grafana's pages work. Parameters are checked all the same.

extension API {
    /// `/rules`.
    func rules(_ request: ServerRequest) throws(APIError) -> APIAnswer {
        let type = request.form["type"]
        guard type.isEmpty || type == "alert" || type == "record" else {
            throw .invalidParameter("type", "not supported value \(goQuoted(type))")
        }
        let excludeAlerts = request.form["exclude_alerts"]
        if !excludeAlerts.isEmpty {
            do { _ = try parseBoolean(excludeAlerts) } catch {
                throw .invalidParameter("exclude_alerts", "error converting exclude_alerts: \(error.message)")
            }
        }
        let groupLimit = request.form["group_limit"]
        if groupLimit.isEmpty {
            if !request.form["group_next_token"].isEmpty {
                throw .invalidParameter(
                    "group_next_token", "group_limit needs to be present in order to paginate over the groups")
            }
        } else {
            let limit: Int
            do { limit = try parseInteger(groupLimit, function: "ParseInt") } catch {
                throw .invalidParameter("group_limit", "group_limit needs to be a valid number: \(error.message)")
            }
            guard limit > 0 else { throw .invalidParameter("group_limit", "group_limit needs to be greater than 0") }
            let token = request.form["group_next_token"]
            // A token names the group to go on with, and there is none.
            guard token.isEmpty else {
                throw .invalidParameter("group_next_token", "invalid group_next_token '\(token)'. were rule groups changed?")
            }
        }
        _ = try request.matcherSets()
        return APIAnswer { json in
            json.object { json in
                json.key("groups")
                json.array { _ in }
            }
        }
    }

    /// `/alerts`.
    func alerts(_ request: ServerRequest) -> APIAnswer {
        APIAnswer { json in
            json.object { json in
                json.key("alerts")
                json.array { _ in }
            }
        }
    }

    /// `/alertmanagers`.
    func alertmanagers(_ request: ServerRequest) -> APIAnswer {
        APIAnswer { json in
            json.object { json in
                json.key("activeAlertmanagers")
                json.array { _ in }
                json.key("droppedAlertmanagers")
                json.array { _ in }
            }
        }
    }
}
