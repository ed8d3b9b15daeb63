public import ApusEndpoint
import HTTPTypes
public import Hummingbird
import NIOCore

extension RouterMethods {
    /// Serves a registry's page, and the health paths, as an endpoint of its own would: with negotiation, compression,
    /// `name[]` and limits.
    ///
    ///     router.addMetrics(try ScrapeResponder(registry))
    @discardableResult
    public func addMetrics(_ responder: ScrapeResponder) -> Self {
        for path in [responder.options.path] + responder.options.healthPaths {
            for method in [HTTPRequest.Method.get, .head] {
                on(RouterPath(path), method: method) { request, _ in
                    let headers = request.headers.map { (name: $0.name.rawName, value: $0.value) }
                    let response = await responder.respond(
                        to: EndpointRequest(method: method.rawValue, target: request.uri.description, headers: headers))
                    return Response(response, isHead: method == .head)
                }
            }
        }
        return self
    }
}

extension Response {
    fileprivate init(_ response: EndpointResponse, isHead: Bool) {
        var headers = HTTPFields()
        for (name, value) in response.headers {
            if let name = HTTPField.Name(name) { headers.append(HTTPField(name: name, value: value)) }
        }
        // HEAD tells the length that GET would send, and sends nothing.
        headers[.contentLength] = String(response.body.count)
        self.init(
            status: HTTPResponse.Status(code: response.status), headers: headers,
            body: isHead ? ResponseBody() : ResponseBody(byteBuffer: ByteBuffer(bytes: response.body)))
    }
}
