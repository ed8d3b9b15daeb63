// Names as libraries write them, `http.server.request.duration`, as names that Prometheus reads.

/// `name` with what may not stand in a metric's name replaced by `_`.
func metricName(_ name: String) -> String { cleaned(name, allowsColon: true) }

/// `name` as a label's name. Those that belong to Prometheus itself get `exported_` before them, as it does with labels
/// of targets that collide with its own.
func labelName(_ name: String) -> String {
    let clean = cleaned(name, allowsColon: false)
    return clean == "le" || clean == "quantile" || clean.hasPrefix("__") ? "exported_" + clean : clean
}

private func cleaned(_ name: String, allowsColon: Bool) -> String {
    var result: [UInt8] = []
    for scalar in name.unicodeScalars {
        switch scalar {
        case "a"..."z", "A"..."Z", "_", "0"..."9": result.append(UInt8(truncatingIfNeeded: scalar.value))
        case ":" where allowsColon: result.append(UInt8(ascii: ":"))
        default: result.append(UInt8(ascii: "_"))
        }
    }
    if result.first.map({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) ?? true {
        result.insert(UInt8(ascii: "_"), at: 0)
    }
    return String(decoding: result, as: UTF8.self)
}

extension String {
    /// Ending in `suffix`, which is added where it is not there.
    func ending(in suffix: String) -> String { hasSuffix(suffix) ? self : self + suffix }
}
