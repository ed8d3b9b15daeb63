import ApusBytes
import ApusModel
import ApusPromQL

// How query results look in JSON. Samples are `[seconds,"value"]`; the value is text because JSON has no NaN.

extension JSONWriter {
    /// The members `resultType` and `result` of a query's `data`.
    /// - Parameter engine: has threads that may help with a large one.
    mutating func members(of value: QueryValue, with engine: QueryEngine? = nil) {
        key("resultType")
        switch value {
        case .scalar(let timestampMs, let number):
            string("scalar")
            key("result")
            // A scalar prints without an exponent however small it is; samples do not.
            sample(timestampMs: timestampMs, value: number, style: .fixed)
        case .string(let timestampMs, let text):
            string("string")
            key("result")
            array { json in
                json.timestamp(timestampMs)
                json.string(text)
            }
        case .vector(let samples):
            string("vector")
            key("result")
            array { json in
                for sample in samples {
                    json.object { json in
                        json.key("metric")
                        json.labels(sample.labels)
                        if let histogram = sample.histogram {
                            json.key("histogram")
                            json.value { $0.appendHistogramSample(timestampMs: sample.timestampMs, histogram) }
                        } else {
                            json.key("value")
                            json.sample(timestampMs: sample.timestampMs, value: sample.value, style: .json)
                        }
                    }
                }
            }
        case .matrix(let series):
            string("matrix")
            key("result")
            array { json in
                let parts = Self.parts(of: series)
                if let engine, parts.count > 1 {
                    json.splice(Self.matrix(series, parts, engine))
                } else {
                    var samples = SampleTextWriter()
                    for one in series { json.matrixSeries(one, &samples) }
                }
            }
        }
    }

    /// About as many samples as one thread writes in half a millisecond; 250 KB.
    private static let partSamples = 8_192

    /// Cuts a matrix into parts of about equal size.
    private static func parts(of series: [MatrixSeries]) -> [Range<Int>] {
        var parts: [Range<Int>] = []
        var (start, samples) = (0, 0)
        for (index, one) in series.enumerated() {
            // A histogram is as long as many samples.
            samples += one.values.count + one.histograms.count * 16
            if samples >= partSamples || index == series.count - 1 {
                parts.append(start..<index + 1)
                (start, samples) = (index + 1, 0)
            }
        }
        return parts
    }

    /// The elements of a matrix, each part written by whichever thread comes to it.
    private static func matrix(_ series: [MatrixSeries], _ parts: [Range<Int>], _ engine: QueryEngine) -> [[UInt8]] {
        let pieces = Locked([[UInt8]](repeating: [], count: parts.count))
        engine.concurrently(parts.count) { number in
            var json = JSONWriter()
            json.bytes.reserveCapacity(partSamples * 36)
            if number > 0 { json.bytes.append(UInt8(ascii: ",")) }
            var samples = SampleTextWriter()
            for one in series[parts[number]] { json.matrixSeries(one, &samples) }
            let bytes = json.bytes
            pieces.withLock { $0[number] = bytes }
        }
        return pieces.withLock { $0 }
    }

    private mutating func matrixSeries(_ series: MatrixSeries, _ samples: inout SampleTextWriter) {
        object { json in
            json.key("metric")
            json.labels(series.labels)
            if !series.values.isEmpty || series.histograms.isEmpty {
                json.key("values")
                json.value { bytes in
                    bytes.append(UInt8(ascii: "["))
                    samples.append(timestampsMs: series.timestampsMs.span, values: series.values.span, to: &bytes)
                    bytes.append(UInt8(ascii: "]"))
                }
            }
            if !series.histograms.isEmpty { json.histograms(of: series) }
        }
    }

    private mutating func histograms(of series: MatrixSeries) {
        key("histograms")
        value { bytes in
            bytes.append(UInt8(ascii: "["))
            for (index, (timestampMs, histogram)) in zip(series.histogramTimestampsMs, series.histograms).enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                bytes.appendHistogramSample(timestampMs: timestampMs, histogram)
            }
            bytes.append(UInt8(ascii: "]"))
        }
    }

    /// A label set as an object, in order of name.
    mutating func labels(_ labels: LabelSet) {
        object { json in
            let text = labels.encoded.span
            for pair in labels.ranges {
                json.key(text.extracting(pair.name))
                json.string(text.extracting(pair.value))
            }
        }
    }

    mutating func timestamp(_ timestampMs: Int64) { value { $0.appendTimestampSeconds(timestampMs) } }

    private mutating func sample(timestampMs: Int64, value number: Double, style: DoubleStyle) {
        value { $0.appendSample(timestampMs: timestampMs, value: number, style: style) }
    }
}

extension Array where Element == UInt8 {
    fileprivate mutating func appendSample(timestampMs: Int64, value: Double, style: DoubleStyle) {
        append(UInt8(ascii: "["))
        appendTimestampSeconds(timestampMs)
        append(UInt8(ascii: ","))
        append(UInt8(ascii: "\""))
        appendDouble(value, style: style)
        append(UInt8(ascii: "\""))
        append(UInt8(ascii: "]"))
    }
}

extension JSONWriter {
    private mutating func counts(_ name: String, _ counts: [Int64]?, _ timesMs: (Int) -> Int64) {
        guard let counts, !counts.isEmpty else { return }
        key(name)
        array { json in
            for (step, count) in counts.enumerated() {
                json.array { json in
                    json.timestamp(timesMs(step))
                    json.integer(count)
                }
            }
        }
    }

    /// What a query cost, as `stats` asks for it. Times in seconds.
    /// - Parameter timesMs: the times of the query's steps, for counts by step.
    mutating func statistics(_ statistics: QueryStatistics, timesMs: (Int) -> Int64) {
        object { json in
            json.key("timings")
            json.object { json in
                for (name, seconds) in [
                    ("evalTotalTime", statistics.evalTotalSeconds), ("resultSortTime", statistics.resultSortSeconds),
                    ("queryPreparationTime", statistics.prepareSeconds), ("innerEvalTime", statistics.innerEvalSeconds),
                    ("execQueueTime", statistics.queueSeconds), ("execTotalTime", statistics.execTotalSeconds),
                ] {
                    json.key(name)
                    json.number(seconds)
                }
            }
            json.key("samples")
            json.object { json in
                json.counts("totalQueryableSamplesPerStep", statistics.queryableSamplesPerStep, timesMs)
                json.key("totalQueryableSamples")
                json.integer(statistics.totalQueryableSamples)
                json.counts("samplesReadPerStep", statistics.samplesReadPerStep, timesMs)
                json.key("samplesRead")
                json.integer(statistics.samplesRead)
                json.key("peakSamples")
                json.integer(statistics.peakSamples)
            }
        }
    }
}
