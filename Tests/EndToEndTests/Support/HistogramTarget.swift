import Foundation
import Synchronization

/// Bytes of a protocol buffer message, field by field.
struct ProtobufMessage {
    private(set) var bytes: [UInt8] = []

    private mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    private static func zigzag(_ value: Int64) -> UInt64 { UInt64(bitPattern: value << 1 ^ value >> 63) }

    mutating func add(_ field: Int, _ value: UInt64) {
        varint(UInt64(field << 3))
        varint(value)
    }
    mutating func add(_ field: Int, zigzag value: Int64) { add(field, Self.zigzag(value)) }
    mutating func add(_ field: Int, _ value: Double) {
        varint(UInt64(field << 3 | 1))
        append(value)
    }
    private mutating func append(_ value: Double) {
        for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: value.bitPattern >> UInt64(8 * shift))) }
    }
    mutating func add(_ field: Int, _ content: [UInt8]) {
        varint(UInt64(field << 3 | 2))
        varint(UInt64(content.count))
        bytes += content
    }
    mutating func add(_ field: Int, _ text: String) { add(field, Array(text.utf8)) }
    mutating func add(_ field: Int, _ build: (inout ProtobufMessage) -> Void) {
        var inner = ProtobufMessage()
        build(&inner)
        add(field, inner.bytes)
    }
    mutating func add(_ field: Int, packedZigzag values: [Int64]) {
        var inner = ProtobufMessage()
        for value in values { inner.varint(Self.zigzag(value)) }
        add(field, inner.bytes)
    }
    mutating func add(_ field: Int, packed values: [Double]) {
        var inner = ProtobufMessage()
        for value in values { inner.append(value) }
        add(field, inner.bytes)
    }
    /// As a stream of messages has it: its length in front.
    var delimited: [UInt8] {
        var outer = ProtobufMessage()
        outer.varint(UInt64(bytes.count))
        return outer.bytes + bytes
    }
}

/// A target with every kind of native histogram, in the delimited protocol buffers that upstream's scraper reads, each
/// sample with a timestamp. Numbers follow from the count of scrapes, with a counter reset now and then.
final class HistogramTarget: Sendable {
    private let server: PageServer
    let port: UInt16

    init() throws {
        let state = Clock()
        clock = state
        server = try PageServer(
            contentType: "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
        ) { _ in
            let (number, now) = state.advance()
            return Self.page(number, now)
        }
        port = server.port
    }

    private let clock: Clock
    private final class Clock: Sendable {
        private let state = Mutex((scrapes: 0, nowMs: 0))
        var scrapes: Int { state.withLock { $0.scrapes } }
        func advance() -> (Int, Int) {
            state.withLock { state in
                state.nowMs = max(state.nowMs + 1, Int(Date.now.timeIntervalSince1970 * 1000))
                state.scrapes += 1
                return (state.scrapes, state.nowMs)
            }
        }
    }
    var scrapes: Int { clock.scrapes }

    private enum Kind: UInt64 { case gauge = 1, histogram = 4, gaugeHistogram = 5 }

    private static func family(_ name: String, _ kind: Kind, _ time: Int, _ metric: (inout ProtobufMessage) -> Void) -> [UInt8] {
        var family = ProtobufMessage()
        family.add(1, name)
        family.add(2, "A \(name).")
        family.add(3, kind.rawValue)
        family.add(4) { one in
            one.add(1) {
                $0.add(1, "by")
                $0.add(2, "prometheus")
            }
            metric(&one)
            one.add(6, UInt64(time))
        }
        return family.delimited
    }

    private static func span(_ message: inout ProtobufMessage, _ field: Int, _ offset: Int64, _ length: UInt64) {
        message.add(field) {
            $0.add(1, zigzag: offset)
            $0.add(2, length)
        }
    }

    private static func exemplar(_ message: inout ProtobufMessage, _ field: Int, _ number: Int, _ time: Int) {
        message.add(field) { exemplar in
            exemplar.add(1) {
                $0.add(1, "trace_id")
                $0.add(2, "t\(number)")
            }
            exemplar.add(2, Double(number) / 4)
            exemplar.add(3) {
                $0.add(1, UInt64(time / 1000))
                $0.add(2, UInt64(time % 1000 * 1_000_000))
            }
        }
    }

    /// Counts in two spans of positive buckets, one of negative ones, and the zero bucket.
    private static func integers(_ message: inout ProtobufMessage, _ unit: UInt64, exemplar: (number: Int, time: Int)? = nil) {
        let one = Int64(unit)
        message.add(1, unit * 10)
        message.add(2, Double(unit) * 1.25)
        message.add(5, zigzag: 2)
        message.add(6, 0.001)
        message.add(7, unit * 3)
        span(&message, 9, -1, 1)
        message.add(10, packedZigzag: [one])
        // 1, 2 and 3 times the unit; the second span moves now and then, so that chunks are written again.
        span(&message, 12, 0, 2)
        span(&message, 12, unit % 20 < 10 ? 3 : 2, 1)
        message.add(13, packedZigzag: [one, one, one])
        if let exemplar { Self.exemplar(&message, 16, exemplar.number, exemplar.time) }
    }

    private static func floats(_ message: inout ProtobufMessage, _ unit: Double) {
        message.add(4, unit * 4)
        message.add(2, unit * 7)
        message.add(5, zigzag: 0)
        message.add(6, 0.5)
        message.add(8, unit)
        span(&message, 12, 1, 3)
        message.add(14, packed: [unit, unit * 0.5, unit * 1.5])
    }

    private static func page(_ number: Int, _ now: Int) -> [UInt8] {
        // A counter that is reset every 40 scrapes.
        let unit = UInt64(number % 40 + 1)
        var page = family("pb_gauge", .gauge, now) { $0.add(2) { $0.add(1, Double(number) / 8) } }
        page += family("pb_integers", .histogram, now) { $0.add(7) { integers(&$0, unit, exemplar: (number, now)) } }
        page += family("pb_floats", .histogram, now) { $0.add(7) { floats(&$0, Double(unit) + 0.25) } }
        page += family("pb_gauges", .gaugeHistogram, now) { $0.add(7) { integers(&$0, UInt64(number * 7 % 11 + 1)) } }
        // Classic buckets, of which the scraper makes a histogram with custom ones.
        page += family("pb_custom", .histogram, now) {
            $0.add(7) { message in
                message.add(1, unit * 6)
                message.add(2, Double(unit) * 2.5)
                for (index, bound) in [0.1, 1, 10, Double.infinity].enumerated() {
                    message.add(3) {
                        $0.add(1, unit * [1, 3, 5, 6][index])
                        $0.add(2, bound)
                        if index == 1 { exemplar(&$0, 3, number, now) }
                    }
                }
            }
        }
        // A series that is of floats for a while, then of histograms.
        page += family("pb_mixed", number / 8 % 2 == 0 ? .gauge : .histogram, now) { metric in
            if number / 8 % 2 == 0 { metric.add(2) { $0.add(1, Double(number)) } } else { metric.add(7) { integers(&$0, unit) } }
        }
        let late = now - 2_000 - number % 31 * 150
        page += family("pb_late", .gauge, late) { $0.add(2) { $0.add(1, Double(number) / 16) } }
        page += family("pb_late_integers", .histogram, late) { $0.add(7) { integers(&$0, unit) } }
        return page
    }
}
