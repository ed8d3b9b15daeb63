import ApusBytes
import HTTPTypes
import Testing

@testable import ApusServer

@Suite("Form values") struct FormValuesTests {
    @Test("are decoded, repeated ones kept in order")
    func decodes() {
        let form = FormValues(query: Array("query=a%2Bb+c&match[]=x&match%5B%5D=y&empty=&bare&utf8=%ff".utf8))
        #expect(form["query"] == "a+b c")
        #expect(form.all("match[]") == ["x", "y"])
        #expect(form["empty"] == "" && form["bare"] == "" && form["missing"] == "")
        #expect(form["utf8"] == ByteString([0xFF]))
        #expect(form.problem == nil)
    }

    @Test(
        "a malformed pair is left out and remembered",
        arguments: [("a=%zz&b=1", #"invalid URL escape "%zz""#), ("a=%2&b=1", #"invalid URL escape "%2""#), ("a;c=1&b=1", "invalid semicolon separator in query")])
    func malformed(text: String, problem: String) {
        let form = FormValues(query: Array(text.utf8))
        #expect(form["a"] == "" && form["b"] == "1")
        #expect(form.problem == problem)
    }

    @Test("the body comes before the URL, and only when it is a form")
    func body() {
        func query(_ type: String) -> ByteString {
            ServerRequest(method: .post, target: "/api/v1/query?query=url", headers: [.contentType: type], body: Array("query=body".utf8)).form["query"]
        }
        #expect(query("application/x-www-form-urlencoded") == "body")
        #expect(query("application/x-www-form-urlencoded; charset=UTF-8") == "body")
        #expect(query("Application/X-WWW-Form-Urlencoded") == "body")
        #expect(query("application/json") == "url")
    }

    @Test("a thousand parameters more than allowed do no harm")
    func tooMany() {
        let form = FormValues(query: Array(String(repeating: "a=1&", count: FormValues.maximumCount + 1000).utf8))
        #expect(form.all("a").count == FormValues.maximumCount)
        #expect(form.problem != nil)
    }
}
