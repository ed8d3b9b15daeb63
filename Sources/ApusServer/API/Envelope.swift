import HTTPTypes

/// Why a request of the API failed: the kind decides the status code, the message is for the person who asked.
public struct APIError: Error, Equatable, Sendable {
    public enum Kind: String, Sendable, CaseIterable {
        case badData = "bad_data"
        case execution
        case canceled
        case timeout
        case `internal`
        case notFound = "not_found"
        case notAcceptable = "not_acceptable"
        case unavailable

        var status: HTTPResponse.Status {
            switch self {
            case .badData: .badRequest
            case .execution: .unprocessableContent
            case .canceled: HTTPResponse.Status(code: 499, reasonPhrase: "Client Closed Request")
            case .timeout: .serviceUnavailable
            case .notFound: .notFound
            case .notAcceptable: .notAcceptable
            // Upstream has no case for `unavailable` and answers it with its default.
            case .internal, .unavailable: .internalServerError
            }
        }
    }
    public let kind: Kind
    public let message: String

    init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }
    static func invalidParameter(_ name: some CustomStringConvertible, _ reason: String) -> APIError {
        APIError(.badData, "invalid parameter \"\(name)\": \(reason)")
    }
}

/// What a handler of the API answers: how to write `data`, and what else there is to say.
struct APIAnswer: Sendable {
    /// Nil for an answer without a body, 204.
    var data: (@Sendable (inout JSONWriter) -> Void)?
    var warnings: [String] = []
    var infos: [String] = []
    /// About how long the body gets.
    var estimatedBytes = 0

    init(_ data: (@Sendable (inout JSONWriter) -> Void)?) { self.data = data }
    static let noContent = APIAnswer(nil)
}

/// Wraps answers and errors as every client of the API expects them:
/// `{"status":"success","data":…,"warnings":[…],"infos":[…]}` and `{"status":"error","errorType":…,"error":…}`.
enum Envelope {
    static func response(to result: Result<APIAnswer, APIError>) -> ServerResponse {
        var json = JSONWriter()
        switch result {
        case .success(let answer):
            guard let data = answer.data else { return ServerResponse(status: .noContent) }
            json.bytes.reserveCapacity(answer.estimatedBytes + 256)
            json.object { json in
                json.key("status")
                json.string("success")
                json.key("data")
                data(&json)
                if !answer.warnings.isEmpty {
                    json.key("warnings")
                    json.strings(answer.warnings)
                }
                if !answer.infos.isEmpty {
                    json.key("infos")
                    json.strings(answer.infos)
                }
            }
            return jsonResponse(status: .ok, json)
        case .failure(let error):
            json.object { json in
                json.key("status")
                json.string("error")
                json.key("errorType")
                json.string(error.kind.rawValue)
                json.key("error")
                json.string(error.message)
            }
            return jsonResponse(status: error.kind.status, json)
        }
    }

    private static func jsonResponse(status: HTTPResponse.Status, _ json: JSONWriter) -> ServerResponse {
        ServerResponse(status: status, headers: [.contentType: "application/json"], pieces: json.pieces)
    }
}
