import ApusExposition
import ApusModel

/// One series whose value is read when a page is written.
final class CallbackFamily: DeclaredFamily {
    let descriptor: FamilyDescriptor
    private let context: RegistryContext
    private let read: @Sendable () -> Double
    private let createdMs: Int64

    init(_ descriptor: FamilyDescriptor, context: RegistryContext, read: @escaping @Sendable () -> Double) {
        self.descriptor = descriptor
        self.context = context
        self.read = read
        createdMs = context.time.wallMs()
    }

    func points() -> [MetricPoint] {
        let value = read()
        let isCounter = descriptor.type == .counter
        // What counts is never negative, and never not a number; OpenMetrics readers refuse the page for it.
        guard !isCounter || value >= 0 else {
            context.faults.count(.badIncrement)
            return []
        }
        return [MetricPoint(labels: descriptor.constantLabels, value: .number(value), createdMs: isCounter ? createdMs : nil)]
    }

    func appendLines(_ encoding: PageEncoding, to page: inout [UInt8]) -> Bool { false }
}
