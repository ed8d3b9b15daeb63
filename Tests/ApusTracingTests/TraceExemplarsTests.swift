import Instrumentation
import Testing

@testable import ApusTracing

private enum TestKey: ServiceContextKey { typealias Value = TraceExemplars.Identity }

@Suite("Exemplars of traces") struct TraceExemplarsTests {
    @Test(
        "identities are read from what tracers write",
        arguments: [
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true),
            ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-00", false),
        ])
    func traceParent(header: String, isSampled: Bool) {
        #expect(
            TraceExemplars.traceParent(header)
                == .init(traceID: "4bf92f3577b34da6a3ce929d0e0e4736", spanID: "00f067aa0ba902b7", isSampled: isSampled))
    }

    @Test(
        "what is none is none",
        arguments: [
            nil, "", "00", "00-0-0-0", "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-x", String(repeating: "-", count: 1_000_000),
        ])
    func nonsense(header: String?) {
        #expect(TraceExemplars.traceParent(header) == nil)
        #expect(TraceExemplars.b3(header) == nil)
    }

    @Test("b3")
    func b3() {
        #expect(
            TraceExemplars.b3("80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1")
                == .init(traceID: "80f198ee56343ba864fe8b2a57d3eff7", spanID: "e457b5a2e4d86bd1"))
        #expect(TraceExemplars.b3("64fe8b2a57d3eff7-e457b5a2e4d86bd1")?.isSampled == true)
        #expect(TraceExemplars.b3("64fe8b2a57d3eff7-e457b5a2e4d86bd1-0")?.isSampled == false)
    }

    @Test("the provider gives the current span's labels, and nothing outside of one or for one that is not kept")
    func provider() {
        let provider = TraceExemplars.provider { $0[TestKey.self] }
        #expect(provider()?.count == nil)
        var context = ServiceContext.topLevel
        context[TestKey.self] = .init(traceID: "4bf92f3577b34da6a3ce929d0e0e4736", spanID: "00f067aa0ba902b7")
        ServiceContext.withValue(context) {
            #expect(
                provider()?.map { "\($0.0)=\($0.1)" } == [
                    "trace_id=4bf92f3577b34da6a3ce929d0e0e4736", "span_id=00f067aa0ba902b7",
                ])
        }
        context[TestKey.self]?.isSampled = false
        ServiceContext.withValue(context) {
            #expect(provider()?.count == nil)
            #expect(TraceExemplars.provider(includesUnsampled: true, identify: { $0[TestKey.self] })() != nil)
        }
    }
}
