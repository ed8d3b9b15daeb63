import ApusExposition

/// What came of one scrape, for the target's status and the counters.
struct ScrapeReport: Equatable, Sendable {
    var timestampMs: Int64
    var durationSeconds = 0.0
    /// In Prometheus's words; nil for success.
    var error: String?
    /// Why the store took no new series of the page, whose other samples are stored; nil when it took all.
    var refusal: String?
    var counts = PageScanner.Counts()
    /// Bytes of the page, unpacked; −1 when it was too large, 0 when there was none.
    var bodyBytes = 0
    var outOfOrder = 0
    var duplicates = 0
    var outOfBounds = 0
    var staleMarkers = 0
    var outOfOrderExemplars = 0
    var exceededBucketLimit = false
    var exceededSampleLimit = false
    var exceededLabelLimit = false
    var exceededBodyLimit = false
    var flushedCache = false

    /// Whether there is something for the log.
    var hasProblems: Bool { error != nil || outOfOrder + duplicates + outOfOrderExemplars + outOfBounds > 0 }
}
