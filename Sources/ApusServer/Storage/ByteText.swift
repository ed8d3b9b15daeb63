/// `1.5GiB`, `300MiB`, `12KiB`, `7B`: for people, with at most one decimal.
public func formatBytes(_ bytes: Int) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    var value = Double(bytes)
    var unit = 0
    while value.magnitude >= 1024, unit < units.count - 1 {
        value /= 1024
        unit += 1
    }
    if unit == 0 || value.magnitude >= 100 { return "\(Int64(value.rounded()))\(units[unit])" }
    let tenths = Int64((value * 10).rounded())
    return tenths % 10 == 0 ? "\(tenths / 10)\(units[unit])" : "\(tenths / 10).\(tenths.magnitude % 10)\(units[unit])"
}
