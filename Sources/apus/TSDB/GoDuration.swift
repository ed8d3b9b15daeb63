/// A duration as Go prints it: `13ms`, `15.501s`, `1h30m0s`, `0s`.
func formatGoDuration(ms: Int64) -> String {
    if ms == 0 { return "0s" }
    let sign = ms < 0 ? "-" : ""
    let total = ms.magnitude
    if total < 1000 { return "\(sign)\(total)ms" }
    let (hours, minutes) = (total / 3_600_000, total / 60_000 % 60)
    var seconds = String(total / 1000 % 60)
    var fraction = String(total % 1000 + 1000).dropFirst()
    while fraction.last == "0" { fraction.removeLast() }
    if !fraction.isEmpty { seconds += "." + fraction }
    if hours > 0 { return "\(sign)\(hours)h\(minutes)m\(seconds)s" }
    return minutes > 0 ? "\(sign)\(minutes)m\(seconds)s" : "\(sign)\(seconds)s"
}

/// Bytes in the largest units that leave whole numbers: `9KiB649B`.
func formatExactBytes(_ bytes: Int) -> String {
    if bytes == 0 { return "0B" }
    var rest = bytes.magnitude
    var text = bytes < 0 ? "-" : ""
    for (unit, shift) in [("EiB", 60), ("PiB", 50), ("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)]
        as [(String, UInt)]
    {
        let count = rest >> shift
        if count == 0 { continue }
        text += "\(count)\(unit)"
        rest -= count << shift
    }
    return text
}
