import ApusBytes
import ApusConfig
import ApusExposition
import ApusPromQL
import ApusRegex
import ApusStorage
import ApusTSDB
import CFuzzDriver
import Glibc

/// Feeds random bytes to one parser or decoder, chosen by the environment variable `APUS_FUZZ_TARGET`. A crash, a hang or
/// an answer that contradicts itself is a find; libFuzzer writes the input to a file.
@main struct Fuzz {
    static let targets: [String: @Sendable ([UInt8]) -> Void] = [
        "double": double, "promql": promql, "regex": regex, "config": config, "xor": xor, "chunk": chunk,
        "wal-record": walRecord, "wal-segment": walSegment, "head-chunks": headChunks, "snapshot": snapshot,
    ].merging(blockTargets) { $1 }.merging(pageTargets) { $1 }.merging(promqlTargets) { $1 }.merging(registryTargets) { $1 }
    nonisolated(unsafe) static var chosen: ([UInt8]) -> Void = { _ in }

    static func main() {
        let name = getenv("APUS_FUZZ_TARGET").map { String(cString: $0) } ?? ""
        guard let target = targets[name] else {
            print("set APUS_FUZZ_TARGET to one of: \(targets.keys.sorted().joined(separator: ", "))")
            exit(2)
        }
        chosen = target
        var count = CommandLine.argc
        var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
        exit(LLVMFuzzerRunDriver(&count, &arguments, runOne))
    }

    /// What parses as a number prints and parses to the same bits.
    static func double(_ input: [UInt8]) {
        guard let value = parseDouble(input.span), !value.isNaN else { return }
        for style in [DoubleStyle.general, .json, .fixed] {
            var printed: [UInt8] = []
            printed.appendDouble(value, style: style)
            guard parseDouble(printed.span)?.bitPattern == value.bitPattern else {
                fatalError("\(value) does not survive \(style)")
            }
        }
    }

    /// What parses prints, and what was printed parses and prints the same.
    static func promql(_ input: [UInt8]) {
        guard let expression = try? parseExpression(ByteString(input)) else { return }
        let printed = expression.description
        // `Inf ^ x` prints as `+Inf ^ x`, as upstream does, and that is another tree.
        if printed.contains("Inf") { return }
        guard let again = try? parseExpression(ByteString(printed)), again.description == printed else {
            fatalError("does not survive printing: \(printed)")
        }
    }

    static func regex(_ input: [UInt8]) {
        let split = input.firstIndex(of: 0) ?? input.endIndex
        guard let regex = try? AnchoredRegex(ByteString(input[..<split])) else { return }
        let value = Array(input[split...].dropFirst())
        _ = regex.matches(value.span)
    }

    static func config(_ input: [UInt8]) {
        _ = try? PrometheusConfig.parse(yaml: String(decoding: input, as: UTF8.self), fileName: "fuzz.yml", baseDirectory: "/")
    }

    /// A chunk of any bytes decodes to samples or to an error.
    static func xor(_ input: [UInt8]) {
        var columns = SampleColumns()
        let chunk = XORChunk(bytes: input)
        try? chunk.decode(into: &columns)
        guard columns.count <= 65_535 else { fatalError("\(columns.count) samples from \(input.count) bytes") }
    }

    /// A chunk of the encoding in the first byte. What can be read can be written and read again, to the same samples.
    static func chunk(_ input: [UInt8]) {
        guard let first = input.first, let encoding = ChunkEncoding(rawValue: first % 6 + 1) else { return }
        var columns = SampleColumns(histograms: true)
        let chunk = EncodedChunk(encoding: encoding, minTimeMs: 0, maxTimeMs: 0, bytes: Array(input.dropFirst()))
        guard (try? chunk.decode(into: &columns)) != nil else {
            guard columns.count == 0 else { fatalError("an error appended \(columns.count) samples") }
            return
        }
        guard columns.count <= 65_535 else { fatalError("\(columns.count) samples from \(input.count) bytes") }
        var again = SampleColumns(histograms: true)
        for written in encodeChunks(columns) {
            guard (try? written.decode(into: &again)) != nil else { fatalError("a chunk that was written cannot be read") }
        }
        guard again.count == columns.count else { fatalError("\(columns.count) samples became \(again.count)") }
        for index in 0..<columns.count {
            guard again.timestampMs(at: index) == columns.timestampMs(at: index),
                again.value(at: index).bitPattern == columns.value(at: index).bitPattern,
                again.histogram(at: index)?.countWord == columns.histogram(at: index)?.countWord
            else { fatalError("sample \(index) did not come back") }
        }
    }
}

private func runOne(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    Fuzz.chosen(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}
