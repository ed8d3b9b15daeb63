import ApusBytes
import ApusExposition
import ApusModel
import ApusStorage

/// Turns one answer into stored samples: unpack, scan, append, report. One per worker thread, with the memory it reuses.
final class ScrapeAppender {
    private let store: any SampleStore
    private let time: any TimeSource
    private let pool: BufferPool
    private let inflater = Inflater()
    private let scratch = ScanScratch()
    private var batch = SampleBatch()

    /// Samples later than this after now are refused: a wrong clock must not block the right samples that follow.
    static let maxFutureMs: Int64 = 600_000

    init(store: any SampleStore, time: any TimeSource, pool: BufferPool) {
        self.store = store
        self.time = time
        self.pool = pool
    }

    /// Stores what a fetch brought, or that it failed. Takes over the body.
    func process(_ outcome: FetchOutcome, loop: ScrapeLoop, timestampMs: Int64, startedNs: UInt64) -> ScrapeReport {
        var report = ScrapeReport(timestampMs: timestampMs)
        var page: BodyBuffer?
        do throws(FetchFailure) {
            page = try unpack(outcome, loop: loop)
            report.bodyBytes = page?.count ?? 0
            if let page, page.count > 0, case .page(_, let contentType, _) = outcome,
                let reason = refusal(ofContentType: contentType, fallback: loop.config.fallbackScrapeProtocol)
            {
                report.error = reason
            }
        } catch {
            report.error = error.reason
            report.exceededBodyLimit = error.isBodyLimit
            if error.isBodyLimit { report.bodyBytes = -1 }
        }
        loop.cache.exclusively { content in
            store(page, content, loop: loop, startedNs: startedNs, report: &report)
        }
        if let page { pool.giveBack(page) }
        scratch.trim()
        return report
    }

    /// Ends a target that is gone: staleness markers for its series and its report series.
    func endOfRun(_ loop: ScrapeLoop, timestampMs: Int64) {
        loop.cache.exclusively { content in
            batch.removeAll()
            appendStale(content.scanner.endAll(), timestampMs: timestampMs)
            for ref in content.reportRefs { batch.append(ref, timestampMs: timestampMs, value: StaleNaN.value) }
            // Samples of a target that came back are newer: a marker between them would end what goes on.
            batch.refusesOutOfOrder = true
            _ = try? store.append(batch)
        }
    }

    // MARK: Body

    private func unpack(_ outcome: FetchOutcome, loop: ScrapeLoop) throws(FetchFailure) -> BodyBuffer {
        let body: BodyBuffer
        let isGzip: Bool
        switch outcome {
        case .failed(let failure): throw failure
        case .page(let bytes, _, let gzip):
            body = bytes
            isGzip = gzip
        }
        var page = body
        if isGzip {
            let unpacked = pool.take()
            defer { pool.giveBack(body) }
            do throws(InflateError) {
                try inflater.gunzip(body, into: unpacked, limit: loop.bodyLimit)
            } catch {
                pool.giveBack(unpacked)
                switch error {
                case .notGzip: throw FetchFailure(body.count == 0 ? "EOF" : "gzip: invalid header")
                case .truncated: throw FetchFailure("unexpected EOF")
                case .corrupt: throw FetchFailure("gzip: corrupt or truncated body")
                case .outOfMemory: throw FetchFailure("out of memory for a body of \(body.count) packed bytes")
                case .tooLarge: throw .bodySizeLimit
                }
            }
            page = unpacked
        }
        guard page.count < loop.bodyLimit else {
            pool.giveBack(page)
            throw .bodySizeLimit
        }
        return page
    }

    // MARK: Samples

    private func store(
        _ page: BodyBuffer?, _ content: TargetCache.Content, loop: ScrapeLoop, startedNs: UInt64, report: inout ScrapeReport
    ) {
        batch.removeAll()
        var sampleCount = 0
        if report.error == nil, let page, page.count > 0 {
            let bodyBytes = page.count
            // The scanner's loops stop at the newline that ends a page.
            if unsafe page.start?[bodyBytes - 1] != UInt8(ascii: "\n"), !page.append(UInt8(ascii: "\n")) {
                report.error = "out of memory for a body of \(bodyBytes) bytes"
            } else {
                report.error = scan(page, content, loop: loop, report: &report)
            }
        }
        if report.error == nil, let page, page.count > 0 {
            sampleCount = batch.count
            let ended = content.scanner.commit(scratch)
            report.staleMarkers = ended.count
            appendStale(ended, timestampMs: report.timestampMs)
        } else {
            // Nothing of a failed or empty scrape is stored, and every series of the one before ends.
            batch.removeAll()
            let (ended, forgot) = content.scanner.abort()
            report.staleMarkers = ended.count
            report.flushedCache = forgot
            appendStale(ended, timestampMs: report.timestampMs)
        }
        report.durationSeconds = Double(time.monotonicNs() &- startedNs) / 1e9
        let reportStart = batch.count
        appendReport(content, loop: loop, report: &report)
        do {
            let outcome = try store.append(batch)
            count(outcome, sampleCount: sampleCount, reportStart: reportStart, content: content, page: page, loop: loop, report: &report)
        } catch {
            report.error = report.error ?? describe(error)
        }
    }

    /// Scans a page into the batch. Returns why it failed, or nil.
    private func scan(
        _ page: BodyBuffer, _ content: TargetCache.Content, loop: ScrapeLoop, report: inout ScrapeReport
    ) -> String? {
        var options = PageScanner.Options(timestampMs: report.timestampMs)
        options.honorTimestamps = loop.config.honorTimestamps
        options.tracksExplicitTimestamps = loop.config.trackTimestampsStaleness
        options.maxTimestampMs = time.wallMs() &+ Self.maxFutureMs
        var resolver = StoreResolver(store: store, rules: loop.rules, sampleLimit: loop.config.limits.samples)
        var failure: String?
        page.withSpan { span in
            do throws(ScanError) {
                try content.scanner.scan(span, options: options, scratch: scratch, resolver: &resolver)
            } catch { failure = error.description }
        }
        report.counts = content.scanner.counts
        report.duplicates = content.scanner.counts.duplicates
        report.outOfBounds = content.scanner.counts.outOfBounds
        report.exceededLabelLimit = resolver.exceededLabelLimit
        let limit = loop.config.limits.samples
        if resolver.exceededSampleLimit || (limit > 0 && scratch.count > limit) {
            report.exceededSampleLimit = true
            failure = failure ?? "sample limit exceeded"
        }
        keepMetadata(resolver, page: page, loop: loop)
        if failure == nil { appendScanned() }
        return failure
    }

    private func appendScanned() {
        unsafe scratch.withColumns { refs, timestamps, values in
            batch.refs.reserveCapacity(refs.count + 16)
            // SAFETY: a `SeriesRef` is one `UInt64` and nothing else.
            unsafe refs.withMemoryRebound(to: SeriesRef.self) { unsafe batch.refs.append(contentsOf: $0) }
            unsafe batch.timestampsMs.append(contentsOf: timestamps)
            unsafe batch.values.append(contentsOf: values)
        }
    }

    private func appendStale(_ refs: [UInt64], timestampMs: Int64) {
        for ref in refs { batch.append(SeriesRef(rawValue: ref), timestampMs: timestampMs, value: StaleNaN.value) }
    }

    private func keepMetadata(_ resolver: StoreResolver, page: BodyBuffer, loop: ScrapeLoop) {
        guard !resolver.help.isEmpty || !resolver.types.isEmpty else { return }
        let present = page.withSpan { metadataNames($0) }
        loop.cache.metadata.withLock { metadata in
            for (name, text) in resolver.help { metadata.setHelp(name, text) }
            for (name, type) in resolver.types { metadata.setType(name, type) }
            metadata.retain(present)
        }
    }

    // MARK: Report

    private func appendReport(_ content: TargetCache.Content, loop: ScrapeLoop, report: inout ScrapeReport) {
        let series = loop.config.extraScrapeMetrics ? ReportSeries.allCases : ReportSeries.usual
        if content.reportRefs.count != series.count {
            var refs: [SeriesRef] = []
            for one in series {
                do { refs.append(try store.seriesRef(for: loop.rules.reportLabels(one.rawValue))) } catch {
                    report.error = report.error ?? describe(error)
                    return
                }
            }
            content.reportRefs = refs
        }
        for (one, ref) in zip(series, content.reportRefs) {
            let value: Double =
                switch one {
                case .up: report.error == nil ? 1 : 0
                case .duration: report.durationSeconds
                case .samplesScraped: Double(report.counts.scraped)
                case .samplesKept: Double(report.counts.kept)
                case .seriesAdded: Double(report.counts.added)
                case .timeout: Double(loop.target.timeoutMs) / 1000
                case .sampleLimit: Double(loop.config.limits.samples)
                case .bodySize: Double(report.bodyBytes)
                }
            batch.append(ref, timestampMs: report.timestampMs, value: value)
        }
    }

    private func count(
        _ outcome: AppendOutcome, sampleCount: Int, reportStart: Int, content: TargetCache.Content, page: BodyBuffer?,
        loop: ScrapeLoop, report: inout ScrapeReport
    ) {
        var unknown: Set<UInt64> = []
        var reportIsUnknown = false
        for rejection in outcome.rejections where rejection.part == .float {
            guard rejection.index < sampleCount else {
                // Staleness markers may come too late, and report series have no one to tell.
                if rejection.index >= reportStart && rejection.reason == .unknownSeries { reportIsUnknown = true }
                continue
            }
            switch rejection.reason {
            case .outOfOrder: report.outOfOrder += 1
            case .duplicateTimestamp: report.duplicates += 1
            case .outOfBounds, .tooOld: report.outOfBounds += 1
            case .invalidHistogram, .outOfOrderExemplar, .duplicateExemplar, .exemplarLabelsTooLong: break
            case .unknownSeries: unknown.insert(batch.refs[rejection.index].rawValue)
            }
        }
        if reportIsUnknown {
            content.reportRefs = []
            batch.removeAll()
            appendReport(content, loop: loop, report: &report)
            _ = try? store.append(batch)
        }
        if !unknown.isEmpty, let page { appendForgotten(unknown, content, page: page, loop: loop, report: report) }
    }

    /// The store has dropped series that the cache still had refs of: resolves their lines anew and stores their samples.
    private func appendForgotten(
        _ refs: Set<UInt64>, _ content: TargetCache.Content, page: BodyBuffer, loop: ScrapeLoop, report: ScrapeReport
    ) {
        var stored: Set<UInt64> = []
        unsafe scratch.withColumns { known, _, _ in
            for index in known.indices { unsafe stored.insert(known[index]) }
        }
        content.scanner.forget(refs)
        batch.removeAll()
        var again = report
        guard scan(page, content, loop: loop, report: &again) == nil else {
            _ = content.scanner.abort()
            return
        }
        _ = content.scanner.commit(scratch)
        var fresh = SampleBatch()
        for index in 0..<batch.count where !stored.contains(batch.refs[index].rawValue) {
            fresh.append(batch.refs[index], timestampMs: batch.timestampsMs[index], value: batch.values[index])
        }
        _ = try? store.append(fresh)
    }
}

private func describe(_ error: AppendError) -> String {
    switch error {
    case .limit(let text), .unavailable(let text): text
    }
}

/// The names that the `# HELP` and `# TYPE` lines of a page are about.
private func metadataNames(_ page: Span<UInt8>) -> Set<ByteString> {
    var names: Set<ByteString> = []
    var parser = TextParser()
    var index = 0
    while index < page.count {
        if page[index] == UInt8(ascii: "#") {
            parser.offset = index
            switch try? parser.next(page) {
            case .help(let name, _): names.insert(name)
            case .type(let name, _): names.insert(name)
            default: break
            }
        }
        while index < page.count && page[index] != UInt8(ascii: "\n") { index += 1 }
        index += 1
    }
    return names
}

/// Makes a line that is met for the first time a series of the store.
private struct StoreResolver: SeriesResolver {
    let store: any SampleStore
    let rules: SampleRules
    let sampleLimit: Int
    var help: [(ByteString, ByteString)] = []
    var types: [(ByteString, MetricType)] = []
    var exceededSampleLimit = false
    var exceededLabelLimit = false

    init(store: any SampleStore, rules: SampleRules, sampleLimit: Int) {
        self.store = store
        self.rules = rules
        self.sampleLimit = sampleLimit
    }

    mutating func resolve(_ labels: [Label], accepted: Int) throws(ScanError) -> SeriesResolution {
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
        do { return .series(try store.seriesRef(for: series).rawValue) } catch { throw .refused(describe(error)) }
    }

    mutating func foundHelp(_ name: ByteString, _ text: ByteString) { help.append((name, text)) }
    mutating func foundType(_ name: ByteString, _ type: MetricType) { types.append((name, type)) }
}
