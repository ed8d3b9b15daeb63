import ApusModel

/// Parses `15MB`, `1.5GiB`, `512KB`, `0`: a number and a unit of powers of 1024. Returns bytes.
func parseSize(_ text: String) throws(ConfigProblem) -> Int64 {
    if text == "0" { return 0 }
    let invalid = ConfigProblem("units: invalid \(text)")
    let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    let unit = text.dropFirst(number.count)
    if unit.isEmpty { throw ConfigProblem("units: missing unit in \(text)") }
    guard !number.isEmpty, let value = Double(number) else { throw invalid }
    let factor: Double
    switch unit {
    case "B": factor = 1
    case "KB", "KiB": factor = 1024
    case "MB", "MiB": factor = 1_048_576
    case "GB", "GiB": factor = 1_073_741_824
    case "TB", "TiB": factor = 1_099_511_627_776
    case "PB", "PiB": factor = 1_125_899_906_842_624
    case "EB", "EiB": factor = 1_152_921_504_606_846_976
    default: throw ConfigProblem("units: unknown unit \(unit) in \(text)")
    }
    guard let bytes = Int64(exactly: (value * factor).rounded(.towardZero)) else { throw invalid }
    return bytes
}

/// Writes bytes in the largest units that leave whole numbers: `15MiB`, `1GiB512MiB`.
func formatSize(_ bytes: Int64) -> String {
    if bytes == 0 { return "0B" }
    var rest = bytes.magnitude
    var text = bytes < 0 ? "-" : ""
    for (name, shift) in [("EiB", 60), ("PiB", 50), ("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)] as [(String, UInt64)] {
        let count = rest >> shift
        if count > 0 {
            text += "\(count)\(name)"
            rest -= count << shift
        }
    }
    return text
}
