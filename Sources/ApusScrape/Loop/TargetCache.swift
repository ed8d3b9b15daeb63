import ApusBytes
import ApusExposition
import ApusModel
import ApusStorage

/// What is known of a target's pages: its lines, its live series, its metadata. Outlives a reload that changes neither
/// the target nor how its labels are made.
final class TargetCache: Sendable {
    let rules: SampleRules
    private let content: Content
    private let gate = Locked(())
    let metadata = Locked(MetadataCache())
    /// As of the last page, so that asking does not wait for one.
    let size = Locked(Size())

    struct Size: Sendable {
        var lines = 0
        var bytes = 0
    }

    init(rules: SampleRules) {
        self.rules = rules
        content = Content(seed: UInt64.random(in: .min ... .max))
    }

    /// Hands out the content to one thread at a time, for as long as a page takes. Nobody waits in the usual case: a loop
    /// is in one worker's hands at a time, and only the loop that follows it after a reload may come too early.
    func exclusively(_ body: (Content) -> Void) {
        gate.withLock { _ in
            body(content)
            let now = Size(lines: content.scanner.lineCount, bytes: content.scanner.sizeBytes)
            size.withLock { $0 = now }
        }
    }

    final class Content: @unchecked Sendable {
        // `@unchecked`: touched by `exclusively` alone, which holds the gate.
        var scanner: PageScanner
        /// The refs of the report series, in the order of `ReportSeries.allCases`, made at the first scrape.
        var reportRefs: [SeriesRef] = []
        /// When the counting of series began, by ref, for those whose zero was stored; only with `injectsStartZeros`.
        var starts: [UInt64: Int64] = [:]
        init(seed: UInt64) { scanner = PageScanner(seed: seed) }
    }
}

/// The series that a scrape says about itself.
enum ReportSeries: ByteString, CaseIterable {
    case up = "up"
    case duration = "scrape_duration_seconds"
    case samplesScraped = "scrape_samples_scraped"
    case samplesKept = "scrape_samples_post_metric_relabeling"
    case seriesAdded = "scrape_series_added"
    // The following only with `extra_scrape_metrics`.
    case timeout = "scrape_timeout_seconds"
    case sampleLimit = "scrape_sample_limit"
    case bodySize = "scrape_body_size_bytes"

    static let usual: [ReportSeries] = [.up, .duration, .samplesScraped, .samplesKept, .seriesAdded]
}
