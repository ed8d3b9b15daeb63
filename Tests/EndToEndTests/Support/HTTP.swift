import Foundation

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// What a server answered.
struct Answer: Sendable {
    let status: Int
    let headers: [String: String]
    let body: Data
    var text: String { String(decoding: body, as: UTF8.self) }
    var json: JSON { JSON((try? JSONSerialization.jsonObject(with: body)) ?? NSNull()) }
}

/// A look into a JSON document: a missing member is `nothing`, so that an expectation fails and not the test process.
struct JSON: @unchecked Sendable, CustomStringConvertible {
    // `@unchecked`: JSONSerialization's objects are immutable.
    let value: Any
    init(_ value: Any) { self.value = value }
    subscript(_ key: String) -> JSON { JSON((value as? [String: Any])?[key] ?? NSNull()) }
    subscript(_ index: Int) -> JSON {
        guard let list = value as? [Any], list.indices.contains(index) else { return JSON(NSNull()) }
        return JSON(list[index])
    }
    var list: [JSON] { (value as? [Any] ?? []).map { JSON($0) } }
    var string: String? { value as? String }
    var number: Double? { (value as? NSNumber)?.doubleValue }
    var object: [String: Any]? { value as? [String: Any] }
    var description: String { "\(value)" }
}

/// One request, on the calling thread.
func request(
    _ method: String = "GET", _ url: String, form: [String: String]? = nil, headers: [String: String] = [:], timeout: Double = 20
) -> Answer? {
    guard let address = URL(string: url) else { return nil }
    var request = URLRequest(url: address, timeoutInterval: timeout)
    request.httpMethod = method
    for (name, value) in headers { request.setValue(value, forHTTPHeaderField: name) }
    if let form {
        request.setValue("application/x-www-form-urlencoded", forHTTPHeaderField: "Content-Type")
        request.httpBody = Data(encoded(form).utf8)
    }
    let done = DispatchSemaphore(value: 0)
    nonisolated(unsafe) var answer: Answer?
    let task = URLSession.shared.dataTask(with: request) { data, response, _ in
        if let response = response as? HTTPURLResponse {
            var headers: [String: String] = [:]
            for (name, value) in response.allHeaderFields { headers["\(name)".lowercased()] = "\(value)" }
            unsafe answer = Answer(status: response.statusCode, headers: headers, body: data ?? Data())
        }
        done.signal()
    }
    task.resume()
    done.wait()
    return unsafe answer
}

func encoded(_ form: [String: String]) -> String {
    var allowed = CharacterSet.alphanumerics
    allowed.insert(charactersIn: "-._~")
    return form.map { "\($0.key)=\($0.value.addingPercentEncoding(withAllowedCharacters: allowed) ?? "")" }
        .sorted().joined(separator: "&")
}
