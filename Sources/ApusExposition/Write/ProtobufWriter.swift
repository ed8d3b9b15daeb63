import ApusBytes
import ApusModel

/// Writes families as delimited `io.prometheus.client.MetricFamily` messages, what `ProtobufParser` reads:
/// <https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto>.
///
/// Fields that hold their default value are left out, as proto2 readers do not tell the difference. A message's length
/// stands before it and is known only afterwards: the message is written first and moved by its length's few bytes.
struct ProtobufWriter {
    private let escaping: NameEscaping
    private(set) var bytes: [UInt8]
    /// Where the values of counters, gauges and unknowns are.
    private(set) var numberOffsets: [Int] = []

    /// Goes on writing behind `bytes`.
    init(_ bytes: consuming [UInt8], escaping: NameEscaping) {
        self.bytes = bytes
        self.escaping = escaping
    }

    // MARK: The model

    mutating func write(_ family: FamilySnapshot) {
        delimited { writer in
            writer.writeHead(of: family)
            for point in family.points { writer.write(point, of: family) }
            writer.writeTail(of: family)
        }
    }

    mutating func writeHead(of family: FamilySnapshot) {
        text(1, escaping.escape(family.name))
        text(2, family.help)
        unsigned(3, Self.number(of: family.type))
    }

    mutating func writeTail(of family: FamilySnapshot) { text(5, escaping.escape(family.unit)) }

    private static func number(of type: MetricType) -> UInt64 {
        switch type {
        case .counter: 0
        case .gauge, .info, .stateset: 1
        case .summary: 2
        case .unknown: 3
        case .histogram: 4
        case .gaugehistogram: 5
        }
    }

    mutating func write(_ point: MetricPoint, of family: FamilySnapshot) {
        switch point.value {
        case .states(let states):
            // There is no such type: each state is a gauge of its own.
            for state in states {
                metric(point, state: Label(family.name, state.name)) { $0.message(2) { $0.double(1, state.isOn ? 1 : 0) } }
            }
        case .number(let value, let exemplar):
            metric(point) { writer in
                switch family.type {
                case .counter:
                    writer.message(3) {
                        $0.number(value)
                        if let exemplar { $0.write(2, exemplar) }
                        $0.time(3, point.createdMs)
                    }
                case .unknown: writer.message(5) { $0.number(value) }
                default: writer.message(2) { $0.number(value) }
                }
            }
        case .summary(let summary):
            metric(point) { writer in
                writer.message(4) {
                    $0.unsigned(1, summary.count)
                    $0.double(2, summary.sum)
                    for quantile in summary.quantiles {
                        $0.message(3) {
                            $0.double(1, quantile.rank)
                            $0.double(2, quantile.value)
                        }
                    }
                    $0.time(4, point.createdMs)
                }
            }
        case .histogram(let histogram):
            metric(point) { writer in
                writer.message(7) {
                    $0.write(histogram)
                    if family.type == .histogram { $0.time(15, point.createdMs) }
                    for exemplar in histogram.nativeExemplars { $0.write(16, exemplar) }
                }
            }
        }
    }

    private mutating func metric(_ point: MetricPoint, state: Label? = nil, _ value: (inout ProtobufWriter) -> Void) {
        message(4) { writer in
            var seen: [ByteString] = []
            for label in point.labels + (state.map { [$0] } ?? []) {
                let name = writer.escaping.escapeLabel(label.name)
                // Two names that escaping made one would make the series unreadable.
                if writer.escaping != .allowUTF8 {
                    if seen.contains(name) { continue }
                    seen.append(name)
                }
                writer.label(name, label.value)
            }
            value(&writer)
            if let timestamp = point.timestampMs { writer.unsigned(6, UInt64(bitPattern: timestamp)) }
        }
    }

    private mutating func number(_ value: Double) {
        double(1, value)
        numberOffsets.append(bytes.count - 8)
    }

    private mutating func write(_ histogram: HistogramPoint) {
        unsigned(1, histogram.count)
        double(2, histogram.sum)
        var cumulative: UInt64 = 0
        for (index, count) in histogram.counts.enumerated() {
            cumulative &+= count
            let exemplar = index < histogram.exemplars.count ? histogram.exemplars[index] : nil
            // The last one says what the count says, unless there is something to hang on it.
            let isLast = index >= histogram.upperBounds.count
            if isLast && exemplar == nil { continue }
            let bound = isLast ? .infinity : histogram.upperBounds[index]
            let below = cumulative
            message(3) {
                $0.unsigned(1, below)
                $0.double(2, bound)
                if let exemplar { $0.write(3, exemplar) }
            }
        }
        guard let native = histogram.native, !native.layout.hasCustomBounds, !native.isFloat else { return }
        zigzag(5, Int64(native.layout.schema))
        double(6, native.layout.zeroThreshold)
        unsigned(7, native.zeroCountWord)
        for span in native.layout.negativeSpans { write(9, span) }
        packed(10, native.negativeDeltas)
        for span in native.layout.positiveSpans { write(12, span) }
        packed(13, native.positiveDeltas)
        // A span of no length tells a native histogram without buckets from a classic one.
        if native.layout.negativeSpans.isEmpty, native.layout.positiveSpans.isEmpty {
            write(12, HistogramSpan(offset: 0, length: 0))
        }
    }

    private mutating func write(_ number: UInt64, _ span: HistogramSpan) {
        message(number) {
            $0.zigzag(1, Int64(span.offset))
            $0.unsigned(2, UInt64(span.length))
        }
    }

    private mutating func write(_ number: UInt64, _ exemplar: Exemplar) {
        message(number) {
            for label in exemplar.labels.labels { $0.label(label.name, label.value) }
            $0.double(2, exemplar.value)
            if exemplar.hasTimestamp { $0.time(3, exemplar.timestampMs) }
        }
    }

    private mutating func label(_ name: ByteString, _ value: ByteString) {
        message(1) {
            $0.text(1, name)
            $0.text(2, value)
        }
    }

    /// A `google.protobuf.Timestamp`: seconds, and nanoseconds that are never negative.
    private mutating func time(_ number: UInt64, _ milliseconds: Int64?) {
        guard let milliseconds else { return }
        let seconds = milliseconds >= 0 ? milliseconds / 1000 : (milliseconds - 999) / 1000
        let rest = milliseconds &- seconds &* 1000
        message(number) {
            $0.unsigned(1, UInt64(bitPattern: seconds))
            $0.unsigned(2, UInt64(bitPattern: rest &* 1_000_000))
        }
    }

    // MARK: The wire

    private mutating func key(_ number: UInt64, _ wireType: UInt64) { bytes.appendUvarint(number << 3 | wireType) }

    private mutating func unsigned(_ number: UInt64, _ value: UInt64) {
        if value == 0 { return }
        key(number, 0)
        bytes.appendUvarint(value)
    }
    private mutating func zigzag(_ number: UInt64, _ value: Int64) {
        // Not left out at 0: a schema of 0 says that this is a native histogram.
        key(number, 0)
        bytes.appendVarint(value)
    }
    private mutating func double(_ number: UInt64, _ value: Double) {
        key(number, 1)
        for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: value.bitPattern &>> UInt64(8 &* shift))) }
    }
    private mutating func text(_ number: UInt64, _ text: ByteString) {
        if text.isEmpty { return }
        // A reader refuses a page for one string that is not UTF-8.
        let text = validUTF8(text)
        key(number, 2)
        bytes.appendUvarint(UInt64(text.count))
        bytes.append(contentsOf: text.bytes)
    }
    private mutating func packed(_ number: UInt64, _ values: [Int64]) {
        if values.isEmpty { return }
        key(number, 2)
        withLength { writer in for value in values { writer.bytes.appendVarint(value) } }
    }
    private mutating func message(_ number: UInt64, _ body: (inout ProtobufWriter) -> Void) {
        key(number, 2)
        withLength(body)
    }
    private mutating func delimited(_ body: (inout ProtobufWriter) -> Void) { withLength(body) }

    private mutating func withLength(_ body: (inout ProtobufWriter) -> Void) {
        let start = bytes.count
        // Room for the length of a short message, which most are.
        bytes.append(0)
        body(&self)
        let length = UInt64(bytes.count - start - 1)
        if length < 0x80 {
            bytes[start] = UInt8(truncatingIfNeeded: length)
        } else {
            var prefix: [UInt8] = []
            prefix.appendUvarint(length)
            bytes.replaceSubrange(start...start, with: prefix)
            // What stands behind has moved.
            var index = numberOffsets.count
            while index > 0, numberOffsets[index - 1] > start {
                index -= 1
                numberOffsets[index] += prefix.count - 1
            }
        }
    }
}
