import Testing

@testable import ApusExposition

@Suite("Negotiation of formats") struct NegotiateTests {
    @Test(
        "an Accept header chooses what Prometheus's own library would choose",
        arguments: [
            (nil, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"),
            ("", "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"),
            ("*/*", "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"),
            ("text/html, image/png", "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"),
            ("text/plain;version=0.0.4;q=0.3,*/*;q=0.2", "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"),
            ("text/plain; version=0.0.5", "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"),
            ("application/openmetrics-text", "application/openmetrics-text; version=0.0.1; charset=utf-8; escaping=underscores"),
            (
                "application/openmetrics-text;version=1.0.0",
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
            ),
            // What Prometheus 3 sends.
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
            ),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;escaping=values;q=0.7,text/plain;q=0.6",
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping=values"
            ),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text,text/plain;version=1.0.0;escaping=dots;q=0.1",
                "text/plain; version=1.0.0; charset=utf-8; escaping=dots"
            ),
            (
                "text/plain;version=0.0.4;q=0.9, application/openmetrics-text;version=1.0.0;q=0.8",
                "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
            ),
            // Of equals the first; a weight of 0 is a refusal; spaces, quotes and capitals do not matter.
            (
                "application/openmetrics-text;version=1.0.0, text/plain",
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
            ),
            (
                "application/openmetrics-text;version=1.0.0;q=0, text/plain;q=0.1",
                "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
            ),
            (
                " Application/OpenMetrics-Text ; Version = \"1.0.0\" ; Q = 0.5 ",
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
            ),
            (
                "text/plain;version=1.0.0;escaping=nonsense", "text/plain; version=1.0.0; charset=utf-8; escaping=underscores"
            ),
            // Not offered unless it is switched on.
            ("application/openmetrics-text;version=2.0.0", "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"),
            (";;;,,=,q=;q=x;/", "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"),
        ] as [(String?, String)])
    func choices(accept: String?, contentType: String) {
        #expect(PageEncoding.negotiate(accept: accept).contentType == contentType)
    }

    @Test("OpenMetrics 2.0 is there for who offers it and is asked for it")
    func openMetrics2() {
        let all = PageEncoding.offeredFormats.union([.openMetrics2])
        let asked = "application/openmetrics-text;version=2.0.0;escaping=allow-utf-8,application/openmetrics-text;version=1.0.0;q=0.5"
        #expect(PageEncoding.negotiate(accept: asked, offering: all).format == .openMetrics2)
        #expect(PageEncoding.negotiate(accept: asked).format == .openMetrics)
        #expect(PageEncoding.negotiate(accept: asked, offering: [.text]).format == .text)
    }

    @Test("a header of a megabyte is looked at no longer than its first parts")
    func longHeader() {
        let long = String(repeating: "text/html;q=0.1,", count: 65_536) + "application/openmetrics-text"
        #expect(PageEncoding.negotiate(accept: long).format == .text)
    }
}
