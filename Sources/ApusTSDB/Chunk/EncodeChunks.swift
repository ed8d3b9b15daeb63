import ApusModel
public import ApusStorage

/// The most samples in a chunk that is written anew, as upstream's.
public let defaultSamplesPerChunk = 120

/// Writes samples, in order of time, into as few chunks as may be: one for each run of a kind, of `samplesPerChunk` samples
/// at most, and of histograms another wherever `HistogramEncoder` asks for one.
///
/// For samples that were decoded and changed: merged, or with some deleted. Start timestamps are left out, since readers
/// before 3.14 know no chunk that has them.
public func encodeChunks(_ columns: borrowing SampleColumns, samplesPerChunk: Int = defaultSamplesPerChunk) -> [EncodedChunk] {
    var chunks: [EncodedChunk] = []
    for run in columns.runs {
        if run.kind == .float {
            encodeFloats(columns, run.range, min(max(1, samplesPerChunk), XORState.maxSamples), &chunks)
        } else {
            encodeHistograms(columns, run, min(max(1, samplesPerChunk), HistogramEncoder.maxSamples), &chunks)
        }
    }
    return chunks
}

private func encodeFloats(_ columns: borrowing SampleColumns, _ range: Range<Int>, _ limit: Int, _ chunks: inout [EncodedChunk]) {
    var start = range.lowerBound
    while start < range.upperBound {
        let end = min(start + limit, range.upperBound)
        var encoder = XORChunkEncoder()
        for index in start..<end { _ = encoder.append(timestampMs: columns.timestampMs(at: index), value: columns.value(at: index)) }
        chunks.append(
            EncodedChunk(
                encoding: .xor, minTimeMs: columns.timestampMs(at: start), maxTimeMs: columns.timestampMs(at: end - 1),
                bytes: encoder.finish().bytes))
        start = end
    }
}

private func encodeHistograms(
    _ columns: borrowing SampleColumns, _ run: SampleColumns.Run, _ limit: Int, _ chunks: inout [EncodedChunk]
) {
    let isFloat = run.kind == .floatHistogram
    var encoder = HistogramEncoder(isFloat: isFloat)
    for index in run.range {
        guard let histogram = columns.histogram(at: index) else { continue }
        let time = columns.timestampMs(at: index)
        if encoder.count >= limit {
            chunks.append(encoder.chunk)
            encoder = HistogramEncoder(isFloat: isFloat)
        }
        if let hint = encoder.append(timestampMs: time, histogram) {
            chunks.append(encoder.chunk)
            encoder = HistogramEncoder(isFloat: isFloat, hint: hint)
            _ = encoder.append(timestampMs: time, histogram)
        }
    }
    if encoder.count > 0 { chunks.append(encoder.chunk) }
}
