import ApusBytes
import ApusModel
public import ApusStorage

/// One record of a log, decoded into columns. Use one value for all records: `decode` keeps the columns' memory, so that
/// reading samples allocates nothing.
///
/// Only the columns that belong to `type` are filled, the others are empty.
///
///     series        type 1 │ { ref u64, labels }…                     labels: count uvarint, { name, value }…
///     samples            2 │ ref₀ u64, t₀ u64, { Δref, Δt varint, value f64 }…        Δ to the first, the first included
///     tombstones         3 │ { ref u64, minTime varint, maxTime varint }…
///     exemplars          4 │ ref₀ u64, t₀ u64, { Δref, Δt varint, value f64, labels }…
///     mmap markers       5 │ { ref u64, chunk ref u64 }…
///     metadata           6 │ { ref uvarint, type u8, fields uvarint, { name, value }… }…
///     histograms    7…10   │ ref₀ u64, t₀ u64, { Δref, Δt varint, histogram }…        see `DecodedRecord+Histograms`
///     samples v2        11 │ ref, t₀, st₀ varint, f64, { Δref to the last, Δt to the first varint, start, f64 }…
///     start            │ 0 none │ 1 that of the sample before │ 2, Δst to the first varint │
///
/// Names, values and texts are a length (uvarint) and bytes; fixed integers are big endian. The format's page calls the
/// differences unsigned; what servers write are zigzag varints.
public struct DecodedRecord: Sendable {
    /// Nil when the type is unknown or the record is empty.
    public internal(set) var type: RecordType?
    public internal(set) var series: [SeriesRecord] = []
    /// Samples, histograms, exemplars and metadata, ready to be appended.
    public internal(set) var samples = SampleBatch()
    public internal(set) var tombstones: [TombstoneRecord] = []
    public internal(set) var mmapMarkers: [MmapMarkerRecord] = []
    /// Of a record of that type.
    public internal(set) var minValidTimeMs: Int64?
    /// Records of a type that is not known, over the life of this value. They are skipped, as a newer server's are.
    public internal(set) var unknownRecords = 0
    /// Histograms of a schema that is not known or that contradict themselves, over the life of this value; left out.
    public internal(set) var unreadableHistograms = 0
    var histograms = HistogramRecordDecoder()

    /// Both counts, which begin again.
    mutating func takeUnread() -> (records: Int, histograms: Int) {
        defer { (unknownRecords, unreadableHistograms) = (0, 0) }
        return (unknownRecords, unreadableHistograms)
    }

    public init() {}

    public mutating func removeAll() {
        type = nil
        series.removeAll(keepingCapacity: true)
        samples.removeAll()
        tombstones.removeAll(keepingCapacity: true)
        mmapMarkers.removeAll(keepingCapacity: true)
        minValidTimeMs = nil
    }

    /// Decodes one record, in place of what was there. Any bytes are safe.
    ///
    /// - Throws: where and why decoding stopped; all columns are then empty.
    @unsafe public mutating func decode(_ record: UnsafeRawBufferPointer) throws(RecordError) {
        removeAll()
        var reader = unsafe ByteReader(record)
        guard let code = try? reader.u8(), let type = RecordType(rawValue: code) else {
            if record.count > 0 { unknownRecords += 1 }
            return
        }
        do throws(ByteReaderError) {
            switch type {
            case .series: try decodeSeries(&reader)
            case .samples: try decodeSamples(&reader)
            case .tombstones: try decodeTombstones(&reader)
            case .mmapMarkers: try decodeMarkers(&reader)
            case .exemplars: try decodeExemplars(&reader)
            case .metadata: try decodeMetadata(&reader)
            case .histogramSamples, .customBucketsHistogramSamples: try decodeHistograms(&reader, isFloat: false)
            case .floatHistogramSamples, .customBucketsFloatHistogramSamples: try decodeHistograms(&reader, isFloat: true)
            case .samplesV2: try decodeSamplesV2(&reader)
            case .histogramSamplesV2: try decodeHistogramsV2(&reader, isFloat: false)
            case .floatHistogramSamplesV2: try decodeHistogramsV2(&reader, isFloat: true)
            case .minValidTime:
                minValidTimeMs = try reader.i64()
                if !reader.isAtEnd { throw ByteReaderError(.length(UInt64(reader.remaining)), offset: reader.offset) }
            }
        } catch {
            removeAll()
            throw RecordError(type: type.name, reason: error.description)
        }
        self.type = type
    }

    /// The same for bytes in an array.
    public mutating func decode(_ record: [UInt8]) throws(RecordError) {
        let result: Result<Void, RecordError> = unsafe record.withUnsafeBytes { buffer in
            do throws(RecordError) { return .success(try unsafe decode(buffer)) } catch { return .failure(error) }
        }
        try result.get()
    }

    private mutating func decodeSeries(_ reader: inout ByteReader) throws(ByteReaderError) {
        while !reader.isAtEnd {
            let ref = SeriesRef(rawValue: try reader.u64())
            series.append(SeriesRecord(ref: ref, labels: try reader.labels()))
        }
    }

    private mutating func decodeSamples(_ reader: inout ByteReader) throws(ByteReaderError) {
        if reader.isAtEnd { return }
        let firstRef = try reader.u64()
        let firstTime = try reader.i64()
        // The shortest sample is ten bytes.
        let most = reader.remaining / 10
        samples.refs.reserveCapacity(most)
        samples.timestampsMs.reserveCapacity(most)
        samples.values.reserveCapacity(most)
        while !reader.isAtEnd {
            let ref = firstRef &+ UInt64(bitPattern: try reader.varint())
            let time = firstTime &+ (try reader.varint())
            samples.append(SeriesRef(rawValue: ref), timestampMs: time, value: try reader.f64())
        }
    }

    private mutating func decodeSamplesV2(_ reader: inout ByteReader) throws(ByteReaderError) {
        if reader.isAtEnd { return }
        var ref = try reader.varint()
        let firstTime = try reader.varint()
        let firstStart = try reader.varint()
        var time = firstTime
        var start = firstStart
        while true {
            samples.append(
                SeriesRef(rawValue: UInt64(bitPattern: ref)), timestampMs: time, value: try reader.f64(), startTimestampMs: start)
            if reader.isAtEnd { return }
            ref &+= try reader.varint()
            time = firstTime &+ (try reader.varint())
            start = try reader.startTimestamp(previous: start, first: firstStart)
        }
    }

    private mutating func decodeTombstones(_ reader: inout ByteReader) throws(ByteReaderError) {
        while !reader.isAtEnd {
            let ref = SeriesRef(rawValue: try reader.u64())
            let minTime = try reader.varint()
            tombstones.append(TombstoneRecord(ref: ref, minTimeMs: minTime, maxTimeMs: try reader.varint()))
        }
    }

    private mutating func decodeExemplars(_ reader: inout ByteReader) throws(ByteReaderError) {
        if reader.isAtEnd { return }
        let firstRef = try reader.u64()
        let firstTime = try reader.i64()
        while !reader.isAtEnd {
            let ref = firstRef &+ UInt64(bitPattern: try reader.varint())
            let time = firstTime &+ (try reader.varint())
            let value = try reader.f64()
            samples.append(SeriesRef(rawValue: ref), exemplar: Exemplar(labels: try reader.labels(), value: value, timestampMs: time))
        }
    }

    private mutating func decodeMetadata(_ reader: inout ByteReader) throws(ByteReaderError) {
        while !reader.isAtEnd {
            let ref = SeriesRef(rawValue: try reader.uvarint())
            var metadata = MetricMetadata(type: MetricType(recordCode: try reader.u8()))
            var left = try reader.length(ofAtLeast: 2)
            while left > 0 {
                let name = try reader.uvarintByteString()
                let value = try reader.uvarintByteString()
                // Fields of other names are for newer servers.
                if name == RecordEncoder.unitField { metadata.unit = value.description }
                if name == RecordEncoder.helpField { metadata.help = value.description }
                left -= 1
            }
            samples.append(ref, metadata: metadata)
        }
    }

    private mutating func decodeMarkers(_ reader: inout ByteReader) throws(ByteReaderError) {
        while !reader.isAtEnd {
            let ref = SeriesRef(rawValue: try reader.u64())
            mmapMarkers.append(MmapMarkerRecord(ref: ref, chunkRef: try reader.u64()))
        }
    }
}

extension ByteReader {
    /// Start timestamp of a sample that is not its record's first.
    mutating func startTimestamp(previous: Int64, first: Int64) throws(ByteReaderError) -> Int64 {
        switch try u8() {
        case 0: 0
        case 1: previous
        default: first &+ (try varint())
        }
    }

    /// A count of labels and the labels.
    mutating func labels() throws(ByteReaderError) -> LabelSet {
        var left = try uvarint()
        let start = offset
        var isCanonical = true
        var previous = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
        var isFirst = true
        while left > 0 {
            left &-= 1
            let before = offset
            let name = try unsafe uvarintBytes()
            let value = try unsafe uvarintBytes()
            // As a label set keeps them: shortest lengths, names ascending, no empty value.
            let size = uvarintSize(name.count) &+ name.count &+ uvarintSize(value.count) &+ value.count
            let ascends = unsafe isFirst || previous.lexicographicallyPrecedes(name)
            if offset &- before != size || value.count == 0 || !ascends { isCanonical = false }
            unsafe previous = name
            isFirst = false
        }
        let end = offset
        try seek(to: start)
        if isCanonical { return LabelSet(alreadyEncoded: unsafe [UInt8](try bytes(end &- start))) }
        // Not as any server writes them, yet they say which labels are meant.
        var labels: [Label] = []
        while offset < end { labels.append(Label(try uvarintByteString(), try uvarintByteString())) }
        return LabelSet(labels)
    }
}

/// Bytes of an uvarint.
func uvarintSize(_ value: Int) -> Int { max(1, (UInt64.bitWidth &- UInt64(value).leadingZeroBitCount &+ 6) / 7) }
