/// The class of an HTTP status as a label value: `2xx` for 204. Five series instead of one for each status.
public struct StatusClass: LabelValue, Hashable {
    public let status: Int
    public init(_ status: Int) { self.status = status }

    public func write(to writer: inout LabelWriter) {
        let text: StaticString =
            switch status {
            case 100..<200: "1xx"
            case 200..<300: "2xx"
            case 300..<400: "3xx"
            case 400..<500: "4xx"
            case 500..<600: "5xx"
            default: "unknown"
            }
        text.write(to: &writer)
    }
}
