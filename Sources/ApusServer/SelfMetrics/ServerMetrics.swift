import ApusMetrics

/// Declares what the server says of itself: its build, its configuration, and what its parts count.
func registerServerMetrics(_ components: ServerComponents, _ options: ServerOptions) throws(MetricError) {
    let registry = components.metrics
    let build = options.build
    try registry.info(
        "prometheus_build_info",
        help:
            "A metric with a constant '1' value labeled by version, revision, branch, goversion from which prometheus was built, "
            + "and the goos and goarch for the build.",
        [
            "version": build.version, "revision": build.revision, "branch": build.branch, "goversion": build.languageVersion,
            "goos": BuildInfo.operatingSystem, "goarch": BuildInfo.architecture, "tags": "",
        ])
    registry.registerProcessMetrics()
    let lifecycle = components.lifecycle
    try registry.gauge(
        "prometheus_ready", help: "Whether Prometheus startup was fully completed and the server is ready for normal operation."
    ) {
        lifecycle.isReady() ? 1 : 0
    }
    let configuration = components.configuration
    try registry.gauge(
        "prometheus_config_last_reload_successful", help: "Whether the last configuration reload attempt was successful."
    ) {
        configuration.snapshot.lastReloadSucceeded ? 1 : 0
    }
    try registry.gauge(
        "prometheus_config_last_reload_success_timestamp_seconds", help: "Timestamp of the last successful configuration reload."
    ) { Double(configuration.snapshot.lastSuccessMs) / 1000 }

    let (engine, queries, storage, scrape) = (components.engine, components.queries, components.storage, components.scrape)
    registry.collect { sink in
        collectScrape(scrape, into: &sink)
        collectEngine(engine, queries, into: &sink)
        collectStorage(storage, into: &sink)
    }
}
