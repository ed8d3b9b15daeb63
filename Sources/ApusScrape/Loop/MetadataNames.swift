import ApusBytes
import ApusExposition
import ApusModel

/// The names of the families that a page describes.
func metadataNames(_ page: Span<UInt8>, _ format: PageFormat) -> Set<ByteString> {
    switch format {
    case .text: textMetadataNames(page)
    case .openMetrics, .openMetrics2: openMetricsMetadataNames(page)
    case .protobuf: protobufFamilyNames(page)
    }
}

private func textMetadataNames(_ page: Span<UInt8>) -> Set<ByteString> {
    var names: Set<ByteString> = []
    var parser = TextParser()
    forEachComment(page) { start in
        parser.offset = start
        switch try? parser.next(page) {
        case .help(let name, _): names.insert(name)
        case .type(let name, _): names.insert(name)
        default: break
        }
    }
    return names
}

private func openMetricsMetadataNames(_ page: Span<UInt8>) -> Set<ByteString> {
    var names: Set<ByteString> = []
    var parser = OpenMetricsParser.forMetadata()
    forEachComment(page) { start in
        parser.move(to: start, currentType: nil)
        switch try? parser.next(page) {
        case .help(let name, _): names.insert(name)
        case .type(let name, _): names.insert(name)
        case .unit(let name, _): names.insert(name)
        default: break
        }
    }
    return names
}

private func forEachComment(_ page: Span<UInt8>, _ body: (Int) -> Void) {
    var index = 0
    while index < page.count {
        if page[index] == UInt8(ascii: "#") { body(index) }
        while index < page.count && page[index] != UInt8(ascii: "\n") { index += 1 }
        index += 1
    }
}
