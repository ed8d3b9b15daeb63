import ApusModel
public import ApusStorage

/// The most samples in a chunk that is written anew, as upstream's.
public let defaultSamplesPerChunk = 120

/// Writes samples, in order of time, into as few chunks as may be: one for each run of a kind, of `samplesPerChunk` samples
/// at most, and of histograms another wherever `HistogramEncoder` asks for one.
///
/// For samples that were decoded and changed: merged, or with some deleted. A run that has start timestamps keeps them, in
/// chunks of the encodings 4 to 6: they came from such chunks, so that whoever reads the directory knows them.
public func encodeChunks(_ columns: borrowing SampleColumns, samplesPerChunk: Int = defaultSamplesPerChunk) -> [EncodedChunk] {
    var chunks: [EncodedChunk] = []
    for run in columns.runs {
        let hasStarts = columns.hasStartTimestamps && run.range.contains { columns.startTimestampMs(at: $0) != 0 }
        let limit = max(1, samplesPerChunk)
        if run.kind != .float {
            encodeHistograms(columns, run, limit, keepsStarts: hasStarts, &chunks)
        } else if hasStarts {
            encodeFloatsWithStarts(columns, run.range, min(limit, XOR2Encoder.maxSamples), &chunks)
        } else {
            encodeFloats(columns, run.range, min(limit, XORState.maxSamples), &chunks)
        }
    }
    return chunks
}

private func encodeFloatsWithStarts(_ columns: borrowing SampleColumns, _ range: Range<Int>, _ limit: Int, _ chunks: inout [EncodedChunk]) {
    var encoder = XOR2Encoder()
    for index in range {
        if encoder.count >= limit {
            chunks.append(encoder.chunk)
            encoder = XOR2Encoder()
        }
        encoder.append(
            timestampMs: columns.timestampMs(at: index), value: columns.value(at: index).bitPattern, startMs: columns.startTimestampMs(at: index))
    }
    if encoder.count > 0 { chunks.append(encoder.chunk) }
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
    _ columns: borrowing SampleColumns, _ run: SampleColumns.Run, _ limit: Int, keepsStarts: Bool, _ chunks: inout [EncodedChunk]
) {
    let isFloat = run.kind == .floatHistogram
    var encoder = HistogramEncoder(isFloat: isFloat, keepsStarts: keepsStarts)
    let limit = min(limit, encoder.maxSamples)
    for index in run.range {
        guard let histogram = columns.histogram(at: index) else { continue }
        let (time, start) = (columns.timestampMs(at: index), columns.startTimestampMs(at: index))
        if encoder.count >= limit {
            chunks.append(encoder.chunk)
            encoder = HistogramEncoder(isFloat: isFloat, keepsStarts: keepsStarts)
        }
        if let hint = encoder.append(timestampMs: time, startMs: start, histogram) {
            chunks.append(encoder.chunk)
            encoder = HistogramEncoder(isFloat: isFloat, hint: hint, keepsStarts: keepsStarts)
            _ = encoder.append(timestampMs: time, startMs: start, histogram)
        }
    }
    if encoder.count > 0 { chunks.append(encoder.chunk) }
}
