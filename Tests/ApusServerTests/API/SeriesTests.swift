import HTTPTypes
import Testing

@testable import ApusServer

@Suite("Series, labels and values") struct SeriesTests {
    @Test(
        "find what matches",
        arguments: [
            ("labels", #"["__name__","c d","code","instance","job"]"#),
            ("labels?match[]=up", #"["__name__","instance","job"]"#),
            ("labels?match[]=up&match[]=requests_total", #"["__name__","code","instance","job"]"#),
            ("labels?match[]=nothing", "[]"),
            ("label/__name__/values", #"["a.b","requests_total","up"]"#),
            ("label/__name__/values?match[]=up", #"["up"]"#),
            ("label/instance/values?start=1000000&end=1000300", #"["a:1","b:1"]"#),
            ("label/unknown/values", "[]"),
            ("label/U__c_20_d/values", #"["é"]"#),
            ("label/c%20d/values", #"["é"]"#),
            (
                "series?match[]=up",
                #"[{"__name__":"up","instance":"a:1","job":"api"},{"__name__":"up","instance":"b:1","job":"api"}]"#
            ),
            (
                "series?match[]=up%7Binstance=%22a:1%22%7D&match[]=%7Bjob=%22api%22%7D&match[]=%7B%22a.b%22%7D",
                #"[{"__name__":"a.b","c d":"é"},{"__name__":"up","instance":"a:1","job":"api"},{"__name__":"up","instance":"b:1","job":"api"}]"#
            ),
            ("series?match[]=nothing", "[]"),
        ])
    func finds(target: String, data: String) async throws {
        let response = try await TestServer().get("/api/v1/" + target)
        #expect(response.status == .ok)
        #expect(response.text == #"{"status":"success","data":\#(data)}"#)
    }

    @Test(
        "refuse what is wrong, in Prometheus's words",
        arguments: [
            ("series", "no match[] parameter provided"),
            ("series?match[]=%7B%7D", #"invalid parameter \"match[]\": match[] must contain at least one non-empty matcher"#),
            ("series?match[]=%zz", #"error parsing form values: invalid URL escape \"%zz\""#),
            ("series?match[]=up&start=x", #"invalid parameter \"start\": invalid time value for 'start': cannot parse \"x\" to a valid timestamp"#),
            ("labels?match[]=sum(up)", #"1:4: parse error: unexpected \"(\""#),
            ("labels?limit=x", #"invalid parameter \"limit\": strconv.Atoi: parsing \"x\": invalid syntax"#),
            ("label/%ff/values", #"invalid label name: \"\\xff\""#),
            ("label/job/values?end=x", #"invalid parameter \"end\": invalid time value for 'end': cannot parse \"x\" to a valid timestamp"#),
        ])
    func refuses(target: String, message: String) async throws {
        let response = try await TestServer().get("/api/v1/" + target)
        #expect(response.status == .badRequest)
        #expect(response.text == #"{"status":"error","errorType":"bad_data","error":"\#(message)"}"#)
    }

    @Test("a limit cuts and says so", arguments: ["labels?limit=2", "label/__name__/values?limit=2", "series?match[]=%7B__name__=~%22.%2B%22%7D&limit=2"])
    func limit(target: String) async throws {
        let response = try await TestServer().get("/api/v1/" + target)
        #expect(response.text.hasSuffix(#"],"warnings":["results truncated due to limit"]}"#))
    }

    @Test("a limit that is not reached says nothing")
    func generousLimit() async throws {
        let response = try await TestServer().get("/api/v1/label/__name__/values?limit=3")
        #expect(response.text == #"{"status":"success","data":["a.b","requests_total","up"]}"#)
    }
}
