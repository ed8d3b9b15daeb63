import ArgumentParser

/// The command `apus`. Without a subcommand it serves, so that the command lines of Prometheus work as they are.
@main
struct Apus: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apus",
        abstract: "A monitoring system that speaks Prometheus.",
        discussion: """
            Examples:
              apus serve --config.file=prometheus.yml
                  Scrape what the file lists; query and graph it at http://localhost:9090/
              apus --config.file=prometheus.yml --web.listen-address=127.0.0.1:9091 --storage.tsdb.retention.time=2d
                  The same, as Prometheus would be called.
              apus check config prometheus.yml
                  Read a configuration as the server would, and say what is wrong with it.
              curl -s http://localhost:8080/metrics | apus check metrics
                  Check a page of metrics.
              apus tsdb list -r data/
                  Show the blocks of a data directory; analyze and verify look into them.
              apus query instant http://localhost:9090 'sum(up)'
                  Ask a server.
              apus explain 'rate(http_requests_total[15s])'
                  Show what each part of a query does, and why it is empty.
              apus test promql my.test
                  Run scripts that load series, evaluate expressions and compare the results.
            """,
        version: Version.text,
        subcommands: [Serve.self, Check.self, Test.self, TSDB.self, Query.self, Explain.self, PromQL.self],
        defaultSubcommand: Serve.self)
}
