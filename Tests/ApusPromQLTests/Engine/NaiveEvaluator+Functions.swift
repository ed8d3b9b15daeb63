import ApusBytes
import ApusModel
import ApusPromQL
import Foundation

/// The functions of single samples, and statistics, by their textbook definitions.
extension NaiveEvaluator {
    func text(_ id: NodeID) throws -> ByteString {
        guard case .string(let value) = expression[expression.unwrapped(id)].kind else { throw Failure() }
        return value
    }

    /// What a function does to each value; `nil` when it is none of these.
    func plainFunction(_ call: Call, _ atMs: Int64) throws -> ((Double) -> Double)? {
        func argument(_ index: Int) throws -> Double { try scalar(call.arguments[index], atMs) }
        switch call.function.name {
        case .ceil: return { $0.rounded(.up) }
        case .floor: return { $0.rounded(.down) }
        case .sqrt: return { $0.squareRoot() }
        case .sgn: return { $0 > 0 ? 1 : $0 < 0 ? -1 : $0 }
        case .rad: return { $0 * .pi / 180 }
        case .deg: return { $0 * 180 / .pi }
        case .exp: return { exp($0) }
        case .ln: return { log($0) }
        case .log2: return { log2($0) }
        case .log10: return { log10($0) }
        case .sin: return { sin($0) }
        case .cos: return { cos($0) }
        case .atan: return { atan($0) }
        case .tanh: return { tanh($0) }
        case .round:
            let unit = call.arguments.count > 1 ? try argument(1) : 1
            return { ($0 / unit + 0.5).rounded(.down) * unit }
        case .clampMax:
            let bound = try argument(1)
            return { $0.isNaN ? .nan : min($0, bound) }
        case .clamp:
            let (low, high) = (try argument(1), try argument(2))
            return { $0.isNaN ? .nan : max(low, min($0, high)) }
        case .year, .month, .dayOfMonth, .dayOfWeek, .dayOfYear, .daysInMonth, .hour, .minute:
            let name = call.function.name
            return { Self.calendar(name, $0) }
        default: return nil
        }
    }

    private static func calendar(_ name: FunctionName, _ seconds: Double) -> Double {
        // What is no time is this one: 2⁶³ s after the epoch.
        guard seconds.magnitude < 0x1p62 else {
            switch name {
            case .year: return 292_277_026_596
            case .month: return 12
            case .dayOfMonth: return 4
            case .dayOfWeek: return 0
            case .dayOfYear: return 339
            case .daysInMonth: return 31
            case .hour: return 15
            default: return 30
            }
        }
        // Counts days from 1970 one year and one month after the other.
        var days = Int((seconds.rounded(.towardZero) / 86_400).rounded(.down))
        let ofDay = Int(seconds.rounded(.towardZero)) - days * 86_400
        if name == .hour { return Double(ofDay / 3_600) }
        if name == .minute { return Double(ofDay % 3_600 / 60) }
        if name == .dayOfWeek { return Double(((days + 4) % 7 + 7) % 7) }
        func isLeap(_ year: Int) -> Bool { (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 }
        let periods = Int((Double(days) / 146_097).rounded(.down))
        var year = 1970 + 400 * periods
        days -= 146_097 * periods
        while days >= (isLeap(year) ? 366 : 365) {
            days -= isLeap(year) ? 366 : 365
            year += 1
        }
        if name == .year { return Double(year) }
        if name == .dayOfYear { return Double(days + 1) }
        var month = 1
        func length(_ month: Int) -> Int { month == 2 ? (isLeap(year) ? 29 : 28) : [4, 6, 9, 11].contains(month) ? 30 : 31 }
        while days >= length(month) {
            days -= length(month)
            month += 1
        }
        if name == .month { return Double(month) }
        return Double(name == .daysInMonth ? length(month) : days + 1)
    }

    static func mean(_ values: [Double]) -> Double { compensatedSum(values) / Double(values.count) }

    static func variance(_ values: [Double]) -> Double {
        let mean = mean(values)
        return compensatedSum(values.map { ($0 - mean) * ($0 - mean) }) / Double(values.count)
    }

    static func quantile(_ phi: Double, _ values: [Double]) -> Double {
        let sorted = values.filter(\.isNaN) + values.filter { !$0.isNaN }.sorted()
        let rank = phi * Double(sorted.count - 1)
        let lower = Int(rank)
        let upper = min(lower + 1, sorted.count - 1)
        let weight = rank - Double(lower)
        return sorted[lower] * (1 - weight) + sorted[upper] * weight
    }

    /// A statistic of the floats of a window.
    static func statistic(
        _ name: FunctionName, _ samples: [(ms: Int64, value: Double)], _ parameter: Double, _ atMs: Int64
    ) -> Double? {
        let values = samples.map(\.value)
        guard let first = samples.first else { return nil }
        switch name {
        case .avgOverTime: return mean(values)
        case .stddevOverTime: return variance(values).squareRoot()
        case .stdvarOverTime: return variance(values)
        case .quantileOverTime: return quantile(parameter, values)
        case .deriv: return values.count > 1 ? line(samples, from: first.ms).slope : nil
        default:
            guard values.count > 1 else { return nil }
            let line = line(samples, from: atMs)
            return line.slope * parameter + line.intercept
        }
    }

    /// The line with the least squares; the intercept is its value at `originMs`.
    private static func line(_ samples: [(ms: Int64, value: Double)], from originMs: Int64) -> (slope: Double, intercept: Double) {
        let values = samples.map(\.value)
        if values.allSatisfy({ $0 == values[0] }) { return values[0].isInfinite ? (.nan, .nan) : (0, values[0]) }
        let times = samples.map { Double($0.ms - originMs) / 1_000 }
        let (meanTime, meanValue) = (mean(times), mean(values))
        let above = compensatedSum(zip(times, values).map { ($0 - meanTime) * ($1 - meanValue) })
        let below = compensatedSum(times.map { ($0 - meanTime) * ($0 - meanTime) })
        let slope = above / below
        return (slope, meanValue - slope * meanTime)
    }
}
