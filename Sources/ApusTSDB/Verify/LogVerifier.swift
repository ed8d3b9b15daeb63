public import ApusBytes
import ApusModel
import ApusStorage

/// Reads all of a log, its newest checkpoint first, and says where it is damaged. Changes nothing.
public enum LogVerifier {
    /// - Parameters:
    ///   - directory: `wal` or `wbl`; one that is not there is no finding.
    ///   - onProgress: called now and then with the share that is done, 0 to 1.
    public static func verify(
        _ directory: String, files: any FileSystem, onProgress: (Double) -> Void = { _ in }, report: (Finding) -> Void
    ) -> VerifiedCounts {
        var counts = VerifiedCounts()
        do {
            guard try files.exists(directory) else { return counts }
            let checkpoint = try Checkpoint.latest(in: directory, files: files)
            let first = checkpoint.map { $0.segment + 1 } ?? 0
            let numbers = try SegmentFormat.list(directory, files).filter { $0 >= first }
            for (one, next) in zip(numbers, numbers.dropFirst()) where next != one + 1 {
                report(Finding(directory, "segments \(one + 1) to \(next - 1) are missing: servers refuse to start"))
            }
            if checkpoint != nil, let number = numbers.first, number != first {
                report(Finding(directory, "segments \(first) to \(number - 1) are missing behind the checkpoint"))
            }
            let reader = try WALReader(directory: directory, checkpoint: checkpoint?.path, first: first, files: files)
            var record = DecodedRecord()
            var segments = Set<String>()
            while try reader.next(&record) {
                if segments.insert("\(reader.directory)/\(reader.segment)").inserted {
                    onProgress(Double(segments.count) / Double(max(1, reader.segmentCount)))
                }
                counts.records += 1
                counts.series += record.series.count
                counts.samples += record.samples.count + record.samples.histograms.count
            }
            if record.unknownRecords > 0 { report(Finding(directory, "\(record.unknownRecords) records of unknown types")) }
            if record.unreadableHistograms > 0 {
                report(Finding(directory, "\(record.unreadableHistograms) histograms can't be read"))
            }
        } catch { report(Finding(directory, "\(error)")) }
        return counts
    }
}

/// Reads the files of the head's chunks.
public enum HeadChunksVerifier {
    public static func verify(_ directory: String, files: any FileSystem, report: (Finding) -> Void) -> VerifiedCounts {
        var counts = VerifiedCounts()
        do {
            guard try files.exists(directory) else { return counts }
            var previous: Int?
            for entry in try files.list(directory) {
                guard !entry.name.isEmpty, entry.name.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                    let number = Int(entry.name)
                else { continue }
                let path = joinPath(directory, entry.name)
                if let previous, number != previous + 1 { report(Finding(path, "the file before it is missing")) }
                previous = number
                let mapping = try files.map(path)
                verify(path, mapping, &counts, report)
            }
        } catch { report(Finding(directory, "\(error)")) }
        return counts
    }

    private static func verify(
        _ path: String, _ mapping: any FileMapping, _ counts: inout VerifiedCounts, _ report: (Finding) -> Void
    ) {
        // SAFETY: the mapping is as long as the file was, and lives as long as this call.
        let bytes = unsafe mapping.bytes
        guard bytes.count >= HeadChunkFormat.headerBytes else {
            // What a crash leaves of a file that was just made.
            if bytes.count > 0 { report(Finding(path, "the file ends in its header")) }
            return
        }
        var offset = HeadChunkFormat.headerBytes
        while true {
            do throws(HeadChunkFormat.Damage) {
                guard case .chunk(let record) = try unsafe HeadChunkFormat.decode(bytes, at: offset) else { return }
                counts.chunks += 1
                offset = record.end
            } catch { return report(Finding(path, "offset \(offset): \(error.reason)")) }
        }
    }
}
