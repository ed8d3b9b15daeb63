import ApusBytes
import ApusModel
import ApusStorage
import ApusTSDB
import Foundation

extension Fuzz {
    /// A real snapshot with some of its bytes changed, and its checksums put right, gives a head that can be read, or is refused.
    ///
    /// The input is a list of changes, four bytes each: place (twice, modulo the length), what to do, and with which byte. By
    /// chance no input is ever a snapshot.
    static func snapshot(_ input: [UInt8]) {
        var bytes = realSnapshot
        let body = bytes.count - snapshotHeaderBytes
        for start in stride(from: 0, to: input.count - 3, by: 4) {
            let place = snapshotHeaderBytes + (Int(input[start]) << 8 | Int(input[start + 1])) % body
            switch input[start + 2] & 3 {
            case 0: bytes[place] = input[start + 3]
            case 1: bytes[place] &+= input[start + 3]
            case 2: bytes[place] ^= 1 << (input[start + 3] & 7)
            // Eight bytes of a number that may be a count or a place.
            default: for offset in 0..<min(8, bytes.count - place) { bytes[place + offset] = input[start + 3] }
            }
        }
        putRight(&bytes)
        let files = OneHeadFile(bytes: bytes)
        guard let identity = try? HeadSnapshot.Identity(directories: [], minValidTimeMs: 0, files: files),
            let head = try? HeadSnapshot.load("s", options: HeadOptions(), maxExemplars: 10, identity: identity, files: files),
            let querier = try? head.querier(minTimeMs: .min, maxTimeMs: .max)
        else { return }
        defer { querier.close() }
        _ = try? querier.labelNames([], limit: 0)
        _ = try? querier.labelValues("__name__", [], limit: 0)
        guard let set = try? querier.select([], hints: SelectHints(startMs: .min, endMs: .max), sorted: true) else { return }
        var columns = SampleColumns(histograms: true)
        for index in 0..<set.count {
            columns.removeAll()
            _ = set.labels(at: index)
            try? set.decode(index, minTimeMs: .min, maxTimeMs: .max, into: &columns)
        }
        // And it goes on from there.
        var batch = SampleBatch()
        for number in 0..<3 {
            guard let ref = try? head.seriesRef(for: snapshotLabels(number)) else { continue }
            batch.append(ref, timestampMs: 9_000_000, value: 1)
        }
        _ = try? head.append(batch)
        _ = head.statistics()
    }

    private static let snapshotHeaderBytes = 32

    private static func snapshotLabels(_ number: Int) -> LabelSet {
        LabelSet([Label("__name__", ByteString("m\(number % 2)")), Label("i", ByteString("\(number)"))])
    }

    /// The header of a snapshot for the body behind it.
    private static func putRight(_ bytes: inout [UInt8]) {
        func store(_ value: UInt32, at place: Int) { for shift in 0..<4 { bytes[place + shift] = UInt8(truncatingIfNeeded: value >> UInt32(8 * shift)) } }
        store(Array(bytes[snapshotHeaderBytes...]).span.crc32c, at: 24)
        store(Array(bytes[..<28]).span.crc32c, at: 28)
    }

    /// Of a head with series, sealed and open chunks, deletes, metadata and exemplars.
    private static let realSnapshot: [UInt8] = {
        let head = Head(options: HeadOptions(chunkRangeMs: 1_000_000, samplesPerChunk: 10))
        head.exemplars.resize(to: 10)
        for step in 0..<40 {
            var batch = SampleBatch()
            for number in 0..<6 {
                guard let ref = try? head.seriesRef(for: snapshotLabels(number)) else { fatalError("no series") }
                batch.append(ref, timestampMs: Int64(step) * 60_000, value: Double(step * number) / 3)
                if step == 39 {
                    batch.append(ref, exemplar: Exemplar(labels: ["trace": "1"], value: 1, timestampMs: 60_000 * 39))
                    batch.append(ref, metadata: MetricMetadata(type: .counter, help: "Help.", unit: ""))
                }
            }
            _ = try? head.append(batch)
        }
        let path = NSTemporaryDirectory() + "/apus-fuzz-snapshot-\(getpid())"
        let files = PosixFileSystem()
        defer { try? files.removeFile(path) }
        let isWritten = try? HeadSnapshot.write(head, to: path, files: files) { () throws(FileError) in
            try HeadSnapshot.Identity(directories: [], minValidTimeMs: 0, files: files)
        }
        guard isWritten == true, let data = FileManager.default.contents(atPath: path) else { fatalError("no snapshot") }
        return [UInt8](data)
    }()
}
