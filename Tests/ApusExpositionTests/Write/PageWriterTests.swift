import ApusBytes
import ApusModel
import Testing

@testable import ApusExposition

@Suite("Pages of every format") struct PageWriterTests {
    private static let exemplar = Exemplar(labels: ["trace_id": "ab\"c"], value: 0.25, timestampMs: 1_700_000_000_500)

    /// A family of each type, with all that a point may carry.
    static let families: [FamilySnapshot] = {
        let layout = HistogramLayout(
            schema: 3, zeroThreshold: 0.001, positiveSpans: [HistogramSpan(offset: 0, length: 2), HistogramSpan(offset: 2, length: 1)],
            negativeSpans: [HistogramSpan(offset: -1, length: 1)])
        let native = try? NativeHistogram(layout: layout, count: 12, zeroCount: 2, sum: 5.5, positive: [4, 1, 2], negative: [3])
        return [
            FamilySnapshot(
                name: "build_info", help: "What \"runs\".", type: .info,
                points: [MetricPoint(labels: [Label("version", "1.2")], value: .number(1))]),
            FamilySnapshot(
                name: "errors", help: "Without a suffix.", type: .counter, points: [MetricPoint(value: .number(3), createdMs: 1500)]),
            FamilySnapshot(
                name: "h_seconds", help: "H.", unit: "seconds", type: .histogram,
                points: [
                    MetricPoint(
                        labels: [Label("a", "x\n")],
                        value: .histogram(
                            HistogramPoint(upperBounds: [0.5, 1], counts: [1, 2, 3], sum: 7.5, exemplars: [exemplar, nil, nil])),
                        createdMs: 1_700_000_000_123)
                ]),
            FamilySnapshot(
                name: "n", help: "", type: .histogram,
                points: [
                    MetricPoint(
                        value: .histogram(
                            HistogramPoint(upperBounds: [], counts: [], sum: 5.5, native: native, nativeExemplars: [exemplar])))
                ]),
            FamilySnapshot(
                name: "phase", help: "P.", type: .stateset,
                points: [MetricPoint(value: .states([.init(name: "on", isOn: true), .init(name: "off", isOn: false)]))]),
            FamilySnapshot(
                name: "q_bytes", help: "Q.", type: .gaugehistogram,
                points: [MetricPoint(value: .histogram(HistogramPoint(upperBounds: [10], counts: [4, 0], sum: 12)))]),
            FamilySnapshot(
                name: "requests_total", help: "R.", type: .counter,
                points: [
                    MetricPoint(
                        labels: [Label("code", "200")], value: .number(1_000_000, exemplar: exemplar), timestampMs: 1_700_000_000_250,
                        createdMs: 1_700_000_000_000)
                ]),
            FamilySnapshot(
                name: "s", help: "S.", type: .summary,
                points: [
                    MetricPoint(value: .summary(SummaryPoint(quantiles: [.init(rank: 0.5, value: 1.5)], sum: 3, count: 2)))
                ]),
            FamilySnapshot(name: "t", help: "T.", type: .gauge, points: [MetricPoint(value: .number(.nan))]),
            FamilySnapshot(name: "u", help: "U.", type: .unknown, points: [MetricPoint(value: .number(-1e21))]),
        ]
    }()

    private func page(_ encoding: PageEncoding) -> [UInt8] {
        var writer = PageWriter(encoding)
        for family in Self.families { writer.write(family) }
        return writer.finish()
    }
    private func text(_ encoding: PageEncoding) -> String { String(decoding: page(encoding), as: UTF8.self) }

    @Test("text 0.0.4")
    func textFormat() {
        #expect(
            text(.text) == """
                # HELP build_info What "runs".
                # TYPE build_info gauge
                build_info{version="1.2"} 1
                # HELP errors Without a suffix.
                # TYPE errors counter
                errors 3
                # HELP h_seconds H.
                # TYPE h_seconds histogram
                h_seconds_bucket{a="x\\n",le="0.5"} 1
                h_seconds_bucket{a="x\\n",le="1"} 3
                h_seconds_bucket{a="x\\n",le="+Inf"} 6
                h_seconds_sum{a="x\\n"} 7.5
                h_seconds_count{a="x\\n"} 6
                # HELP n\u{20}
                # TYPE n histogram
                n_bucket{le="+Inf"} 12
                n_sum 5.5
                n_count 12
                # HELP phase P.
                # TYPE phase gauge
                phase{phase="on"} 1
                phase{phase="off"} 0
                # HELP q_bytes Q.
                # TYPE q_bytes histogram
                q_bytes_bucket{le="10"} 4
                q_bytes_bucket{le="+Inf"} 4
                q_bytes_sum 12
                q_bytes_count 4
                # HELP requests_total R.
                # TYPE requests_total counter
                requests_total{code="200"} 1000000 1700000000250
                # HELP s S.
                # TYPE s summary
                s{quantile="0.5"} 1.5
                s_sum 3
                s_count 2
                # HELP t T.
                # TYPE t gauge
                t NaN
                # HELP u U.
                # TYPE u untyped
                u -1e+21

                """)
    }

    @Test("OpenMetrics 1.0, with creations as series on demand")
    func openMetrics() throws {
        var encoding = PageEncoding.openMetrics
        encoding.writesCreatedSeries = true
        #expect(
            text(encoding) == """
                # HELP build What \\"runs\\".
                # TYPE build info
                build_info{version="1.2"} 1
                # HELP errors Without a suffix.
                # TYPE errors unknown
                errors 3
                # HELP h_seconds H.
                # TYPE h_seconds histogram
                # UNIT h_seconds seconds
                h_seconds_bucket{a="x\\n",le="0.5"} 1 # {trace_id="ab\\"c"} 0.25 1700000000.500
                h_seconds_bucket{a="x\\n",le="1.0"} 3
                h_seconds_bucket{a="x\\n",le="+Inf"} 6
                h_seconds_sum{a="x\\n"} 7.5
                h_seconds_count{a="x\\n"} 6
                h_seconds_created{a="x\\n"} 1700000000.123
                # TYPE n histogram
                n_bucket{le="+Inf"} 12
                n_sum 5.5
                n_count 12
                # HELP phase P.
                # TYPE phase stateset
                phase{phase="on"} 1
                phase{phase="off"} 0
                # HELP q_bytes Q.
                # TYPE q_bytes gaugehistogram
                q_bytes_bucket{le="10.0"} 4
                q_bytes_bucket{le="+Inf"} 4
                q_bytes_gsum 12
                q_bytes_gcount 4
                # HELP requests R.
                # TYPE requests counter
                requests_total{code="200"} 1000000 1700000000.250 # {trace_id="ab\\"c"} 0.25 1700000000.500
                requests_created{code="200"} 1700000000 1700000000.250
                # HELP s S.
                # TYPE s summary
                s{quantile="0.5"} 1.5
                s_sum 3
                s_count 2
                # HELP t T.
                # TYPE t gauge
                t NaN
                # HELP u U.
                # TYPE u unknown
                u -1e+21
                # EOF

                """)
        // Our own checker holds it to all of the standard.
        let families = try OpenMetricsChecker.check(page(encoding).span)
        #expect(families.count == Self.families.count)
        #expect(families.first { $0.name == "requests" }?.type == .counter)
    }

    @Test("OpenMetrics 2.0")
    func openMetrics2() {
        #expect(
            text(PageEncoding(.openMetrics2)) == """
                # TYPE build_info info
                # HELP build_info What \\"runs\\".
                build_info{version="1.2"} 1
                # TYPE errors counter
                # HELP errors Without a suffix.
                errors 3 st@1.500
                # TYPE h_seconds histogram
                # UNIT h_seconds seconds
                # HELP h_seconds H.
                h_seconds{a="x\\n"} {count:6,sum:7.5,bucket:[0.5:1,1:3,+Inf:6]} st@1700000000.123 # {trace_id="ab\\"c"} 0.25 1700000000.500
                # TYPE n histogram
                n {count:12,sum:5.5,schema:3,zero_threshold:0.001,zero_count:2,negative_spans:[-1:1],negative_buckets:[3],positive_spans:[0:2,2:1],positive_buckets:[4,1,2]} # {trace_id="ab\\"c"} 0.25 1700000000.500
                # TYPE phase stateset
                # HELP phase P.
                phase{phase="on"} 1
                phase{phase="off"} 0
                # TYPE q_bytes gaugehistogram
                # HELP q_bytes Q.
                q_bytes {gcount:4,gsum:12,bucket:[10:4,+Inf:4]}
                # TYPE requests_total counter
                # HELP requests_total R.
                requests_total{code="200"} 1000000 1700000000.250 st@1700000000 # {trace_id="ab\\"c"} 0.25 1700000000.500
                # TYPE s summary
                # HELP s S.
                s {count:2,sum:3,quantile:[0.5:1.5]}
                # TYPE t gauge
                # HELP t T.
                t NaN
                # TYPE u unknown
                # HELP u U.
                u -1e+21
                # EOF

                """)
    }

    @Test("protobuf comes back from our own parser, native histograms and exemplars included")
    func protobuf() throws {
        let page = page(.protobuf)
        let bytes = page.span
        var parser = ProtobufParser(bytes, options: HistogramReading(), seed: HashSeed(1))
        var samples: [String: ReadSample] = [:]
        var types: [ByteString: MetricType] = [:]
        while let entry = try parser.next(bytes) {
            switch entry {
            case .type(let name, let type): types[name] = type
            case .sample(let sample):
                guard case .metric(let suffix, let extra) = sample.labels else { continue }
                var labels = PageLabels()
                parser.read(&labels, bytes, suffix: suffix, extra: extra)
                samples[labels.labels.map { "\($0.name)=\($0.value)" }.joined(separator: ",")] = sample
            default: break
            }
        }
        #expect(types["requests_total"] == .counter)
        #expect(types["phase"] == .gauge)
        #expect(types["q_bytes"] == .gaugehistogram)
        let counter = try #require(samples["__name__=requests_total,code=200"])
        #expect(counter.timestampMs == 1_700_000_000_250)
        #expect(counter.startTimestampMs == 1_700_000_000_000)
        #expect(counter.exemplars.first?.labels == [Label("trace_id", "ab\"c")])
        #expect(counter.exemplars.first?.timestampMs == 1_700_000_000_500)
        let native = try #require(samples["__name__=n"])
        guard case .histogram(let histogram) = native.value, case .histogram(let point) = Self.families[3].points[0].value else {
            Issue.record("no histogram")
            return
        }
        #expect(point.native?.hasSameData(as: histogram) == true)
        #expect(native.exemplars.count == 1)
        let bucket = samples["__name__=h_seconds_bucket,a=x\n,le=1.0"]
        if case .float(let value)? = bucket?.value { #expect(value == 3) } else { Issue.record("no bucket") }
        #expect(samples["__name__=phase,phase=on"] != nil)
    }

    @Test("names that escaping makes one appear once, as do labels")
    func collisions() {
        var writer = PageWriter(PageEncoding(.text, escaping: .underscores))
        let labels = [Label("x.y", "1"), Label("x_y", "2")]
        writer.write(FamilySnapshot(name: "a.b", type: .gauge, points: [MetricPoint(labels: labels, value: .number(1))]))
        writer.write(FamilySnapshot(name: "a_b", type: .gauge, points: [MetricPoint(value: .number(2))]))
        #expect(writer.droppedFamilies == 1)
        #expect(String(decoding: writer.finish(), as: UTF8.self) == "# HELP a_b \n# TYPE a_b gauge\na_b{x_y=\"1\"} 1\n")
    }

    @Test("what is not UTF-8 never comes out", arguments: PageEncoding.Format.allCases)
    func invalidUTF8(format: PageEncoding.Format) {
        var writer = PageWriter(PageEncoding(format))
        let bad = ByteString([0x61, 0xFF])
        writer.write(
            FamilySnapshot(name: "a", help: bad, type: .gauge, points: [MetricPoint(labels: [Label("x", bad)], value: .number(1))]))
        let page = writer.finish()
        #expect(!page.contains(0xFF) || format == .protobuf)
        if format != .protobuf { #expect(ByteString(page).isValidUTF8) }
    }

    @Test("values are those that the lines are made of", arguments: [PageEncoding.text, .openMetrics])
    func words(encoding: PageEncoding) {
        for family in Self.families {
            let lines = TextLines(name: family.name, help: "", unit: "", type: family.type, encoding: encoding)
            for point in family.points {
                var expected: [UInt64] = []
                lines.forEachLine(of: point) { expected.append($0.word) }
                var words: [UInt64] = []
                point.value.appendWords(to: &words)
                #expect(words == expected)
            }
        }
    }

    @Test("classic buckets are a native histogram of custom bounds for who stores such")
    func customBounds() throws {
        let point = HistogramPoint(upperBounds: [0.5, 1], counts: [1, 0, 3], sum: 7.5)
        let native = try #require(point.nativeHistogram)
        #expect(native.layout.schema == HistogramLayout.customSchema)
        #expect(native.layout.customBounds == [0.5, 1])
        #expect(native.positiveCounts == [1, 3])
        #expect(native.count == 4)
        try native.validate()
    }
}
