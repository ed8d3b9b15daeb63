import ApusBytes
import ApusModel
import ApusStorage

/// Encodes records of a log, one after the other, into one buffer that is kept. The formats are drawn at `DecodedRecord`.
///
/// Call one of the encoding methods, use `bytes`, go on with the next.
struct RecordEncoder: ~Copyable {
    private(set) var writer = ByteWriter(capacity: 4096)

    /// The record, valid until the next call.
    @unsafe var bytes: UnsafeRawBufferPointer { unsafe writer.bytes }

    var count: Int { writer.count }

    /// Gives memory back that one large record took.
    mutating func trim(to limit: Int) { writer.removeAll(keepingAtMost: limit) }

    mutating func series(_ records: [SeriesRecord]) {
        writer.removeAll()
        writer.u8(RecordType.series.rawValue)
        appendSeries(records)
    }

    /// More series behind those of `series`.
    mutating func appendSeries(_ records: [SeriesRecord]) {
        for record in records {
            writer.u64(record.ref.rawValue)
            writer.labels(record.labels)
        }
    }

    /// The first `count` of three columns that have at least as many.
    mutating func samples(_ refs: [SeriesRef], _ timestampsMs: [Int64], _ values: [Double], count: Int) {
        writer.removeAll()
        writer.u8(RecordType.samples.rawValue)
        let count = min(count, refs.count, timestampsMs.count, values.count)
        if count == 0 { return }
        let firstRef = refs[0].rawValue
        let firstTime = timestampsMs[0]
        writer.u64(firstRef)
        writer.i64(firstTime)
        writer.reserve(count * 28)
        let start = unsafe writer.end
        var target = unsafe start
        unsafe refs.withUnsafeBufferPointer { refs in
            unsafe timestampsMs.withUnsafeBufferPointer { times in
                unsafe values.withUnsafeBufferPointer { values in
                    for index in 0..<count {
                        // SAFETY: `index` is below the count of all three, and a sample is at most 10 + 10 + 8 bytes.
                        let ref = unsafe Int64(bitPattern: refs[index].rawValue &- firstRef)
                        unsafe target += storeUvarint(UInt64(bitPattern: (ref &<< 1) ^ (ref &>> 63)), at: target)
                        let time = unsafe times[index] &- firstTime
                        unsafe target += storeUvarint(UInt64(bitPattern: (time &<< 1) ^ (time &>> 63)), at: target)
                        let bits = unsafe values[index].bitPattern.bigEndian
                        unsafe UnsafeMutableRawPointer(target).storeBytes(of: bits, as: UInt64.self)
                        unsafe target += 8
                    }
                }
            }
        }
        unsafe writer.advance(by: target - start)
    }

    mutating func tombstones(_ records: [TombstoneRecord]) {
        writer.removeAll()
        writer.u8(RecordType.tombstones.rawValue)
        for record in records {
            writer.u64(record.ref.rawValue)
            writer.varint(record.minTimeMs)
            writer.varint(record.maxTimeMs)
        }
    }

    mutating func mmapMarkers(_ records: [MmapMarkerRecord]) {
        writer.removeAll()
        writer.u8(RecordType.mmapMarkers.rawValue)
        for record in records {
            writer.u64(record.ref.rawValue)
            writer.u64(record.chunkRef)
        }
    }
}

extension ByteWriter {
    /// A count of labels and the labels.
    mutating func labels(_ labels: LabelSet) {
        uvarint(UInt64(labels.count))
        // A label set keeps its pairs as the format wants them.
        append(labels.encoded)
    }
}
