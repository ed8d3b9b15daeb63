import ApusBytes
import ApusConfig
import ApusModel

/// Which histograms of a target are stored in which form: what its job says, unless its own labels say otherwise.
struct HistogramSettings: Sendable, Hashable {
    /// Native histograms are scraped.
    var readsNative: Bool
    /// Classic series stay beside native histograms.
    var keepsClassic: Bool
    /// Classic histograms become native ones with custom bounds.
    var convertsClassic: Bool

    struct LabelError: Error, CustomStringConvertible {
        let description: String
    }

    init(_ labels: LabelSet, _ config: ScrapeConfig) throws(LabelError) {
        readsNative = try Self.flag(labels, "__scrape_native_histograms__") ?? config.scrapeNativeHistograms
        keepsClassic = try Self.flag(labels, "__always_scrape_classic_histograms__") ?? config.alwaysScrapeClassicHistograms
        convertsClassic = try Self.flag(labels, "__convert_classic_histograms_to_nhcb__") ?? config.convertClassicHistogramsToNHCB
    }

    private static func flag(_ labels: LabelSet, _ name: ByteString) throws(LabelError) -> Bool? {
        guard let text = labels[name]?.description else { return nil }
        switch text {
        case "1", "t", "T", "TRUE", "true", "True": return true
        case "0", "f", "F", "FALSE", "false", "False": return false
        default: throw LabelError(description: "error parsing \(name) label \(goQuoted(text)): not true or false")
        }
    }

    /// What to ask the target for: only protobuf carries native histograms, so a target that overrides a job's default gets
    /// the default order that goes with its choice.
    func protocols(_ config: ScrapeConfig) -> [ScrapeProtocol] {
        guard readsNative != config.scrapeNativeHistograms else { return config.scrapeProtocols }
        let usual = config.scrapeNativeHistograms ? ScrapeProtocol.defaultsWithNativeHistograms : ScrapeProtocol.defaults
        guard config.scrapeProtocols == usual else { return config.scrapeProtocols }
        return readsNative ? ScrapeProtocol.defaultsWithNativeHistograms : ScrapeProtocol.defaults
    }
}
