import ApusBytes
import ApusExposition
public import ApusMetrics
import ApusModel

/// One line of a registry's page, read back: what a server would see.
public struct ShownSample: Sendable, Hashable, CustomStringConvertible {
    /// With `_bucket`, `_sum` or `_count` where it has them.
    public let name: String
    public let labels: [String: String]
    public let value: Double

    public init(_ name: String, _ labels: [String: String] = [:], value: Double) {
        self.name = name
        self.labels = labels
        self.value = value
    }

    public var description: String {
        let list = labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value.debugDescription)" }.joined(separator: ",")
        return list.isEmpty ? "\(name) \(value)" : "\(name){\(list)} \(value)"
    }
}

extension MetricRegistry {
    /// What the page shows, in its order; of one name only, if one is given, and with these labels among its own.
    public func shown(_ name: String? = nil, _ labels: [String: String] = [:]) -> [ShownSample] {
        let page = renderText()
        var parser = TextParser()
        var samples: [ShownSample] = []
        // Our own page, which can be read; should it not, a test sees what there was before.
        while let entry = try? parser.next(page.span) {
            guard case .series(let line) = entry else { continue }
            // Bounds as they stand in the page, `le="1"`, and not as servers keep them.
            parser.currentType = nil
            var own: [String: String] = [:]
            for label in parser.labels(page.span) { own[label.name.description] = label.value.description }
            let ownName = own.removeValue(forKey: "__name__") ?? ""
            guard name == nil || ownName == name, labels.allSatisfy({ own[$0.key, default: ""] == $0.value }) else { continue }
            samples.append(ShownSample(ownName, own, value: line.value))
        }
        return samples
    }

    /// The value of the one series of this name that has these labels among its own; nil if there is none, or more than one.
    ///
    ///     #expect(registry.value("http_requests_total", ["code": "200"]) == 3)
    public func value(_ name: String, _ labels: [String: String] = [:]) -> Double? {
        let samples = shown(name, labels)
        return samples.count == 1 ? samples[0].value : nil
    }

    /// The sum over all series of this name that have these labels among their own; 0 if there is none.
    public func sum(_ name: String, _ labels: [String: String] = [:]) -> Double {
        shown(name, labels).reduce(0) { $0 + $1.value }
    }
}
