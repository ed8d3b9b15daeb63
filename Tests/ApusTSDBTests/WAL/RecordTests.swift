import ApusBytes
import ApusModel
import ApusStorage
import Testing

@testable import ApusTSDB

@Suite("WAL records") struct RecordTests {
    @Test("records of a real server decode to what they hold", arguments: recordVectors)
    func vectors(vector: RecordVector) throws {
        let record = bytes(hex: vector.record)
        var decoded = DecodedRecord()
        try decoded.decode(record)
        #expect(entries(of: decoded) == vector.entries)
        #expect(decoded.unknownRecords == 0)
    }

    @Test("what is decoded encodes to the same bytes", arguments: recordVectors)
    func encodes(vector: RecordVector) throws {
        let record = bytes(hex: vector.record)
        var decoded = DecodedRecord()
        try decoded.decode(record)
        #expect(encoded(decoded) == record)
    }

    @Test("a record that is cut anywhere is an error or fewer entries, and never a crash", arguments: recordVectors)
    func cuts(vector: RecordVector) {
        let record = bytes(hex: vector.record)
        var decoded = DecodedRecord()
        for end in 0..<record.count {
            try? decoded.decode(Array(record[..<end]))
            #expect(entries(of: decoded).count <= vector.entries.count)
        }
    }

    @Test("random bytes of every type decode or are refused")
    func garbage() {
        var generator = Generator(seed: 7)
        var decoded = DecodedRecord()
        var refused = 0
        for round in 0..<20_000 {
            var record = (0..<generator.below(60)).map { _ in UInt8(generator.below(256)) }
            if record.isEmpty { continue }
            record[0] = UInt8(round % 16)
            do { try decoded.decode(record) } catch {
                refused += 1
                #expect(decoded.type == nil && decoded.samples.count == 0 && decoded.series.isEmpty)
            }
        }
        #expect(refused > 5_000 && decoded.unknownRecords > 1_000)
    }

    @Test("samples of any refs, times and values come back")
    func roundTrip() throws {
        var generator = Generator(seed: 11)
        var encoder = RecordEncoder()
        var decoded = DecodedRecord()
        for round in 0..<200 {
            var batch = SampleBatch()
            for _ in 0..<generator.below(round * 3 + 1) {
                let wild = generator.below(20) == 0
                batch.append(
                    SeriesRef(rawValue: wild ? generator.next() : UInt64(generator.below(5000))),
                    timestampMs: wild ? Int64(truncatingIfNeeded: generator.next()) : 1_700_000_000_000 + Int64(generator.below(1000)),
                    value: Double(bitPattern: generator.next()))
            }
            encoder.samples(batch.refs, batch.timestampsMs, batch.values, count: batch.count)
            try decoded.decode(copy(encoder))
            #expect(decoded.samples.refs == batch.refs && decoded.samples.timestampsMs == batch.timestampsMs)
            #expect(decoded.samples.values.map(\.bitPattern) == batch.values.map(\.bitPattern))
        }
    }

    @Test("labels in another order, twice or empty are put right")
    func labels() throws {
        func record(_ pairs: [(String, String)]) -> [UInt8] {
            var bytes: [UInt8] = [1, 0, 0, 0, 0, 0, 0, 0, 9, UInt8(pairs.count)]
            for (name, value) in pairs {
                bytes += [UInt8(name.utf8.count)] + Array(name.utf8) + [UInt8(value.utf8.count)] + Array(value.utf8)
            }
            return bytes
        }
        var decoded = DecodedRecord()
        for pairs in [[("b", "2"), ("a", "1")], [("a", "1"), ("b", "2"), ("c", "")], [("a", "0"), ("a", "1"), ("b", "2")]] {
            try decoded.decode(record(pairs))
            #expect(decoded.series == [SeriesRecord(ref: SeriesRef(rawValue: 9), labels: ["a": "1", "b": "2"])])
        }
        // A length in more bytes than it needs.
        try decoded.decode([1, 0, 0, 0, 0, 0, 0, 0, 9, 1, 0x81, 0, 0x61, 1, 0x31])
        #expect(decoded.series == [SeriesRecord(ref: SeriesRef(rawValue: 9), labels: ["a": "1"])])
    }

    @Test("samples with start timestamps: none, the same, another")
    func startTimestamps() throws {
        var writer = ByteWriter()
        writer.u8(11)
        for value in [5, 1000, 400] as [Int64] { writer.varint(value) }
        writer.f64(1)
        writer.varint(1)
        writer.varint(10)
        writer.u8(1)
        writer.f64(2)
        writer.varint(-3)
        writer.varint(-10)
        writer.u8(0)
        writer.f64(3)
        writer.varint(0)
        writer.varint(0)
        writer.u8(2)
        writer.varint(-100)
        writer.f64(4)
        var decoded = DecodedRecord()
        try decoded.decode(writer.array)
        #expect(encoded(decoded) == writer.array)
        #expect(decoded.samples.refs.map(\.rawValue) == [5, 6, 3, 3])
        #expect(decoded.samples.timestampsMs == [1000, 1010, 990, 1000])
        #expect(decoded.samples.values == [1, 2, 3, 4])
        #expect(decoded.samples.startTimestampsMs == [400, 400, 0, 300])
    }

    @Test("histograms with start timestamps, of both kinds and beside others, come back", arguments: [false, true])
    func histogramStarts(isFloat: Bool) throws {
        var batch = SampleBatch()
        for index in 0..<40 {
            let integers = try plainHistogram(index)
            let histogram =
                isFloat
                ? try NativeHistogram(
                    layout: integers.layout, isFloat: true, countWord: 9.5.bitPattern, zeroCountWord: 1.5.bitPattern, sum: 3,
                    words: integers.words.map { Double($0).bitPattern }) : integers
            batch.append(
                SeriesRef(rawValue: UInt64(100 - index)), timestampMs: 1_000_000 + Int64(index % 7), histogram: histogram,
                startTimestampMs: [0, 500_000, 500_000, 900_000 + Int64(index)][index % 4])
        }
        var encoder = RecordEncoder()
        var found: [SampleBatch.HistogramSample] = []
        for type in RecordEncoder.histogramTypes where encoder.histograms(batch.histograms, of: type) > 0 {
            var decoded = DecodedRecord()
            try decoded.decode(copy(encoder))
            #expect(decoded.type == type)
            found += decoded.samples.histograms
        }
        #expect(found.sorted { $0.ref > $1.ref } == batch.histograms)
    }

    @Test("errors say which record and where")
    func errors() {
        var decoded = DecodedRecord()
        #expect(throws: RecordError(type: "series", reason: "the bytes end too early, at offset 1")) { try decoded.decode([1, 0]) }
        let huge: [UInt8] = [1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0xFF, 0xFF, 0x7F, 0x61]
        #expect(throws: RecordError(type: "series", reason: "a length of 2097151 at offset 10 exceeds what follows")) { try decoded.decode(huge) }
    }

    private func copy(_ encoder: borrowing RecordEncoder) -> [UInt8] { unsafe [UInt8](encoder.bytes) }

    private func encoded(_ decoded: DecodedRecord) -> [UInt8] {
        var encoder = RecordEncoder()
        switch decoded.type {
        case .series: encoder.series(decoded.series)
        case .samples: encoder.samples(decoded.samples.refs, decoded.samples.timestampsMs, decoded.samples.values, count: decoded.samples.count)
        case .samplesV2: encoder.samplesV2(decoded.samples)
        case .tombstones: encoder.tombstones(decoded.tombstones)
        case .mmapMarkers: encoder.mmapMarkers(decoded.mmapMarkers)
        case .exemplars: encoder.exemplars(decoded.samples.exemplars)
        case .metadata: encoder.metadata(decoded.samples.metadata)
        case .some(let type) where RecordEncoder.histogramTypes.contains(type):
            #expect(encoder.histograms(decoded.samples.histograms, of: type) == decoded.samples.histograms.count)
        default: break
        }
        return copy(encoder)
    }

    /// A line an entry.
    private func entries(of record: DecodedRecord) -> [String] {
        var lines: [String] = record.series.map { "\($0.ref.rawValue) \(text($0.labels))" }
        for index in 0..<record.samples.count {
            let (ref, time, value) = (record.samples.refs[index], record.samples.timestampsMs[index], record.samples.values[index])
            lines.append("\(ref.rawValue) \(time) \(value)")
        }
        lines += record.tombstones.map { "\($0.ref.rawValue) \($0.minTimeMs) \($0.maxTimeMs)" }
        lines += record.mmapMarkers.map { "\($0.ref.rawValue) \($0.chunkRef)" }
        lines += record.samples.exemplars.map { "\($0.ref.rawValue) \($0.exemplar.timestampMs) \($0.exemplar.value) \(text($0.exemplar.labels))" }
        lines += record.samples.metadata.map { "\($0.ref.rawValue) \($0.metadata.type.recordCode) unit=\($0.metadata.unit) help=\($0.metadata.help)" }
        lines += record.samples.histograms.map { "\($0.ref.rawValue) \($0.timestampMs) \(text($0.histogram))" }
        return lines
    }

    private func text(_ histogram: NativeHistogram) -> String {
        let layout = histogram.layout
        func list(_ texts: [String]) -> String { "[" + texts.joined(separator: " ") + "]" }
        func number(_ word: UInt64) -> String { histogram.isFloat ? "\(Double(bitPattern: word))" : "\(word)" }
        let buckets = [histogram.positiveWords, histogram.negativeWords].map { words in
            var previous: UInt64 = 0
            return list(
                words.map { word in
                    defer { previous = word }
                    return histogram.isFloat ? number(word) : "\(Int64(bitPattern: word &- previous))"
                })
        }
        let spans = [layout.positiveSpans, layout.negativeSpans].map { list($0.map { "\($0.offset):\($0.length)" }) }
        return "\(histogram.hint) \(layout.schema) \(layout.zeroThreshold) \(number(histogram.zeroCountWord)) \(number(histogram.countWord)) "
            + "\(histogram.sum) \(spans[0]) \(spans[1]) \(buckets[0]) \(buckets[1]) \(list(layout.customBounds.map { "\($0)" }))"
    }

    private func text(_ labels: LabelSet) -> String { "{" + labels.labels.map { "\($0.name)=\($0.value)" }.joined(separator: ",") + "}" }
}
