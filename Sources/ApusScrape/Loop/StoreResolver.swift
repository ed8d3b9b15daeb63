import ApusBytes
import ApusExposition
import ApusModel
import ApusStorage

/// Makes a line that is met for the first time a series of the store, and collects what a page says of its families.
struct StoreResolver: SeriesResolver {
    let store: any SampleStore
    let rules: SampleRules
    let sampleLimit: Int
    /// Whether `newSeries` is wanted.
    let keepsNew: Bool
    var newSeries: [SeriesRef] = []
    var help: [(ByteString, ByteString)] = []
    var types: [(ByteString, MetricType)] = []
    var units: [(ByteString, ByteString)] = []
    var exceededSampleLimit = false
    var exceededLabelLimit = false
    /// Why the store took no new series.
    var refusal: String?

    init(store: any SampleStore, rules: SampleRules, sampleLimit: Int, keepsNew: Bool) {
        self.store = store
        self.rules = rules
        self.sampleLimit = sampleLimit
        self.keepsNew = keepsNew
    }

    mutating func resolve(_ labels: PageLabels, accepted: Int) throws(ScanError) -> SeriesResolution {
        let series: LabelSet
        do throws(SampleRules.Refusal) {
            guard let made = try rules.seriesLabels(labels) else { return .dropped }
            series = made
        } catch {
            exceededLabelLimit = error.isLabelLimit
            throw .refused(error.reason)
        }
        if sampleLimit > 0 && accepted >= sampleLimit {
            // The scrape has failed, but its lines are still counted; series of it must not be made.
            exceededSampleLimit = true
            return .refused
        }
        do throws(AppendError) {
            let ref = try store.seriesRef(for: series)
            if keepsNew { newSeries.append(ref) }
            return .series(ref.rawValue)
        } catch {
            guard case .limit(let reason) = error else { throw .refused(describe(error)) }
            // The store holds no more series than it may; that costs the new ones, and not those that are there.
            refusal = reason
            return .refused
        }
    }

    mutating func foundHelp(_ name: ByteString, _ text: ByteString) { help.append((name, text)) }
    mutating func foundType(_ name: ByteString, _ type: MetricType) { types.append((name, type)) }
    mutating func foundUnit(_ name: ByteString, _ unit: ByteString) { units.append((name, unit)) }
}
