/// Every path that the server answers, one row each.
extension Route {
    static let all: [Route] = api + pages

    private static let api: [Route] = [
        Route(.get, .post, path: "/api/v1/query", .query { (api, request, completion) throws(APIError) in try api.query(request, completion) }),
        Route(.get, .post, path: "/api/v1/query_range", .query { (api, request, completion) throws(APIError) in try api.queryRange(request, completion) }),
        Route(.get, .post, path: "/api/v1/query_explain", .query { (api, request, completion) throws(APIError) in try api.queryExplain(request, completion) }),
        Route(.delete, .post, path: "/api/v1/query/:id",
            .named { (api, request, id) throws(APIError) in try api.cancelQuery(request, id: id) }),
        Route(.get, .post, path: "/api/v1/query_exemplars", .storage { (api, request) throws(APIError) in try api.queryExemplars(request) }),
        Route(.get, .post, path: "/api/v1/format_query", .quick { (api, request) throws(APIError) in try api.formatQuery(request) }),
        Route(.get, .post, path: "/api/v1/labels", .storage { (api, request) throws(APIError) in try api.labels(request) }),
        Route(.get, path: "/api/v1/label/:name/values",
            .named { (api, request, name) throws(APIError) in try api.labelValues(request, name: name) }),
        Route(.get, .post, path: "/api/v1/series", .storage { (api, request) throws(APIError) in try api.series(request) }),

        Route(.get, path: "/api/v1/targets", .storage { (api, request) in api.targets(request) }),
        Route(.get, path: "/api/v1/targets/metadata", .storage { (api, request) throws(APIError) in try api.targetMetadata(request) }),
        Route(.get, path: "/api/v1/targets/relabel_steps", .quick { (api, request) throws(APIError) in try api.relabelSteps(request) }),
        Route(.get, path: "/api/v1/targets/page", .waiting { (api, request) throws(APIError) in try api.livePage(request) }),
        Route(.get, path: "/api/v1/scrape_pools", .quick { (api, request) in api.scrapePools(request) }),
        Route(.get, path: "/api/v1/metadata", .storage { (api, request) throws(APIError) in try api.metadata(request) }),

        Route(.get, path: "/api/v1/rules", .quick { (api, request) throws(APIError) in try api.rules(request) }),
        Route(.get, path: "/api/v1/alerts", .quick { (api, request) in api.alerts(request) }),
        Route(.get, path: "/api/v1/alertmanagers", .quick { (api, request) in api.alertmanagers(request) }),

        Route(.get, path: "/api/v1/status/active_queries", .quick { (api, request) in api.activeQueries(request) }),
        Route(.get, path: "/api/v1/status/top_queries", .storage { (api, request) throws(APIError) in try api.topQueries(request) }),
        Route(.get, path: "/api/v1/status/buildinfo", .quick { (api, request) in api.buildInfo(request) }),
        Route(.get, path: "/api/v1/status/config", .quick { (api, request) in api.configuration(request) }),
        Route(.get, path: "/api/v1/status/flags", .quick { (api, request) in api.flags(request) }),
        Route(.get, path: "/api/v1/status/runtimeinfo", .quick { (api, request) in api.runtimeInfo(request) }),
        Route(.get, path: "/api/v1/status/walreplay", .quick { (api, request) in api.walReplay(request) }),
        Route(.get, path: "/api/v1/notifications", .quick { (api, request) in api.notifications(request) }),
        Route(.get, path: "/api/v1/status/tsdb/blocks", .storage { (api, request) throws(APIError) in try api.tsdbBlocks(request) }),
        Route(.get, path: "/api/v1/status/tsdb", .storage { (api, request) throws(APIError) in try api.tsdbStatus(request) }),

        Route(.post, .put, path: "/api/v1/admin/tsdb/delete_series",
            .waiting { (api, request) throws(APIError) in try api.deleteSeries(request) }),
        Route(.post, .put, path: "/api/v1/admin/tsdb/clean_tombstones",
            .waiting { (api, request) throws(APIError) in try api.cleanTombstones(request) }),
        Route(.post, .put, path: "/api/v1/admin/tsdb/snapshot", .waiting { (api, request) throws(APIError) in try api.snapshot(request) }),
    ]

    private static let pages: [Route] = [
        Route(.get, path: "/metrics", .report { (pages, request) in pages.metrics(request) }),
        Route(.get, path: "/federate", .report { (pages, request) in pages.federate(request) }),
        Route(.get, path: "/version", .page { (pages, request) in pages.version(request) }),
        Route(.get, .head, path: "/-/healthy", .page { (pages, request) in pages.healthy(request) }),
        Route(.get, .head, path: "/-/ready", .page { (pages, request) in pages.ready(request) }),
        Route(.get, .post, .put, path: "/-/reload", .page { (pages, request) in await pages.reload(request) }),
        Route(.get, .post, .put, path: "/-/quit", .page { (pages, request) in pages.quit(request) }),
    ]
}
