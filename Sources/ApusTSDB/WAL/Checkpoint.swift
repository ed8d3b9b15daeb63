public import ApusBytes
public import ApusStorage

/// What a checkpoint was made of.
public struct CheckpointStatistics: Sendable, Equatable {
    /// Entries read and, of those, left out.
    public struct Count: Sendable, Equatable {
        public internal(set) var total = 0
        public internal(set) var dropped = 0
        mutating func add(_ total: Int, kept: Int) {
            self.total += total
            dropped += total - kept
        }
    }
    public internal(set) var series = Count()
    /// Floats and histograms.
    public internal(set) var samples = Count()
    public internal(set) var tombstones = Count()
    public internal(set) var exemplars = Count()
    public internal(set) var metadata = Count()
    /// Of types that are not known; all are left out.
    public internal(set) var unknownRecords = 0
}

/// A checkpoint: what of the segments up to a number is still needed, as a log in a directory of its own beside them.
///
///     wal/checkpoint.00000005/00000000      instead of segments 0…5 and of the checkpoint before
///     wal/00000006
///     wal/00000007
///
/// It is written under a name that ends in `.tmp` and renamed when all of it is on the disk, so it is whole or not there.
public enum Checkpoint {
    static let prefix = "checkpoint."
    static let temporarySuffix = ".tmp"
    /// Records are written in runs of this size.
    private static let flushBytes = 1 << 20

    public static func path(in directory: String, through segment: Int) -> String { joinPath(directory, prefix + SegmentFormat.name(segment)) }

    /// The newest checkpoint: its directory, and the last segment that it replaces. Nil when there is none.
    public static func latest(in directory: String, files: any FileSystem) throws(WALError) -> (path: String, segment: Int)? {
        do throws(FileError) {
            guard let newest = try list(directory, files).last else { return nil }
            return (joinPath(directory, newest.name), newest.segment)
        } catch { throw .file(error) }
    }

    /// By number, ascending.
    private static func list(_ directory: String, _ files: any FileSystem) throws(FileError) -> [(name: String, segment: Int)] {
        guard try files.status(directory) != nil else { return [] }
        var found: [(name: String, segment: Int)] = []
        for entry in try files.list(directory) where entry.isDirectory && entry.name.hasPrefix(prefix) {
            // Old servers padded to six digits.
            let digits = entry.name.dropFirst(prefix.count)
            guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let segment = Int(digits) else { continue }
            found.append((entry.name, segment))
        }
        return found.sorted { ($0.segment, $0.name.utf8.count) < ($1.segment, $1.name.utf8.count) }
    }

    /// Removes checkpoints of fewer segments than `segment`.
    public static func remove(before segment: Int, in directory: String, files: any FileSystem) throws(WALError) {
        do throws(FileError) {
            for checkpoint in try list(directory, files) where checkpoint.segment < segment {
                try files.removeTree(joinPath(directory, checkpoint.name))
            }
        } catch { throw .file(error) }
    }

    /// Removes what a crash left of checkpoints that were being written.
    public static func removeLeftovers(in directory: String, files: any FileSystem) throws(WALError) {
        do throws(FileError) {
            guard try files.status(directory) != nil else { return }
            for entry in try files.list(directory) where entry.name.hasPrefix(prefix) && entry.name.hasSuffix(temporarySuffix) {
                try files.removeTree(joinPath(directory, entry.name))
            }
        } catch { throw .file(error) }
    }

    /// Writes the checkpoint that replaces the newest one and the segments behind it up to `last`.
    ///
    /// Kept are series for which `keep` says so, samples, histograms and exemplars not before `minTimeMs`, tombstones that
    /// end not before it, and the newest metadata of each series that is kept. The segments stay: remove them afterwards
    /// (`WriteAheadLog.truncate`), and then the older checkpoints (`remove`).
    ///
    /// - Throws: `corrupt` when what it reads is damaged, which a checkpoint must not hide: nobody would know which series
    ///   are lost. Nothing is left behind then.
    @discardableResult
    public static func write(
        in directory: String, through last: Int, minTimeMs: Int64, compression: WALCompression = .snappy, segmentBytes: Int = 128 << 20,
        files: any FileSystem, keep: (SeriesRef) -> Bool
    ) throws(WALError) -> CheckpointStatistics {
        let previous = try latest(in: directory, files: files)
        let first = previous.map { $0.segment + 1 } ?? 0
        let segments = try SegmentFormat.list(directory, from: first, files)
        if let previous, let oldest = segments.first, oldest > first {
            throw .checkpoint("unexpected gap to last checkpoint \(previous.path): segment \(SegmentFormat.name(first)) is missing, the next is \(SegmentFormat.name(oldest))")
        }
        guard segments.contains(last) else {
            throw .checkpoint("no checkpoint of \(directory) through segment \(SegmentFormat.name(last)), which is not there or already in one")
        }
        try removeLeftovers(in: directory, files: files)
        let reader = try WALReader(directory: directory, checkpoint: previous?.path, first: first, last: last, files: files)
        let target = path(in: directory, through: last)
        let temporary = target + temporarySuffix
        do throws(WALError) {
            do throws(FileError) { try files.createDirectory(temporary) } catch { throw WALError.file(error) }
            let writer = SegmentWriter(directory: temporary, segmentBytes: segmentBytes, compression: compression, files: files)
            do throws(FileError) { try writer.open(0) } catch { throw WALError.file(error) }
            var condenser = Condenser(writer: writer, minTimeMs: minTimeMs)
            var record = DecodedRecord()
            while try reader.next(&record) {
                do throws(FileError) {
                    try unsafe condenser.add(record, reader.record, keep)
                    if writer.pendingBytes > flushBytes { try writer.flush() }
                } catch { throw WALError.file(error) }
            }
            condenser.statistics.unknownRecords = record.unknownRecords
            do throws(FileError) {
                try condenser.addMetadata()
                try writer.flush()
                for (_, file) in writer.retired { try file.sync() }
                try writer.file?.sync()
                try files.syncDirectory(temporary)
                try files.rename(temporary, to: target)
                try files.syncDirectory(directory)
            } catch { throw WALError.file(error) }
            return condenser.statistics
        } catch {
            try? files.removeTree(temporary)
            throw error
        }
    }
}

/// Takes records one by one and writes what of them is needed.
private struct Condenser: ~Copyable {
    let writer: SegmentWriter
    let minTimeMs: Int64
    var statistics = CheckpointStatistics()
    private var encoder = RecordEncoder()
    private var batch = SampleBatch()
    private var newestMetadata: [SeriesRef: SampleBatch.SeriesMetadata] = [:]

    init(writer: SegmentWriter, minTimeMs: Int64) {
        self.writer = writer
        self.minTimeMs = minTimeMs
    }

    /// - Parameter raw: the record's bytes. One of which all is needed is copied as it is.
    @unsafe mutating func add(_ record: borrowing DecodedRecord, _ raw: UnsafeRawBufferPointer, _ keep: (SeriesRef) -> Bool) throws(FileError) {
        switch record.type {
        case .series:
            let kept = record.series.filter { keep($0.ref) }
            statistics.series.add(record.series.count, kept: kept.count)
            if kept.isEmpty { return }
            if kept.count == record.series.count { return try unsafe writer.add(raw) }
            encoder.series(kept)
        case .samples, .samplesV2:
            let times = record.samples.timestampsMs
            let kept = times.reduce(0) { $0 + ($1 >= minTimeMs ? 1 : 0) }
            statistics.samples.add(times.count, kept: kept)
            if kept == 0 { return }
            if kept == times.count { return try unsafe writer.add(raw) }
            batch.removeAll()
            for (index, time) in times.enumerated() where time >= minTimeMs {
                let starts = record.samples.startTimestampsMs
                batch.append(
                    record.samples.refs[index], timestampMs: time, value: record.samples.values[index],
                    startTimestampMs: index < starts.count ? starts[index] : 0)
            }
            if batch.startTimestampsMs.isEmpty {
                encoder.samples(batch.refs, batch.timestampsMs, batch.values, count: batch.count)
            } else {
                encoder.samplesV2(batch)
            }
        case .histogramSamples, .floatHistogramSamples, .customBucketsHistogramSamples, .customBucketsFloatHistogramSamples, .histogramSamplesV2,
            .floatHistogramSamplesV2:
            let kept = record.samples.histograms.filter { $0.timestampMs >= minTimeMs }
            statistics.samples.add(record.samples.histograms.count, kept: kept.count)
            if kept.isEmpty { return }
            if kept.count == record.samples.histograms.count { return try unsafe writer.add(raw) }
            for type in RecordEncoder.histogramTypes where encoder.histograms(kept, of: type) > 0 { try unsafe writer.add(encoder.bytes) }
            return
        case .tombstones:
            let kept = record.tombstones.filter { $0.maxTimeMs >= minTimeMs }
            statistics.tombstones.add(record.tombstones.count, kept: kept.count)
            if kept.isEmpty { return }
            encoder.tombstones(kept)
        case .exemplars:
            let kept = record.samples.exemplars.filter { $0.exemplar.timestampMs >= minTimeMs }
            statistics.exemplars.add(record.samples.exemplars.count, kept: kept.count)
            if kept.isEmpty { return }
            encoder.exemplars(kept)
        case .metadata:
            var new = 0
            for entry in record.samples.metadata where keep(entry.ref) {
                if newestMetadata.updateValue(entry, forKey: entry.ref) == nil { new += 1 }
            }
            statistics.metadata.add(record.samples.metadata.count, kept: new)
            return
        // Markers belong to a log that has no checkpoints; a minimum time is true of the checkpoint it was in only.
        case .mmapMarkers, .minValidTime, nil: return
        }
        try unsafe writer.add(encoder.bytes)
    }

    mutating func addMetadata() throws(FileError) {
        if newestMetadata.isEmpty { return }
        encoder.metadata(newestMetadata.values.sorted { $0.ref < $1.ref })
        try unsafe writer.add(encoder.bytes)
    }
}
