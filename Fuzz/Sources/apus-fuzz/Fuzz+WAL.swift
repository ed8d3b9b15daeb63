import ApusBytes
import ApusTSDB
import Glibc

extension Fuzz {
    /// A record of any bytes decodes, or is refused and leaves nothing. The columns have equal lengths.
    static func walRecord(_ input: [UInt8]) {
        var record = DecodedRecord()
        do { try record.decode(input) } catch {
            guard record.type == nil, record.samples.isEmpty, record.series.isEmpty else { fatalError("an error left entries: \(error)") }
        }
        let samples = record.samples
        guard samples.timestampsMs.count == samples.count, samples.values.count == samples.count,
            samples.startTimestampsMs.isEmpty || samples.startTimestampsMs.count == samples.count
        else { fatalError("columns of unequal length") }
        for series in record.series where series.labels.labels.contains(where: { $0.value.isEmpty }) { fatalError("an empty label value") }
    }

    /// A segment of any bytes gives records and perhaps damage; cut there, it gives the same records and none.
    ///
    /// The first byte says whether the checksums are put right first: by chance none ever is.
    static func walSegment(_ input: [UInt8]) {
        guard let mode = input.first else { return }
        var bytes = Array(input.dropFirst())
        if mode & 1 != 0 { correctChecksums(&bytes) }
        do {
            let path = joinPath(walDirectory, "00000000")
            let file = try files.open(path, .create)
            try file.write(bytes, at: 0)
            let (records, corruption) = try walRecords()
            guard let corruption else { return }
            try WALRepair.repair(corruption, files: files)
            let (again, other) = try walRecords()
            guard again == records, other == nil else { fatalError("\(records) records before the repair, \(again) after; \(corruption), \(String(describing: other))") }
        } catch { fatalError("\(error)") }
    }

    private static let files = PosixFileSystem()
    private static let walDirectory: String = {
        let path = "/tmp/apus-fuzz-\(getpid())"
        try? files.createDirectory(path)
        return path
    }()

    private static func walRecords() throws -> (count: Int, corruption: WALCorruption?) {
        let reader = try WALReader(directory: walDirectory, files: files)
        do {
            while try reader.next() {}
        } catch WALError.corrupt(let corruption) { return (reader.recordCount, corruption) }
        return (reader.recordCount, nil)
    }

    /// Gives each fragment the checksum of its data, as far as headers can be followed.
    private static func correctChecksums(_ bytes: inout [UInt8]) {
        var offset = 0
        while offset + 7 <= bytes.count {
            let rest = 32_768 - offset % 32_768
            if rest < 7 || bytes[offset] == 0 {
                offset += rest
                continue
            }
            let end = offset + 7 + Int(bytes[offset + 1]) << 8 + Int(bytes[offset + 2])
            if end > bytes.count { return }
            let checksum = Array(bytes[(offset + 7)..<end]).span.crc32c
            for byte in 0..<4 { bytes[offset + 3 + byte] = UInt8(truncatingIfNeeded: checksum >> UInt32(24 - 8 * byte)) }
            offset = end
        }
    }
}
