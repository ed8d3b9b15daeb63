import ApusExposition

/// One series whose value is read when a page is written.
final class CallbackFamily: PageWriter {
    let descriptor: FamilyDescriptor
    private let head: [UInt8]
    private let read: @Sendable () -> Double

    init(_ descriptor: FamilyDescriptor, read: @escaping @Sendable () -> Double) {
        self.descriptor = descriptor
        self.read = read
        var head: [UInt8] = []
        head.appendSeriesHead(name: descriptor.name, labels: descriptor.constantLabels)
        self.head = head
    }

    func writeSeries(to page: inout [UInt8]) {
        page.append(contentsOf: head)
        page.appendValueLine(read())
    }
}
