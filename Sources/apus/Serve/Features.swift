import ApusPromQL
import Logging

/// What `--enable-feature` switches on.
struct Features {
    private(set) var parser = ParserOptions()
    private(set) var delayedNameRemoval = false
    private(set) var useStartTimestamps = false
    private(set) var typeAndUnitLabels = false
    private(set) var perStepStatistics = false
    private(set) var exemplarStorage = false
    private(set) var startTimestamps = false
    private(set) var histogramStartTimestamps = false
    private(set) var xor2Chunks = false
    private(set) var metadataRecords = false
    private(set) var autoReload = false
    private(set) var extraScrapeMetrics = false
    private(set) var startZeros = false

    /// - Parameter names: as given, each perhaps several separated by commas. An unknown one is logged and ignored.
    init(_ names: [String], log: Logger) {
        for name in names.flatMap({ $0.split(separator: ",") }) {
            switch name {
            case "promql-experimental-functions": parser.enableExperimentalFunctions = true
            case "promql-extended-range-selectors": parser.enableExtendedRangeSelectors = true
            case "promql-binop-fill-modifiers": parser.enableBinopFill = true
            case "promql-delayed-name-removal": delayedNameRemoval = true
            case "use-start-timestamps": useStartTimestamps = true
            case "promql-per-step-stats": perStepStatistics = true
            case "type-and-unit-labels": typeAndUnitLabels = true
            case "exemplar-storage": exemplarStorage = true
            case "st-storage": startTimestamps = true
            case "histograms-st-encoding": histogramStartTimestamps = true
            // Upstream's older name for storage.tsdb.chunk_encoding.floats: xor2, which goes before it.
            case "xor2-encoding": xor2Chunks = true
            case "created-timestamp-zero-ingestion": startZeros = true
            case "extra-scrape-metrics": extraScrapeMetrics = true
            case "auto-reload-config": autoReload = true
            case "metadata-wal-records": metadataRecords = true
            // On for everybody by now.
            case "memory-snapshot-on-shutdown", "promql-duration-expr", "native-histograms", "ooo-native-histograms":
                break
            default:
                log.warning("Unknown option for --enable-feature", metadata: ["option": "\(name)"])
                continue
            }
            log.info("Feature enabled", metadata: ["feature": "\(name)"])
        }
    }
}
