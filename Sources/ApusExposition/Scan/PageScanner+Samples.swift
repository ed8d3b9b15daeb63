import ApusBytes
import ApusModel

// What all formats share: a series is met again or for the first time, and its sample is stored.

extension PageScanner {
    /// What is known of a series that a page just named.
    struct Meeting {
        /// Its ref, when its sample is to be stored.
        var ref: UInt64?
        /// Whether its labels have to be resolved first.
        var isNew = false
        fileprivate var hash: UInt64 = 0
        fileprivate var length: UInt32 = 0
        fileprivate var mark: UInt32 = 0
    }

    /// The length of an entry that is no line, which no line has.
    static var sampleLength: UInt32 { UInt32.max - 1 }

    mutating func meet(
        _ line: Range<Int>, _ page: Span<UInt8>, timestampMs: Int64?, options: Options, scratch: inout ScanState
    ) -> Meeting {
        meet(
            hashSpan(page.extracting(line), seed), length: UInt32(truncatingIfNeeded: line.count), timestampMs: timestampMs,
            options: options, scratch: &scratch)
    }

    /// Counts a sample and looks for its series.
    mutating func meet(
        _ hash: UInt64, length: UInt32, timestampMs: Int64?, options: Options, scratch: inout ScanState
    ) -> Meeting {
        counts.scraped += 1
        let isExplicit = options.honorTimestamps && timestampMs != nil
        if isExplicit { sawExplicitTimestamp = true }
        let mark = generation << 1 | (isExplicit && !options.tracksExplicitTimestamps ? 1 : 0)
        guard let index = find(hash, length: length, comment: false, scratch: &scratch) else {
            return Meeting(isNew: true, hash: hash, length: length, mark: mark)
        }
        let entry = unsafe entries[index]
        if entry.word & Flag.dropped != 0 {
            meet(index, mark: mark, scratch: &scratch)
            return Meeting()
        }
        counts.kept += 1
        if entry.seen >> 1 == generation && !isExplicit {
            counts.duplicates += 1
            if !isInOrder { scratch.order.append(UInt32(index)) }
            return Meeting()
        }
        // A sample with the scrape's time makes the series live, whatever follows it in the page.
        meet(index, mark: entry.seen == generation << 1 ? entry.seen : mark, scratch: &scratch)
        return Meeting(ref: entry.word & Flag.refMask)
    }

    /// Makes a series of what `meet` did not know, whose labels are those of `scratch`. Returns its ref, when its sample is to
    /// be stored.
    @inline(__always)
    mutating func resolve(
        _ meeting: Meeting, scratch: inout ScanState, resolver: inout some SeriesResolver
    ) throws(ScanError) -> UInt64? {
        let resolution = try resolver.resolve(scratch.labels, accepted: scratch.sampleCount)
        var entry = Entry(hash: meeting.hash, word: 0, length: meeting.length, seen: meeting.mark)
        switch resolution {
        case .dropped:
            entry.word = Flag.dropped
            add(entry, &scratch)
            return nil
        case .refused:
            counts.kept += 1
            return nil
        case .series(let ref):
            entry.word = ref & Flag.refMask
            add(entry, &scratch)
            counts.kept += 1
            counts.added += 1
            return entry.word
        }
    }

    /// When a sample is of.
    func time(_ timestampMs: Int64?, _ options: Options) -> Int64 {
        options.honorTimestamps ? timestampMs ?? options.timestampMs : options.timestampMs
    }

    /// Returns whether the sample was stored.
    @discardableResult
    mutating func store(
        _ ref: UInt64, value: Double, timestampMs: Int64?, startTimestampMs: Int64 = 0, options: Options, scratch: inout ScanState
    ) -> Bool {
        let timestamp = time(timestampMs, options)
        guard timestamp <= options.maxTimestampMs else {
            counts.outOfBounds += 1
            return false
        }
        scratch.append(ref: ref, timestampMs: timestamp, value: value, startTimestampMs: startTimestampMs)
        return true
    }

    /// Returns whether the comment is new.
    mutating func noteComment(_ hash: UInt64, length: UInt32, flag: UInt64, scratch: inout ScanState) -> Bool {
        if let index = find(hash, length: length, comment: true, scratch: &scratch) {
            meet(index, mark: generation << 1, scratch: &scratch)
            return false
        }
        add(Entry(hash: hash, word: Flag.comment | flag, length: length, seen: generation << 1), &scratch)
        return true
    }

    // MARK: Pages that are read sample by sample

    /// Of protobuf, of OpenMetrics 2.0, and text whose lines are put together.
    mutating func scanEntries(
        _ page: Span<UInt8>, options: Options, scratch: inout ScanState, resolver: inout some SeriesResolver
    ) throws(ScanError) {
        switch options.format {
        case .protobuf, .openMetrics2:
            let histograms = HistogramReading(
                ignoresNative: !options.readsNativeHistograms, keepsClassic: options.keepsClassicHistograms,
                convertsClassic: options.convertsClassicHistograms)
            if options.format == .protobuf {
                let reader = ProtobufParser(page, options: histograms, seed: seed)
                try scan(reader, page, options: options, scratch: &scratch, resolver: &resolver)
            } else {
                let reader = OpenMetrics2Reader(histograms: histograms, seed: seed)
                try scan(reader, page, options: options, scratch: &scratch, resolver: &resolver)
            }
        case .text, .openMetrics:
            var lines = LineReader.Options()
            lines.isOpenMetrics = options.format == .openMetrics
            lines.convertsClassic = options.convertsClassicHistograms
            lines.keepsClassic = options.keepsClassicHistograms
            lines.takesStartTimestamps = options.takesStartTimestamps && lines.isOpenMetrics
            try scan(LineReader(options: lines, seed: seed), page, options: options, scratch: &scratch, resolver: &resolver)
        }
    }

    private mutating func scan(
        _ reader: some EntryReader, _ page: Span<UInt8>, options: Options, scratch: inout ScanState, resolver: inout some SeriesResolver
    ) throws(ScanError) {
        var reader = reader
        var family = FamilyLabels()
        while true {
            let entry: ReadEntry?
            do { entry = try reader.next(page) } catch { throw .malformed(error) }
            guard let entry else { return }
            guard case .sample(var sample) = entry else {
                if options.addsTypeAndUnitLabels { family.note(entry) }
                note(entry, scratch: &scratch, resolver: &resolver)
                continue
            }
            if options.addsTypeAndUnitLabels { sample.identity = foldedMultiply(sample.identity ^ family.hash(seed), seed.b) }
            let meeting = meet(sample, options: options, scratch: &scratch)
            var ref = meeting.ref
            if meeting.isNew {
                switch sample.labels {
                case .made(let made): scratch.labels.set(made)
                case .metric(let suffix, let extra): reader.read(&scratch.labels, page, suffix: suffix, extra: extra)
                }
                if options.addsTypeAndUnitLabels {
                    var labels = scratch.labels.labels
                    family.add(to: &labels)
                    scratch.labels.set(labels)
                }
                ref = try resolve(meeting, scratch: &scratch, resolver: &resolver)
            }
            if let ref { try store(sample, ref: ref, options: options, scratch: &scratch) }
        }
    }

    private mutating func meet(_ sample: ReadSample, options: Options, scratch: inout ScanState) -> Meeting {
        meet(sample.identity, length: Self.sampleLength, timestampMs: sample.timestampMs, options: options, scratch: &scratch)
    }

    private mutating func store(_ sample: ReadSample, ref: UInt64, options: Options, scratch: inout ScanState) throws(ScanError) {
        let start = options.takesStartTimestamps ? sample.startTimestampMs : 0
        let isHistogram: Bool
        switch sample.value {
        case .float(let value):
            isHistogram = false
            guard store(ref, value: value, timestampMs: sample.timestampMs, startTimestampMs: start, options: options, scratch: &scratch)
            else { return }
        case .histogram(let histogram):
            isHistogram = true
            let timestamp = time(sample.timestampMs, options)
            guard timestamp <= options.maxTimestampMs else {
                counts.outOfBounds += 1
                return
            }
            scratch.histograms.append(
                ScannedHistogram(ref: ref, timestampMs: timestamp, startTimestampMs: start, histogram: histogram))
        }
        for exemplar in sample.exemplars {
            // Of a histogram's many exemplars one without a timestamp cannot be told from the one of the scrape before.
            if isHistogram && exemplar.timestampMs == nil { continue }
            scratch.exemplars.append(
                ScannedExemplar(
                    ref: ref, labels: LabelSet(exemplar.labels), value: exemplar.value,
                    timestampMs: exemplar.timestampMs ?? time(sample.timestampMs, options), hasTimestamp: exemplar.timestampMs != nil))
        }
    }

    /// Metadata as an entry of its own, so that only news are told.
    private mutating func note(_ entry: ReadEntry, scratch: inout ScanState, resolver: inout some SeriesResolver) {
        switch entry {
        case .sample: break
        case .help(let name, let text):
            if isNews(name, text, kind: 1, &scratch) { resolver.foundHelp(name, text) }
        case .unit(let name, let unit):
            if isNews(name, unit, kind: 2, &scratch) { resolver.foundUnit(name, unit) }
        case .type(let name, let type):
            if isNews(name, ByteString(type.rawValue), kind: 3, &scratch) { resolver.foundType(name, type) }
        }
    }

    private mutating func isNews(_ name: ByteString, _ text: ByteString, kind: UInt64, _ scratch: inout ScanState) -> Bool {
        let hash = foldedMultiply(hashSpan(name.bytes.span, seed) ^ kind, hashSpan(text.bytes.span, seed) ^ seed.c)
        return noteComment(hash, length: Self.sampleLength, flag: 0, scratch: &scratch)
    }
}
