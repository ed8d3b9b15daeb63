import ApusBytes
import ApusModel
import ApusStorage

@testable import ApusTSDB

/// What a database should answer, in dictionaries: whatever it said it took, and nobody deleted.
struct NaiveDatabase {
    var series: [LabelSet: [Int64: PlainSample]] = [:]

    mutating func delete(_ matchers: [Matcher], _ range: ClosedRange<Int64>) {
        for (labels, samples) in series where Self.matches(labels, matchers) { series[labels] = samples.filter { !range.contains($0.key) } }
    }

    func select(_ matchers: [Matcher], _ range: ClosedRange<Int64>) -> [LabelSet: [PlainSample]] {
        series.filter { Self.matches($0.key, matchers) }.mapValues { samples in
            samples.values.filter { range.contains($0.time) }.sorted { $0.time < $1.time }
        }.filter { !$0.value.isEmpty }
    }

    static func matches(_ labels: LabelSet, _ matchers: [Matcher]) -> Bool {
        matchers.allSatisfy { matcher in
            let value = labels[matcher.name]?.bytes ?? []
            return matcher.matches(value.span)
        }
    }
}

/// Remembers what a database says.
final class RecordingObserver: DatabaseObserver {
    private let state = Locked<(lines: [String], progress: [ReplayProgress])>(([], []))
    func log(_ level: DatabaseLogLevel, _ message: String, _ fields: [(name: String, value: String)]) {
        let text = "\(level) \(message) " + fields.map { "\($0.name)=\($0.value)" }.joined(separator: " ")
        state.withLock { $0.lines.append(text) }
    }
    func replayProgress(_ progress: ReplayProgress) { state.withLock { $0.progress.append(progress) } }
    var lines: [String] { state.withLock { $0.lines } }
    var progress: [ReplayProgress] { state.withLock { $0.progress } }
    var problems: [String] { lines.filter { $0.hasPrefix("warning") || $0.hasPrefix("error") } }
}

/// A database on a simulated disk and its model, and one step of their life after the other.
final class DatabaseLife {
    static let directory = "data"
    static let blockRange: Int64 = 10_000

    var disk = SimulatedDisk()
    var database: Database
    var naive = NaiveDatabase()
    let observer = RecordingObserver()
    var now: Int64 = 1_700_000_000_000
    var options: DatabaseOptions
    /// Times that series have, or had before a delete: of two late samples of one time the first may stay.
    private var times: [Int: Set<Int64>] = [:]
    /// Whether each restart changes between XOR and XOR2.
    var changesEncoding = false

    init(windowMs: Int64 = 0, settings: DatabaseSettings = DatabaseSettings(retentionMs: 0), isSnapshotEnabled: Bool = true) throws {
        var settings = settings
        settings.outOfOrderWindowMs = windowMs
        options = DatabaseOptions(
            settings: settings, minBlockDurationMs: Self.blockRange, maxBlockDurationMs: Self.blockRange * 9, walSegmentBytes: 64 << 10,
            samplesPerChunk: 10, isSnapshotEnabled: isSnapshotEnabled, hasThreads: false, maintenanceIntervalMs: 1)
        database = try Database.open(Self.directory, options: options, files: disk, observer: observer)
    }

    func labels(_ number: Int) -> LabelSet {
        LabelSet([
            Label("__name__", ByteString("metric_\(number % 4)")), Label("instance", ByteString("i\(number)")),
            Label("job", ByteString("job\(number % 3)")),
        ])
    }

    /// Appends samples, and tells the model which of them were taken.
    @discardableResult
    func append(_ samples: [(series: Int, sample: PlainSample)]) throws -> AppendOutcome {
        var batch = SampleBatch()
        var floats: [(Int, PlainSample)] = []
        var histograms: [(Int, PlainSample)] = []
        for (number, sample) in samples {
            let ref = try database.seriesRef(for: labels(number))
            times[number, default: []].insert(sample.time)
            if let histogram = sample.histogram {
                batch.append(ref, timestampMs: sample.time, histogram: histogram, startTimestampMs: sample.startMs)
                histograms.append((number, sample))
            } else {
                batch.append(ref, timestampMs: sample.time, value: Double(bitPattern: sample.bits), startTimestampMs: sample.startMs)
                floats.append((number, sample))
            }
        }
        let outcome = try database.append(batch)
        let rejected = Set(outcome.rejections.map { [$0.part == .float ? 0 : 1, $0.index] })
        for (part, list) in [floats, histograms].enumerated() {
            for (index, one) in list.enumerated() where !rejected.contains([part, index]) {
                naive.series[labels(one.0), default: [:]][one.1.time] = one.1
            }
        }
        return outcome
    }

    /// A scrape of some series at the present time.
    func scrape(_ random: inout Generator, series: Range<Int>, histograms: Bool) throws {
        var samples: [(Int, PlainSample)] = []
        for number in series where random.below(8) > 0 {
            // Series 1, 5, 9 … have histograms: floats and histograms of one series in one batch have an order of their own.
            let isHistogram = histograms && number % 4 == 1
            samples.append(
                (
                    number,
                    isHistogram
                        ? PlainSample(time: now, histogram: try plainHistogram(random.below(30)), startMs: start(of: number, at: now))
                        : PlainSample(time: now, bits: Double(random.below(1000)).bitPattern, startMs: start(of: number, at: now))
                ))
        }
        try append(samples)
    }

    /// Samples of the past, at times that their series do not have.
    func appendLate(_ random: inout Generator, series: Range<Int>, windowMs: Int64) throws {
        var samples: [(Int, PlainSample)] = []
        for _ in 0..<1 + random.below(20) {
            let number = series.lowerBound + random.below(series.count)
            let time = now - Int64(random.below(Int(windowMs) * 5 / 4))
            if times[number]?.contains(time) == true || samples.contains(where: { $0.0 == number && $0.1.time == time }) { continue }
            samples.append((number, PlainSample(time: time, bits: Double(random.below(1000)).bitPattern, startMs: start(of: number, at: time))))
        }
        try append(samples)
    }

    /// When what a series counts began, for a life with start timestamps: some never say, the others begin anew at times.
    private func start(of number: Int, at time: Int64) -> Int64 {
        let isKept = number % 4 == 1 ? options.settings.formats.hasHistogramStarts : options.settings.formats.keepsStarts
        return isKept && number % 5 != 0 ? time / 7_000 * 7_000 - Int64(number) : 0
    }

    func delete(_ matchers: [Matcher], _ range: ClosedRange<Int64>) throws {
        try database.deleteSeries([matchers], minTimeMs: range.lowerBound, maxTimeMs: range.upperBound)
        naive.delete(matchers, range)
    }

    enum Restart: CaseIterable { case clean, killed, powerCut }

    func restart(_ kind: Restart, _ random: inout Generator) throws {
        observer.log(.debug, "restart", [("kind", "\(kind)")])
        switch kind {
        case .clean: try database.close()
        case .killed: disk = disk.afterKill()
        case .powerCut:
            database.sync()
            disk = disk.afterPowerCut(using: &random)
        }
        // Without start timestamps the encoding may change with the configuration.
        if !options.settings.formats.keepsStarts && changesEncoding { options.settings.formats.usesXOR2.toggle() }
        database = try Database.open(Self.directory, options: options, files: disk, observer: observer)
    }

    /// What database and model say of a selection; nil when they agree.
    func difference(_ matchers: [Matcher] = [], _ range: ClosedRange<Int64> = .min ... .max, sorted: Bool = true) throws -> String? {
        let querier = try database.querier(minTimeMs: range.lowerBound, maxTimeMs: range.upperBound)
        defer { querier.close() }
        let found = try readPlain(querier, matchers, range, sorted: sorted)
        let expected = naive.select(matchers, range)
        if found == expected { return nil }
        for labels in Set(found.keys).union(expected.keys).sorted() where found[labels] != expected[labels] {
            let (mine, theirs) = (found[labels] ?? [], expected[labels] ?? [])
            let missing = theirs.filter { !mine.contains($0) }.map(\.time)
            let extra = mine.filter { !theirs.contains($0) }.map(\.time)
            return "\(labels): \(missing.count) missing \(missing.prefix(5)), \(extra.count) extra \(extra.prefix(5)); now \(now), blocks \(database.blockMetas.map { ($0.minTimeMs, $0.maxTimeMs) }), head \(String(describing: database.head.timeRange))"
        }
        return "?"
    }
}
