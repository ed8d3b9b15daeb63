import ApusModel
import ApusPromQL
import HTTPTypes
import Testing

@testable import ApusServer

@Suite("Explain, histograms and statistics in answers") struct ExplainAPITests {
    @Test("an explanation comes with the result, of a moment and of a range")
    func explain() async throws {
        let server = try TestServer()
        let instant = await server.get("/api/v1/query_explain?query=up%7Bjob%3D%22x%22%7D&time=1000300")
        #expect(instant.status == .ok)
        #expect(instant.text.contains(#""result":[],"stats":{"timings":{"#))
        #expect(instant.text.contains(##""explanation":{"nodes":[{"depth":0,"type":"vectorSelector","operation":"up{job=\"x\"}","valueType":"vector","start":0,"end":11,"evaluations":1,"##))
        #expect(instant.text.contains(##""reasons":["no series at all has `job=\"x\"`; known values are \"api\""]"##))
        let range = await server.post("/api/v1/query_explain", "query=-up&start=1000000&end=1000030&step=15")
        #expect(range.text.contains(#""type":"unaryExpr","operation":"-","valueType":"vector","start":0,"end":3,"evaluations":1,"seriesIn":2,"samplesIn":6,"series":2,"samples":6,"#))
        #expect(await server.get("/api/v1/query?query=up").text.contains("explanation") == false)
    }

    @Test("native histograms print as Prometheus prints them")
    func histograms() {
        let exponential = FloatHistogram(
            layout: HistogramLayout(
                schema: 0, zeroThreshold: 0.25, positiveSpans: [HistogramSpan(offset: 0, length: 2)],
                negativeSpans: [HistogramSpan(offset: 1, length: 1)], customBounds: []),
            count: 7.5, zeroCount: 2, sum: -1e22, buckets: [1, 0, 3])
        let custom = FloatHistogram(
            layout: HistogramLayout(
                schema: HistogramLayout.customSchema, positiveSpans: [HistogramSpan(offset: 0, length: 3)], customBounds: [0.5, 2]),
            count: 6, sum: 4, buckets: [1, 2, 3])
        var json = JSONWriter()
        json.object { json in
            json.members(of: .vector([VectorSample(labels: .empty, timestampMs: 1_500, value: 0, histogram: exponential)]))
        }
        #expect(
            String(decoding: json.bytes, as: UTF8.self)
                == #"{"resultType":"vector","result":[{"metric":{},"histogram":[1.500,{"count":"7.5","sum":"-1e+22","buckets":[[1,"-2","-1","3"],[3,"-0.25","0.25","2"],[0,"0.5","1","1"]]}]}]}"#)
        var series = MatrixSeries(labels: .empty, timestampsMs: [], values: [])
        series.histogramTimestampsMs = [1_000, 2_000]
        series.histograms = [custom, FloatHistogram()]
        json = JSONWriter()
        json.object { json in json.members(of: .matrix([series])) }
        #expect(
            String(decoding: json.bytes, as: UTF8.self)
                == #"{"resultType":"matrix","result":[{"metric":{},"histograms":[[1,{"count":"6","sum":"4","buckets":[[3,"-Inf","0.5","1"],[0,"0.5","2","2"],[0,"2","+Inf","3"]]}],[2,{"count":"0","sum":"0"}]]}]}"#)
        series.timestampsMs = [3_000]
        series.values = [9]
        json = JSONWriter()
        json.object { json in json.members(of: .matrix([series])) }
        #expect(String(decoding: json.bytes, as: UTF8.self).contains(#""metric":{},"values":[[3,"9"]],"histograms":[[1,{"#))
    }
}
