import ApusBytes
import ApusModel
import ApusServer

// What the commands that ask a server have in common.

/// Runs `body`; what goes wrong is told, and ends the command with status 1.
func asking(_ body: () throws -> Void) throws {
    do { try body() } catch let error as ClientError { throw fail("query error: \(error)") } catch let error as APIError {
        throw fail("query error: \(error.message)")
    }
}

/// The two ends of a range as somebody wrote them.
struct TimeRange {
    let startMs: Int64
    let endMs: Int64

    init(start: String?, end: String?, defaultMs: Int64) throws {
        endMs = try end.map { try parseTime(ByteString($0)) } ?? SystemTime().wallMs()
        startMs = try start.map { try parseTime(ByteString($0)) } ?? endMs - defaultMs
        guard endMs >= startMs else { throw ClientError("start time is not before end time") }
    }
}

/// Milliseconds as the API takes them.
func seconds(_ milliseconds: Int64) -> String {
    let fraction = String(milliseconds.magnitude % 1_000)
    return "\(milliseconds < 0 ? "-" : "")\(milliseconds.magnitude / 1_000)."
        + String(repeating: "0", count: 3 - fraction.count) + fraction
}

/// Warnings and infos go to standard error.
func tell(_ answer: APIClient.Answer) {
    for warning in answer.warnings { writeToStandardError("warning: \(warning)\n") }
    for info in answer.infos { writeToStandardError("info: \(info)\n") }
}

func printJSON(_ value: JSONValue) {
    var json = JSONOutput()
    value.write(to: &json)
    print(json.text)
}

/// Prints the result of a query: `name{label="value"} => value @[time]`, or as the server wrote it.
func show(_ answer: APIClient.Answer, _ format: QueryFormat) throws(ClientError) {
    tell(answer)
    guard let kind = answer.data["resultType"]?.text, let result = answer.data["result"] else {
        throw ClientError("the server answered without a result")
    }
    if format == .json { return printJSON(result) }
    switch kind {
    case "scalar", "string": print("\(kind): \(point(result))")
    case "vector":
        for series in result.elements {
            print("\(metric(of: series["metric"])) => \(point(series["value"] ?? series["histogram"] ?? .null))")
        }
    default:
        for series in result.elements {
            print("\(metric(of: series["metric"])) =>")
            for value in (series["values"]?.elements ?? []) + (series["histograms"]?.elements ?? []) { print(point(value)) }
        }
    }
}

/// `value @[time]`
private func point(_ value: JSONValue) -> String {
    let parts = value.elements
    guard parts.count == 2 else { return "" }
    return "\(parts[1].text ?? histogram(parts[1])) @[\(parts[0].digits.map(shortened) ?? "")]"
}

/// `{count:6, sum:4, [-Inf,0.5]:1, (0.5,2]:2}`
private func histogram(_ value: JSONValue) -> String {
    var text = "{count:\(value["count"]?.text ?? ""), sum:\(value["sum"]?.text ?? "")"
    for bucket in value["buckets"]?.elements ?? [] {
        let parts = bucket.elements
        guard parts.count == 4, let ends = parts[0].int64 else { continue }
        text += ", \(ends == 1 || ends == 3 ? "[" : "(")\(parts[1].text ?? ""),\(parts[2].text ?? "")"
        text += "\(ends == 0 || ends == 3 ? "]" : ")"):\(parts[3].text ?? "")"
    }
    return text + "}"
}

/// Without zeros at the end of the fraction.
private func shortened(_ digits: String) -> String {
    guard digits.contains(".") else { return digits }
    var text = digits[...]
    while text.last == "0" { text.removeLast() }
    if text.last == "." { text.removeLast() }
    return String(text)
}

/// `name{label="value"}`
private func metric(of labels: JSONValue?) -> String {
    guard case .object(let members)? = labels else { return "{}" }
    var name = ""
    var rest: [(name: ByteString, value: JSONValue)] = []
    for member in members {
        if member.name == "__name__" { name = member.value.text ?? "" } else { rest.append(member) }
    }
    if rest.isEmpty, !name.isEmpty { return name }
    return name + labelSet(of: .object(rest))
}

/// `{label="value", …}`
func labelSet(of labels: JSONValue) -> String {
    guard case .object(let members) = labels else { return "{}" }
    let parts = members.map { "\($0.name)=\(goQuoted(ByteString($0.value.text ?? "")))" }
    return "{\(parts.joined(separator: ", "))}"
}
