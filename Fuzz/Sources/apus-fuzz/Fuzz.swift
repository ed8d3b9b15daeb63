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
        "text": text, "double": double, "promql": promql, "regex": regex, "config": config, "xor": xor,
    ]
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

    /// A page of the text format: parsing ends, with entries or an error.
    static func text(_ input: [UInt8]) {
        var parser = TextParser()
        while let entry = try? parser.next(input.span) {
            if case .series = entry { _ = parser.labels(input.span) }
        }
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
}

private func runOne(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    Fuzz.chosen(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}
