import ApusBytes
import ApusEndpoint
import ApusExposition
import ApusMetrics
import ApusModel
import ApusPush
import ApusWebConfig
import Foundation
import NIOCore
import NIOPosix

/// What the registry's products read from outside, and what they write for others to read.
let registryTargets: [String: @Sendable ([UInt8]) -> Void] = [
    "accept": accept, "web-config": webConfig, "protobuf-write": writeProtobuf, "push-path": pushPath,
    "endpoint-request": endpointRequest, "endpoint": endpoint, "label-key": labelKey,
]

/// Any `Accept` header gets an encoding that was offered.
private func accept(_ input: [UInt8]) {
    let header = String(decoding: input, as: UTF8.self)
    for offered in [PageEncoding.offeredFormats, [.text], [.protobuf, .text]] {
        let encoding = PageEncoding.negotiate(accept: header, offering: offered)
        guard offered.contains(encoding.format) else { fatalError("\(encoding) was not offered") }
    }
}

/// A web configuration file is read, or refused with a text.
private func webConfig(_ input: [UInt8]) {
    do throws(WebConfigError) {
        _ = try WebConfig.parse(String(decoding: input, as: UTF8.self), folder: "/nowhere")
    } catch {
        guard !error.description.isEmpty else { fatalError("an error without a text") }
    }
}

/// What is written as protobuf is read as the same series, with names and values as they were.
private func writeProtobuf(_ input: [UInt8]) {
    var bytes = FuzzBytes(input)
    let type: MetricType = [.counter, .gauge, .unknown][bytes.next(3)]
    var points: [MetricPoint] = []
    var seen: Set<LabelSet> = []
    for _ in 0..<bytes.next(8) {
        var labels: [Label] = []
        for index in 0..<bytes.next(4) { labels.append(Label(ByteString("l\(index)"), validText(bytes.text()))) }
        // A label without a value is an absent one.
        labels.removeAll { $0.value.isEmpty }
        guard seen.insert(LabelSet(labels)).inserted else { continue }
        points.append(MetricPoint(labels: labels, value: .number(Double(bitPattern: bytes.word()))))
    }
    let family = FamilySnapshot(name: "family", help: validText(bytes.text()), type: type, points: points)
    var writer = PageWriter(.protobuf)
    writer.write(family)
    let page = writer.finish()

    let scratch = ScanScratch()
    var scanner = PageScanner(seed: 1)
    var resolver = CollectingResolver()
    var options = PageScanner.Options(timestampMs: 1000)
    options.format = .protobuf
    do throws(ScanError) { try scanner.scan(page.span, options: options, scratch: scratch, resolver: &resolver) } catch {
        fatalError("a page that was written is refused: \(error)")
    }
    guard resolver.sets.count == points.count else { fatalError("\(points.count) series became \(resolver.sets.count)") }
    for (point, set) in zip(points, resolver.sets) {
        guard set == LabelSet(point.labels + [Label("__name__", "family")]) else { fatalError("\(point.labels) became \(set)") }
    }
    // Patched in place it is what is written anew.
    if var message = NumberMessage(family, escaping: .underscores) {
        var changed = family
        for index in changed.points.indices {
            let value = Double(bitPattern: bytes.word())
            changed.points[index].value = .number(value)
            message.setValue(value.bitPattern, at: index)
        }
        var again = PageWriter(.protobuf)
        again.write(changed)
        guard message.bytes == again.finish() else { fatalError("a message that was changed is not as if written anew") }
    }
    _ = scanner.commit(scratch)
}

private func validText(_ bytes: ByteString) -> ByteString { ByteString(bytes.description) }

private struct CollectingResolver: SeriesResolver {
    var sets: [LabelSet] = []
    mutating func resolve(_ labels: PageLabels, accepted: Int) throws(ScanError) -> SeriesResolution {
        sets.append(LabelSet(labels))
        return .series(UInt64(sets.count))
    }
    mutating func foundHelp(_ name: ByteString, _ text: ByteString) {}
    mutating func foundType(_ name: ByteString, _ type: MetricType) {}
    mutating func foundUnit(_ name: ByteString, _ unit: ByteString) {}
}

/// The path of a group is read back, as the gateway reads it, as the grouping it was made of.
private func pushPath(_ input: [UInt8]) {
    var bytes = FuzzBytes(input)
    let job = bytes.text().description
    var grouping: [(name: String, value: String)] = []
    for index in 0..<bytes.next(4) { grouping.append(("label_\(index)", bytes.text().description)) }
    guard let gateway = try? PushGateway("http://gateway:9091/base/", job: job, grouping: grouping) else {
        guard job.isEmpty else { fatalError("\(grouping) is refused") }
        return
    }
    let prefix = "http://gateway:9091/base/metrics/"
    guard gateway.url.hasPrefix(prefix), gateway.url.utf8.allSatisfy({ $0 > 32 && $0 < 127 }) else { fatalError(gateway.url) }
    let parts = gateway.url.dropFirst(prefix.count).split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2 * (grouping.count + 1) else { fatalError("\(gateway.url) has \(parts.count) parts") }
    for (index, (name, value)) in ([("job", job)] + grouping.map { ($0.name, $0.value) }).enumerated() {
        let (key, text) = (String(parts[2 * index]), String(parts[2 * index + 1]))
        let read: String?
        if key == name + "@base64" {
            var base64 = text.replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/")
            if base64 == "=" { base64 = "" }
            while base64.utf8.count % 4 != 0 { base64 += "=" }
            read = Data(base64Encoded: base64).map { String(decoding: $0, as: UTF8.self) }
        } else {
            read = key == name ? text.removingPercentEncoding : nil
        }
        // Bytes, not characters: a path is no text that may be written in another form.
        guard let read, Array(read.utf8) == Array(value.utf8) else { fatalError("\(name)=\(value) became \(key)/\(text)") }
    }
}

private let registry: MetricRegistry = {
    let registry = MetricRegistry()
    for name in ["a_total", "b_total"] {
        guard let family = try? registry.counter(name, help: "Counts.", labels: .label("x", as: Int.self)) else { fatalError() }
        for x in 0..<3 { family.increment(x) }
    }
    guard let histogram = try? registry.histogram("h", help: "Times.", buckets: [1, 2]) else { fatalError() }
    histogram.observe(1.5)
    return registry
}()

private let responder: ScrapeResponder = {
    guard let responder = try? ScrapeResponder(registry) else { fatalError() }
    return responder
}()

/// A request of any method, target and headers: lines of the input. An uncompressed page in text has lines of the whole one.
private func endpointRequest(_ input: [UInt8]) {
    let lines = input.split(separator: 10, maxSplits: 4, omittingEmptySubsequences: false).map {
        String(decoding: $0, as: UTF8.self)
    }
    var request = EndpointRequest(method: "GET", target: "/metrics?" + (lines.first ?? ""))
    let names = ["Accept", "Accept-Encoding", "X-Prometheus-Scrape-Timeout-Seconds"]
    for (name, value) in zip(names, lines.dropFirst()) { request.headers.append((name, value)) }
    if lines.count > 4, let method = lines.last { request.method = method }
    guard let response = try? responder.respond(to: request, on: MultiThreadedEventLoopGroup.singleton.any()).wait() else {
        fatalError("no answer")
    }
    guard [200, 400, 405, 406, 414, 503].contains(response.status) else { fatalError("status \(response.status)") }
    let type = response.headers.first { $0.name.lowercased() == "content-type" }?.value ?? ""
    let isCompressed = response.headers.contains { $0.name.lowercased() == "content-encoding" }
    if response.status == 200, type.hasPrefix("text/plain"), !isCompressed {
        let whole = Set(registry.renderText().split(separator: 10))
        for line in response.body.split(separator: 10) where !whole.contains(line) { fatalError("a line of no page: \(line)") }
    }
}

private let server: MetricsEndpoint = {
    var options = EndpointOptions()
    options.limits.headerBytes = 2_000
    options.limits.headerMs = 200
    options.limits.idleMs = 200
    let box = Box()
    let ready = DispatchSemaphore(value: 0)
    let chosen = options
    Task {
        box.endpoint = try? await MetricsEndpoint.start(registry, port: 0, options: chosen)
        ready.signal()
    }
    ready.wait()
    guard let endpoint = box.endpoint else { fatalError("no port") }
    return endpoint
}()

private final class Box: @unchecked Sendable { var endpoint: MetricsEndpoint? }

/// Bytes over a socket, whatever they are. Afterwards a proper request is answered.
private func endpoint(_ input: [UInt8]) {
    _ = exchange(input)
    let answer = exchange(Array("GET /metrics?name[]=a_total HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n".utf8))
    guard String(decoding: answer, as: UTF8.self).hasPrefix("HTTP/1.1 200 OK\r\n") else {
        fatalError("answered with \(String(decoding: answer.prefix(100), as: UTF8.self))")
    }
}

/// Sends bytes and reads until the other side closes or says nothing for long enough.
private func exchange(_ bytes: [UInt8]) -> [UInt8] {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(server.port).bigEndian
    address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
    let isConnected = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
    guard isConnected == 0 else { return [] }
    _ = bytes.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    var time = timeval(
        tv_sec: 0, tv_usec: bytes.count > 60 && bytes.starts(with: Array("GET /metrics?name[]=a_total".utf8)) ? 900_000 : 2_000)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    var answer: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
        let count = buffer.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
        if count <= 0 { return answer }
        answer += buffer[..<count]
    }
}

private let families: (CounterFamily<String, String>, CounterFamily<Pieces, String>) = {
    let registry = MetricRegistry(seriesLimit: 100_000)
    guard
        let whole = try? registry.counter(
            "w_total", help: "", labels: .label("a", as: String.self), .label("b", as: String.self)),
        let pieces = try? registry.counter(
            "p_total", help: "", labels: .label("a", as: Pieces.self), .label("b", as: String.self))
    else { fatalError() }
    return (whole, pieces)
}()

/// Writes its text in two pieces.
private struct Pieces: LabelValue {
    let first: String
    let second: String
    func write(to writer: inout LabelWriter) {
        writer.append(first)
        writer.append(second)
    }
}

/// Two label values name one series, whichever way they are written, and no other values name it.
private func labelKey(_ input: [UInt8]) {
    var bytes = FuzzBytes(input)
    let texts = (0..<4).map { _ in bytes.text().description }
    families.0.removeAll()
    families.1.removeAll()
    families.0.increment(texts[0], texts[1])
    families.0.increment(texts[2], texts[3])
    let isSame = Array(texts[0].utf8) == Array(texts[2].utf8) && Array(texts[1].utf8) == Array(texts[3].utf8)
    guard families.0.count == (isSame ? 1 : 2), families.0(texts[0], texts[1]).value == (isSame ? 2 : 1) else {
        fatalError("\(texts)")
    }
    families.1.increment(Pieces(first: texts[0], second: texts[1]), texts[2])
    families.1.increment(Pieces(first: texts[0] + texts[1], second: ""), texts[2])
    families.1.increment(Pieces(first: "", second: texts[0] + texts[1]), texts[2])
    guard families.1.count == 1, families.1(Pieces(first: texts[0], second: texts[1]), texts[2]).value == 3 else {
        fatalError("\(texts)")
    }
}

/// Numbers and texts out of an input.
private struct FuzzBytes {
    private var rest: ArraySlice<UInt8>
    init(_ input: [UInt8]) { rest = input[...] }
    mutating func next(_ limit: Int) -> Int { Int(rest.popFirst() ?? 0) % limit }
    mutating func word() -> UInt64 { (0..<8).reduce(0) { word, _ in word << 8 | UInt64(rest.popFirst() ?? 0) } }
    mutating func text() -> ByteString {
        let count = min(Int(rest.popFirst() ?? 0), rest.count)
        defer { rest = rest.dropFirst(count) }
        return ByteString(rest.prefix(count))
    }
}
