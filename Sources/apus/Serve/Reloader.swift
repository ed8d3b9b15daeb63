import ApusConfig
import ApusModel
import ApusScrape
import ApusServer
import Logging
import ServiceLifecycle
import UnixSignals

/// Loads the configuration again and hands it to those who act on it. A configuration that can't be loaded changes
/// nothing: the one in force stays, and the failure is logged and shows in the metrics.
final class Reloader: Sendable {
    private let file: String
    private let scrape: ScrapeManager
    private let state: ConfigurationState
    private let time: any TimeSource
    private let log = Logger(label: "config")
    /// One reload at a time.
    private let gate = ReloadGate()

    init(file: String, scrape: ScrapeManager, state: ConfigurationState, time: any TimeSource) {
        self.file = file
        self.scrape = scrape
        self.state = state
        self.time = time
    }

    /// Returns what went wrong, or nil.
    func reload() async -> String? {
        await gate.run { [self] in
            log.info("Loading configuration file", metadata: ["filename": "\(file)"])
            do {
                apply(try PrometheusConfig.load(file: file))
                log.info("Completed loading of configuration file", metadata: ["filename": "\(file)"])
                return nil
            } catch {
                state.failed()
                log.error("Error reloading config", metadata: ["err": "\(error)"])
                return "\(error)"
            }
        }
    }

    func apply(_ configuration: PrometheusConfig) {
        for section in configuration.inactiveSections {
            log.warning("This section is read but nothing acts on it yet", metadata: ["section": "\(section)"])
        }
        scrape.apply(configuration)
        state.loaded(configuration, yaml: configuration.effectiveYAML(), atMs: time.wallMs())
    }
}

/// Runs one thing after the other.
private actor ReloadGate {
    func run(_ body: @Sendable () -> String?) -> String? { body() }
}

/// SIGHUP asks for a reload.
struct ReloadSignal: Service {
    let reloader: Reloader

    func run() async throws {
        for await _ in await UnixSignalsSequence(trapping: .sighup).cancelOnGracefulShutdown() {
            _ = await reloader.reload()
        }
    }
}
