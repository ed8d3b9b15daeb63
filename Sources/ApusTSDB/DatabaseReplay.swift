import ApusBytes
import ApusStorage

/// Brings a head back from the files of a data directory, and cuts logs where they are damaged.
struct DatabaseReplay {
    let head: Head
    let directory: String
    let files: any FileSystem
    let observer: any DatabaseObserver
    let isReadOnly: Bool

    /// - Returns: how many damaged places were found in the logs.
    func run(_ chunkFiles: HeadChunkFiles, minValidTimeMs: Int64) throws(DatabaseError) -> Int {
        observer.log(.info, "Replaying on-disk memory mappable chunks if any", [])
        let replay = HeadReplay(head, minValidTimeMs: minValidTimeMs)
        let damaged = chunkFiles.iterate { chunk in
            if chunk.isOutOfOrder { head.loadOutOfOrder(chunk) } else { replay.load(chunk) }
        }
        if let damaged {
            observer.log(
                .warning, "A file of the head's chunks is damaged; it and those after it are left out, their samples come from the WAL",
                [("err", damaged.description)])
        }
        let wal = joinPath(directory, DatabaseDisk.walName)
        var repairs = try replayLog(wal, replay)
        let report = replay.finish()
        reportUnread(wal, report.unknownRecords, report.unreadableHistograms)
        repairs += try replayOutOfOrder(replay)
        observer.log(
            .info, "WAL replay completed",
            [
                ("series", String(report.series)), ("samples", String(report.samples + report.histograms)),
                ("in_blocks_or_chunks", String(report.samplesSkipped)), ("mmap_chunks", String(report.chunks)),
            ])
        if report.unknownRefs > 0 {
            observer.log(
                .warning, "Unknown series references",
                [
                    ("series", String(report.unknownRefs)), ("samples", String(report.unknownSamples)),
                    ("histograms", String(report.unknownHistograms)), ("exemplars", String(report.unknownExemplars)),
                    ("metadata", String(report.unknownMetadata)), ("tombstones", String(report.unknownTombstones)),
                ])
        }
        return repairs
    }

    private func replayLog(_ wal: String, _ replay: HeadReplay) throws(DatabaseError) -> Int {
        var repairs = 0
        let checkpoint = try duringLog("find last checkpoint") { () throws(WALError) in try Checkpoint.latest(in: wal, files: files) }
        let first = checkpoint.map { $0.segment + 1 } ?? 0
        let segments = try duringLog("find segments") { () throws(WALError) in try SegmentFormat.list(wal, files) }
        if let checkpoint, let oldest = segments.first(where: { $0 >= first }), oldest > first {
            throw DatabaseError(
                .corrupt,
                "segments are not sequential: \(SegmentFormat.path(wal, first)) is missing behind \(checkpoint.path); restore it, or move the later segments away")
        }
        let progress = ProgressReport(wal, segments.filter { $0 >= first }, files, observer)
        if let checkpoint {
            observer.log(.info, "Replaying WAL, this may take a while", [("checkpoint", checkpoint.path)])
            // By itself, so that segments are read even when the checkpoint is damaged: most series may be in them, too.
            repairs += try read("checkpoint") { () throws(WALError) in
                try replay.run(try WALReader(directory: checkpoint.path, files: files))
            }
        }
        repairs += try read("WAL") { () throws(WALError) in
            try replay.run(try WALReader(directory: wal, first: first, files: files)) { progress.reached($0) }
        }
        return repairs
    }

    private func replayOutOfOrder(_ replay: HeadReplay) throws(DatabaseError) -> Int {
        let wbl = joinPath(directory, DatabaseDisk.outOfOrderName)
        var report = OutOfOrderReplay()
        let segments = try duringLog("find segments") { () throws(WALError) in try SegmentFormat.list(wbl, files) }
        let repairs = try read("WBL") { () throws(WALError) in
            let reader = segments.isEmpty ? nil : try WALReader(directory: wbl, files: files)
            report = try head.replayOutOfOrder(reader) { replay.current($0) }
        }
        reportUnread(wbl, report.unknownRecords, report.unreadableHistograms)
        if report.foreignChunks > 0 {
            observer.log(.info, "Late samples are logged again, under the ref that their series has now", [("chunks", String(report.foreignChunks))])
        }
        if report.samples > 0 || report.unknownSamples > 0 {
            observer.log(
                .info, "WBL replay completed",
                [("samples", String(report.samples)), ("unknown_samples", String(report.unknownSamples)), ("lost_chunks", String(report.lostMarkers))])
        }
        return repairs
    }

    /// Says what of a log was passed over. The byte that tells a record's type and compression has no checksum.
    private func reportUnread(_ log: String, _ records: Int, _ histograms: Int) {
        if records == 0 && histograms == 0 { return }
        observer.log(
            .warning, "Parts of a log were passed over: a newer server wrote them, or they are damaged",
            [("log", log), ("unknown_records", String(records)), ("unreadable_histograms", String(histograms))])
    }

    /// Reads a log; when it is damaged, cuts it there, and what came before stands.
    /// - Returns: 1 when it was damaged.
    private func read(_ what: String, _ body: () throws(WALError) -> Void) throws(DatabaseError) -> Int {
        do throws(WALError) {
            try body()
            return 0
        } catch {
            guard case .corrupt(let corruption) = error else { throw DatabaseError("read \(what)", error) }
            observer.log(
                .warning, "Encountered \(what) read error, \(isReadOnly ? "reading what lies before it" : "attempting repair")",
                [("err", corruption.description)])
            if isReadOnly { return 1 }
            let cut = try duringLog("repair corrupted \(what)") { () throws(WALError) in try WALRepair.repair(corruption, files: files) }
            observer.log(
                .warning, "Successfully repaired \(what): what lay behind the damage is lost",
                [("segment", String(corruption.segment)), ("bytes_cut", String(cut.bytesCut)), ("segments_removed", String(cut.segmentsRemoved))])
            return 1
        }
    }
}

/// Turns places in a log into progress.
private struct ProgressReport {
    private let first: Int
    private let last: Int
    /// Bytes before each segment.
    private var before: [Int: Int] = [:]
    private let observer: any DatabaseObserver

    init(_ wal: String, _ segments: [Int], _ files: any FileSystem, _ observer: any DatabaseObserver) {
        self.observer = observer
        first = segments.first ?? 0
        last = segments.last ?? 0
        var total = 0
        for segment in segments {
            before[segment] = total
            total += (try? files.status(SegmentFormat.path(wal, segment)))??.sizeBytes ?? 0
        }
        if !segments.isEmpty {
            observer.replayProgress(ReplayProgress(firstSegment: first, lastSegment: last, currentSegment: first, bytesRead: 0))
        }
    }

    func reached(_ position: LogPosition) {
        observer.replayProgress(
            ReplayProgress(
                firstSegment: first, lastSegment: last, currentSegment: position.segment,
                bytesRead: (before[position.segment] ?? 0) + position.offset))
    }
}
