#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The functions that look at each sample on its own.
enum SampleFunctions {
    static let table: [FunctionName: @Sendable (Double) -> Double] = [
        .abs: { $0.magnitude },
        .ceil: { $0.rounded(.up) },
        .floor: { $0.rounded(.down) },
        .exp: { exp($0) },
        .sqrt: { $0.squareRoot() },
        .ln: { log($0) },
        .log2: { log2($0) },
        .log10: { log10($0) },
        .sgn: { $0 < 0 ? -1 : ($0 > 0 ? 1 : $0) },
        .sin: { sin($0) },
        .cos: { cos($0) },
        .tan: { tan($0) },
        .asin: { asin($0) },
        .acos: { acos($0) },
        .atan: { atan($0) },
        // Large arguments overflow where they do in Prometheus, a little before they need to.
        .sinh: { $0.magnitude > 21 ? ($0 < 0 ? -exp(-$0) : exp($0)) * 0.5 : sinh($0) },
        .cosh: { $0.magnitude > 21 ? exp($0.magnitude) * 0.5 : cosh($0) },
        .tanh: { tanh($0) },
        .asinh: { asinh($0) },
        .acosh: { acosh($0) },
        .atanh: { atanh($0) },
        .rad: { $0 * .pi / 180 },
        .deg: { $0 * 180 / .pi },
    ]

    /// The functions of a moment, given in seconds since the epoch.
    static let calendar: [FunctionName: @Sendable (CalendarTime) -> Int64] = [
        .year: { $0.year },
        .month: { $0.month },
        .dayOfMonth: { $0.day },
        .dayOfYear: { $0.dayOfYear },
        .dayOfWeek: { $0.dayOfWeek },
        .daysInMonth: { $0.daysInMonth },
        .hour: { $0.hour },
        .minute: { $0.minute },
    ]

    /// As Go's `math.Max`: NaN wins, and 0 is greater than −0.
    static func greater(_ a: Double, _ b: Double) -> Double {
        if a.isNaN || b.isNaN { return a == .infinity || b == .infinity ? .infinity : .nan }
        if a == 0, b == 0 { return a.sign == .minus ? b : a }
        return a > b ? a : b
    }

    /// As Go's `math.Min`: NaN wins, and −0 is less than 0.
    static func lesser(_ a: Double, _ b: Double) -> Double {
        if a.isNaN || b.isNaN { return a == -.infinity || b == -.infinity ? -.infinity : .nan }
        if a == 0, b == 0 { return a.sign == .minus ? a : b }
        return a < b ? a : b
    }

    /// The nearest multiple of `unit`; ties go up.
    static func round(_ value: Double, to unit: Double) -> Double {
        // Multiplying by the inverse is what users see of Prometheus: `round(0.15, 0.1)` depends on it.
        let inverse = 1 / unit
        return (value * inverse + 0.5).rounded(.down) / inverse
    }
}
