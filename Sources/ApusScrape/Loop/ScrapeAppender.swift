import ApusBytes
import ApusExposition
import ApusModel
import ApusStorage
import Glibc

/// Turns one answer into stored samples: unpack, scan, append, report. One per thread, with the memory it reuses.
final class ScrapeAppender {
    private let store: any SampleStore
    private let time: any TimeSource
    private let pool: BufferPool
    private let inflater = Inflater()
    private let scratch = ScanScratch()
    private var batch = SampleBatch()
    private var zeros = SampleBatch()

    /// Samples later than this after now are refused: a wrong clock must not block the right samples that follow.
    static let maxFutureMs: Int64 = 600_000

    init(store: any SampleStore, time: any TimeSource, pool: BufferPool) {
        self.store = store
        self.time = time
        self.pool = pool
    }

    /// Stores what a fetch brought, or that it failed. Takes over the body.
    func process(_ outcome: FetchOutcome, loop: ScrapeLoop, timestampMs: Int64, startedNs: UInt64) -> ScrapeReport {
        process(outcome, Result { () throws(FetchFailure) in try unpack(outcome, loop: loop) }, loop, timestampMs, startedNs)
    }

    /// Stores a page that has no more than `limit` bytes unpacked. Nil when it has more, or cannot be unpacked: then the body is as it was.
    func processSmall(
        _ outcome: FetchOutcome, limit: Int, loop: ScrapeLoop, timestampMs: Int64, startedNs: UInt64
    ) -> ScrapeReport? {
        guard case .page(let body, _, let coding) = outcome else { return nil }
        var page = body
        if coding != .identity {
            page = pool.take()
            do throws(InflateError) { try inflater.unpack(body, coding, into: page, limit: limit) } catch {
                pool.giveBack(page)
                return nil
            }
        }
        guard page.count <= limit, page.count < loop.bodyLimit else {
            if coding != .identity { pool.giveBack(page) }
            return nil
        }
        if coding != .identity { pool.giveBack(body) }
        return process(outcome, .success(page), loop, timestampMs, startedNs)
    }

    private func process(
        _ outcome: FetchOutcome, _ unpacked: Result<BodyBuffer, FetchFailure>, _ loop: ScrapeLoop, _ timestampMs: Int64, _ startedNs: UInt64
    ) -> ScrapeReport {
        var report = ScrapeReport(timestampMs: timestampMs)
        var page: BodyBuffer?
        var format = PageFormat.text
        do throws(FetchFailure) {
            page = try unpacked.get()
            report.bodyBytes = page?.count ?? 0
            if let page, page.count > 0, case .page(_, let contentType, _) = outcome {
                do throws(ContentTypeRefusal) {
                    format = try pageFormat(contentType: contentType, fallback: loop.config.fallbackScrapeProtocol)
                } catch { report.error = error.reason }
            }
        } catch {
            report.error = error.reason
            report.exceededBodyLimit = error.isBodyLimit
            if error.isBodyLimit { report.bodyBytes = -1 }
        }
        loop.cache.exclusively { content in
            store(page, format, content, loop: loop, startedNs: startedNs, report: &report)
        }
        if let page { pool.giveBack(page) }
        scratch.trim()
        return report
    }

    /// Ends a target that is gone: staleness markers for its series and its report series.
    func endOfRun(_ loop: ScrapeLoop, timestampMs: Int64) {
        loop.cache.exclusively { content in
            batch.removeAll()
            batch.refusesOutOfOrder = true
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
        let coding: BodyCoding
        switch outcome {
        case .failed(let failure): throw failure
        case .page(let bytes, _, let packed):
            body = bytes
            coding = packed
        }
        var page = body
        if coding != .identity {
            let unpacked = pool.take()
            defer { pool.giveBack(body) }
            do throws(InflateError) {
                try inflater.unpack(body, coding, into: unpacked, limit: loop.bodyLimit)
            } catch {
                pool.giveBack(unpacked)
                throw error.reason(packedBytes: body.count)
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
        _ page: BodyBuffer?, _ format: PageFormat, _ content: TargetCache.Content, loop: ScrapeLoop, startedNs: UInt64,
        report: inout ScrapeReport
    ) {
        batch.removeAll()
        var sampleCount = 0
        if report.error == nil, let page, page.count > 0 {
            let bodyBytes = page.count
            // The scanner's loops stop at the newline that ends a page of text.
            if format != .protobuf, unsafe page.start?[bodyBytes - 1] != UInt8(ascii: "\n"), !page.append(UInt8(ascii: "\n")) {
                report.error = "out of memory for a body of \(bodyBytes) bytes"
            } else {
                report.error = scan(page, format, content, loop: loop, report: &report)
            }
        }
        if report.error == nil, let page, page.count > 0 {
            sampleCount = batch.count
            if loop.options.injectsStartZeros { appendStartZeros(content) }
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
            let outcome = try appendBatch()
            let parts = SampleParts(floats: sampleCount, reportStart: reportStart)
            let again = count(outcome, parts, content: content, loop: loop, report: &report)
            if !again.isEmpty, let page { appendForgotten(again, content, page: page, format: format, loop: loop, report: report) }
        } catch {
            report.error = report.error ?? describe(error)
        }
    }

    /// Samples that a store takes at once. A page of a million would keep everyone from the store for a second and more.
    static let sliceCount = 1 << 16

    /// Appends the batch: as a whole, but for a page of more than `sliceCount` samples, whose parts become visible one after
    /// the other.
    private func appendBatch() throws(AppendError) -> AppendOutcome {
        guard batch.count > Self.sliceCount else { return try store.append(batch) }
        var outcome = AppendOutcome()
        var start = 0
        while start < batch.count {
            let end = min(start + Self.sliceCount, batch.count)
            var slice = SampleBatch()
            slice.refusesOutOfOrder = batch.refusesOutOfOrder
            slice.refs = Array(batch.refs[start..<end])
            slice.timestampsMs = Array(batch.timestampsMs[start..<end])
            slice.values = Array(batch.values[start..<end])
            if !batch.startTimestampsMs.isEmpty { slice.startTimestampsMs = Array(batch.startTimestampsMs[start..<end]) }
            if end == batch.count {
                slice.histograms = batch.histograms
                slice.exemplars = batch.exemplars
                slice.metadata = batch.metadata
            }
            let one = try store.append(slice)
            outcome.appended += one.appended
            outcome.exemplarsAppended += one.exemplarsAppended
            outcome.rejections += one.rejections.map { rejection in
                rejection.part == .float
                    ? AppendOutcome.Rejection(index: rejection.index + start, part: .float, reason: rejection.reason) : rejection
            }
            start = end
            // Whoever waits for the store gets it now, and not when the last part is in.
            if start < batch.count { usleep(1000) }
        }
        return outcome
    }

    /// Scans a page into the batch. Returns why it failed, or nil.
    private func scan(
        _ page: BodyBuffer, _ format: PageFormat, _ content: TargetCache.Content, loop: ScrapeLoop, report: inout ScrapeReport
    ) -> String? {
        var options = PageScanner.Options(timestampMs: report.timestampMs)
        options.format = format
        options.readsNativeHistograms = loop.target.histograms.readsNative
        options.keepsClassicHistograms = loop.target.histograms.keepsClassic
        options.convertsClassicHistograms = loop.target.histograms.convertsClassic
        options.takesStartTimestamps = loop.options.storesStartTimestamps || loop.options.injectsStartZeros
        options.addsTypeAndUnitLabels = loop.options.addsTypeAndUnitLabels
        options.honorTimestamps = loop.config.honorTimestamps
        options.tracksExplicitTimestamps = loop.config.trackTimestampsStaleness
        options.maxTimestampMs = time.wallMs() &+ Self.maxFutureMs
        var resolver = StoreResolver(
            store: store, rules: loop.rules, sampleLimit: loop.config.limits.samples, keepsNew: loop.options.storesMetadata)
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
        report.refusal = resolver.refusal
        let limit = loop.config.limits.samples
        if resolver.exceededSampleLimit || (limit > 0 && scratch.sampleCount > limit) {
            report.exceededSampleLimit = true
            failure = failure ?? "sample limit exceeded"
        }
        if failure == nil {
            do throws(HistogramLimits.Refusal) { try appendScanned(limits: HistogramLimits(loop.config), keepsStarts: loop.options.storesStartTimestamps) } catch {
                report.exceededBucketLimit = error.isBucketLimit
                failure = error.reason
            }
        }
        keepMetadata(resolver, page: page, format: format, loop: loop)
        return failure
    }

    private func appendScanned(limits: HistogramLimits, keepsStarts: Bool) throws(HistogramLimits.Refusal) {
        unsafe scratch.withColumns { refs, timestamps, values in
            batch.refs.reserveCapacity(refs.count + 16)
            // SAFETY: a `SeriesRef` is one `UInt64` and nothing else.
            unsafe refs.withMemoryRebound(to: SeriesRef.self) { unsafe batch.refs.append(contentsOf: $0) }
            unsafe batch.timestampsMs.append(contentsOf: timestamps)
            unsafe batch.values.append(contentsOf: values)
        }
        if keepsStarts && !scratch.startTimestampsMs.isEmpty {
            batch.startTimestampsMs = scratch.startTimestampsMs
            while batch.startTimestampsMs.count < batch.count { batch.startTimestampsMs.append(0) }
        }
        for one in scratch.histograms {
            batch.append(
                SeriesRef(rawValue: one.ref), timestampMs: one.timestampMs, histogram: try limits.apply(to: one.histogram),
                startTimestampMs: keepsStarts ? one.startTimestampMs : 0)
        }
        for one in scratch.exemplars {
            batch.append(
                SeriesRef(rawValue: one.ref),
                exemplar: Exemplar(
                    labels: one.labels, value: one.value, timestampMs: one.timestampMs, hasTimestamp: one.hasTimestamp))
        }
        batch.sortExemplars()
    }

    /// `created-timestamp-zero-ingestion`: where the counting of a series began, it had counted nothing. What the store has
    /// already, or has newer samples than, it refuses, and nobody needs to know.
    private func appendStartZeros(_ content: TargetCache.Content) {
        zeros.removeAll()
        zeros.refusesOutOfOrder = true
        var starts: [UInt64: Int64] = [:]
        let starting = scratch.startTimestampsMs
        unsafe scratch.withColumns { refs, timestamps, _ in
            for index in starting.indices where index < refs.count {
                let (ref, start) = unsafe (refs[index], starting[index])
                guard start != 0, unsafe start < timestamps[index] else { continue }
                starts[ref] = start
                if content.starts[ref] != start { zeros.append(SeriesRef(rawValue: ref), timestampMs: start, value: 0) }
            }
        }
        for one in scratch.histograms where one.startTimestampMs != 0 && one.startTimestampMs < one.timestampMs {
            starts[one.ref] = one.startTimestampMs
            guard content.starts[one.ref] != one.startTimestampMs, let zero = one.histogram.emptied else { continue }
            zeros.append(SeriesRef(rawValue: one.ref), timestampMs: one.startTimestampMs, histogram: zero)
        }
        content.starts = starts
        if !zeros.isEmpty { _ = try? store.append(zeros) }
    }

    private func appendStale(_ refs: [UInt64], timestampMs: Int64) {
        for ref in refs { batch.append(SeriesRef(rawValue: ref), timestampMs: timestampMs, value: StaleNaN.value) }
    }

    private func keepMetadata(_ resolver: StoreResolver, page: BodyBuffer, format: PageFormat, loop: ScrapeLoop) {
        let hasNews = !resolver.help.isEmpty || !resolver.types.isEmpty || !resolver.units.isEmpty
        if hasNews {
            let present = page.withSpan { metadataNames($0, format) }
            loop.cache.metadata.withLock { metadata in
                for (name, text) in resolver.help { metadata.setHelp(name, text) }
                for (name, type) in resolver.types { metadata.setType(name, type) }
                for (name, unit) in resolver.units { metadata.setUnit(name, unit) }
                metadata.retain(present)
            }
        }
        guard loop.options.storesMetadata else { return }
        // News may be about any series of the page; otherwise only new series have none yet. The store drops what it knows.
        let refs = hasNews ? batch.refs + batch.histograms.map(\.ref) : resolver.newSeries
        for ref in refs {
            guard let name = store.labels(of: ref)?[LabelSet.metricName] else { continue }
            if let known = loop.cache.metadata.withLock({ $0.family(of: name) }) { batch.append(ref, metadata: known) }
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

    private struct SampleParts {
        /// Floats of the page; staleness markers and the report follow them.
        var floats: Int
        var reportStart: Int
    }

    /// Counts what the store did not take.
    /// - Returns: the refs that it no longer knows.
    private func count(
        _ outcome: AppendOutcome, _ parts: SampleParts, content: TargetCache.Content, loop: ScrapeLoop, report: inout ScrapeReport
    ) -> Set<UInt64> {
        var unknown: Set<UInt64> = []
        var reportIsUnknown = false
        var refusedExemplars: [SeriesRef: Int] = [:]
        for rejection in outcome.rejections {
            let ref: SeriesRef
            switch rejection.part {
            case .float:
                guard rejection.index < parts.floats else {
                    // Staleness markers may come too late, and report series have no one to tell.
                    if rejection.index >= parts.reportStart && rejection.reason == .unknownSeries { reportIsUnknown = true }
                    continue
                }
                ref = batch.refs[rejection.index]
            case .histogram: ref = batch.histograms[rejection.index].ref
            case .exemplar:
                if rejection.reason == .outOfOrderExemplar { refusedExemplars[batch.exemplars[rejection.index].ref, default: 0] += 1 }
                continue
            case .metadata: continue
            }
            switch rejection.reason {
            case .outOfOrder: report.outOfOrder += 1
            case .duplicateTimestamp: report.duplicates += 1
            case .outOfBounds, .tooOld: report.outOfBounds += 1
            case .invalidHistogram, .outOfOrderExemplar, .duplicateExemplar, .exemplarLabelsTooLong: break
            case .unknownSeries: unknown.insert(ref.rawValue)
            }
        }
        // Buckets show one and the same exemplar until a newer one comes; a sample all of whose exemplars are old has a wrong clock.
        for (ref, refused) in refusedExemplars where refused == batch.exemplars.count(where: { $0.ref == ref }) {
            report.outOfOrderExemplars += refused
        }
        if reportIsUnknown {
            content.reportRefs = []
            batch.removeAll()
            appendReport(content, loop: loop, report: &report)
            _ = try? store.append(batch)
        }
        return unknown
    }

    /// The store has dropped series that the cache still had refs of: resolves their lines anew and stores their samples.
    private func appendForgotten(
        _ refs: Set<UInt64>, _ content: TargetCache.Content, page: BodyBuffer, format: PageFormat, loop: ScrapeLoop,
        report: ScrapeReport
    ) {
        var stored = Set(scratch.histograms.map(\.ref))
        unsafe scratch.withColumns { known, _, _ in
            for index in known.indices { unsafe stored.insert(known[index]) }
        }
        content.scanner.forget(refs)
        batch.removeAll()
        var again = report
        guard scan(page, format, content, loop: loop, report: &again) == nil else {
            _ = content.scanner.abort()
            return
        }
        _ = content.scanner.commit(scratch)
        var fresh = SampleBatch()
        for index in 0..<batch.count where !stored.contains(batch.refs[index].rawValue) {
            let start = batch.startTimestampsMs.isEmpty ? 0 : batch.startTimestampsMs[index]
            fresh.append(
                batch.refs[index], timestampMs: batch.timestampsMs[index], value: batch.values[index], startTimestampMs: start)
        }
        fresh.histograms = batch.histograms.filter { !stored.contains($0.ref.rawValue) }
        fresh.exemplars = batch.exemplars.filter { !stored.contains($0.ref.rawValue) }
        fresh.metadata = batch.metadata.filter { !stored.contains($0.ref.rawValue) }
        _ = try? store.append(fresh)
    }
}

extension NativeHistogram {
    /// One of the same kind that has seen nothing, and begins to count.
    fileprivate var emptied: NativeHistogram? {
        let bare = HistogramLayout(schema: layout.schema, zeroThreshold: layout.zeroThreshold, customBounds: layout.customBounds)
        return try? NativeHistogram(layout: bare, hint: .reset, isFloat: isFloat, countWord: 0, zeroCountWord: 0, sum: 0, words: [])
    }
}

extension SampleBatch {
    /// In order of series, then of time, value and labels: the order in which a store takes them.
    fileprivate mutating func sortExemplars() {
        guard exemplars.count > 1 else { return }
        exemplars.sort { left, right in
            if left.ref != right.ref { return left.ref < right.ref }
            if left.exemplar.timestampMs != right.exemplar.timestampMs { return left.exemplar.timestampMs < right.exemplar.timestampMs }
            if left.exemplar.value != right.exemplar.value { return left.exemplar.value < right.exemplar.value }
            return left.exemplar.labels < right.exemplar.labels
        }
    }
}

func describe(_ error: AppendError) -> String {
    switch error {
    case .limit(let text), .unavailable(let text): text
    }
}
