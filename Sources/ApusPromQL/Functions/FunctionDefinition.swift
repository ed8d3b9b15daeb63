/// The signature of a function: what the type checker knows of it. The engine's kernels hang on `name`.
public struct FunctionDefinition: Sendable, Equatable {
    public let name: FunctionName
    /// The last repeats or may be left out, as `variadic` says.
    public let argumentTypes: [ValueType]
    /// 0: exactly `argumentTypes`. n > 0: the last is optional, and up to n − 1 more of its type may follow.
    /// −1: the last is optional, and any number of its type may follow.
    public let variadic: Int
    public let returnType: ValueType
    /// Needs `ParserOptions.enableExperimentalFunctions`.
    public let isExperimental: Bool

    init(
        _ name: FunctionName, _ argumentTypes: [ValueType], variadic: Int = 0, returns returnType: ValueType = .instantVector,
        experimental: Bool = false
    ) {
        self.name = name
        self.argumentTypes = argumentTypes
        self.variadic = variadic
        self.returnType = returnType
        isExperimental = experimental
    }

    /// The function called `name`; `nil` when there is none.
    public static func named(_ name: String) -> FunctionDefinition? { FunctionName(rawValue: name).flatMap { byName[$0] } }

    private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })
}

/// Every function of the language, by the name that queries use.
public enum FunctionName: String, Sendable, CaseIterable {
    case abs, absent
    case absentOverTime = "absent_over_time"
    case acos, acosh, asin, asinh, atan, atanh
    case avgOverTime = "avg_over_time"
    case ceil, changes, clamp
    case clampMax = "clamp_max"
    case clampMin = "clamp_min"
    case cos, cosh
    case countOverTime = "count_over_time"
    case dayOfMonth = "day_of_month"
    case dayOfWeek = "day_of_week"
    case dayOfYear = "day_of_year"
    case daysInMonth = "days_in_month"
    case deg, delta, deriv
    case doubleExponentialSmoothing = "double_exponential_smoothing"
    case end, exp
    case firstOverTime = "first_over_time"
    case floor
    case histogramAvg = "histogram_avg"
    case histogramCount = "histogram_count"
    case histogramFraction = "histogram_fraction"
    case histogramQuantile = "histogram_quantile"
    case histogramQuantiles = "histogram_quantiles"
    case histogramStddev = "histogram_stddev"
    case histogramStdvar = "histogram_stdvar"
    case histogramSum = "histogram_sum"
    case hour, idelta, increase, info, irate
    case labelJoin = "label_join"
    case labelReplace = "label_replace"
    case lastOverTime = "last_over_time"
    case ln, log10, log2
    case madOverTime = "mad_over_time"
    case maxOf = "max_of"
    case maxOverTime = "max_over_time"
    case minOf = "min_of"
    case minOverTime = "min_over_time"
    case minute, month, pi
    case predictLinear = "predict_linear"
    case presentOverTime = "present_over_time"
    case quantileOverTime = "quantile_over_time"
    case rad, range, rate, resets, round, scalar, sgn, sin, sinh, sort
    case sortByLabel = "sort_by_label"
    case sortByLabelDesc = "sort_by_label_desc"
    case sortDesc = "sort_desc"
    case sqrt, start
    case startTimestamp = "start_timestamp"
    case stddevOverTime = "stddev_over_time"
    case stdvarOverTime = "stdvar_over_time"
    case step
    case sumOverTime = "sum_over_time"
    case tan, tanh, time, timestamp
    case tsOfFirstOverTime = "ts_of_first_over_time"
    case tsOfLastOverTime = "ts_of_last_over_time"
    case tsOfMaxOverTime = "ts_of_max_over_time"
    case tsOfMinOverTime = "ts_of_min_over_time"
    case vector, year
}

extension FunctionDefinition {
    /// One row a function, by name.
    public static let all: [FunctionDefinition] = [
        .init(.abs, [.instantVector]),
        .init(.absent, [.instantVector]),
        .init(.absentOverTime, [.rangeVector]),
        .init(.acos, [.instantVector]),
        .init(.acosh, [.instantVector]),
        .init(.asin, [.instantVector]),
        .init(.asinh, [.instantVector]),
        .init(.atan, [.instantVector]),
        .init(.atanh, [.instantVector]),
        .init(.avgOverTime, [.rangeVector]),
        .init(.ceil, [.instantVector]),
        .init(.changes, [.rangeVector]),
        .init(.clamp, [.instantVector, .scalar, .scalar]),
        .init(.clampMax, [.instantVector, .scalar]),
        .init(.clampMin, [.instantVector, .scalar]),
        .init(.cos, [.instantVector]),
        .init(.cosh, [.instantVector]),
        .init(.countOverTime, [.rangeVector]),
        .init(.dayOfMonth, [.instantVector], variadic: 1),
        .init(.dayOfWeek, [.instantVector], variadic: 1),
        .init(.dayOfYear, [.instantVector], variadic: 1),
        .init(.daysInMonth, [.instantVector], variadic: 1),
        .init(.deg, [.instantVector]),
        .init(.delta, [.rangeVector]),
        .init(.deriv, [.rangeVector]),
        .init(.doubleExponentialSmoothing, [.rangeVector, .scalar, .scalar], experimental: true),
        .init(.end, [], returns: .scalar, experimental: true),
        .init(.exp, [.instantVector]),
        .init(.firstOverTime, [.rangeVector]),
        .init(.floor, [.instantVector]),
        .init(.histogramAvg, [.instantVector]),
        .init(.histogramCount, [.instantVector]),
        .init(.histogramFraction, [.scalar, .scalar, .instantVector]),
        .init(.histogramQuantile, [.scalar, .instantVector]),
        .init(.histogramQuantiles, [.instantVector, .string, .scalar, .scalar], variadic: 9, experimental: true),
        .init(.histogramStddev, [.instantVector]),
        .init(.histogramStdvar, [.instantVector]),
        .init(.histogramSum, [.instantVector]),
        .init(.hour, [.instantVector], variadic: 1),
        .init(.idelta, [.rangeVector]),
        .init(.increase, [.rangeVector]),
        .init(.info, [.instantVector, .instantVector], variadic: 1, experimental: true),
        .init(.irate, [.rangeVector]),
        .init(.labelJoin, [.instantVector, .string, .string, .string], variadic: -1),
        .init(.labelReplace, [.instantVector, .string, .string, .string, .string]),
        .init(.lastOverTime, [.rangeVector]),
        .init(.ln, [.instantVector]),
        .init(.log10, [.instantVector]),
        .init(.log2, [.instantVector]),
        .init(.madOverTime, [.rangeVector], experimental: true),
        .init(.maxOf, [.scalar, .scalar], returns: .scalar, experimental: true),
        .init(.maxOverTime, [.rangeVector]),
        .init(.minOf, [.scalar, .scalar], returns: .scalar, experimental: true),
        .init(.minOverTime, [.rangeVector]),
        .init(.minute, [.instantVector], variadic: 1),
        .init(.month, [.instantVector], variadic: 1),
        .init(.pi, [], returns: .scalar),
        .init(.predictLinear, [.rangeVector, .scalar]),
        .init(.presentOverTime, [.rangeVector]),
        .init(.quantileOverTime, [.scalar, .rangeVector]),
        .init(.rad, [.instantVector]),
        .init(.range, [], returns: .scalar, experimental: true),
        .init(.rate, [.rangeVector]),
        .init(.resets, [.rangeVector]),
        .init(.round, [.instantVector, .scalar], variadic: 1),
        .init(.scalar, [.instantVector], returns: .scalar),
        .init(.sgn, [.instantVector]),
        .init(.sin, [.instantVector]),
        .init(.sinh, [.instantVector]),
        .init(.sort, [.instantVector]),
        .init(.sortByLabel, [.instantVector, .string], variadic: -1, experimental: true),
        .init(.sortByLabelDesc, [.instantVector, .string], variadic: -1, experimental: true),
        .init(.sortDesc, [.instantVector]),
        .init(.sqrt, [.instantVector]),
        .init(.start, [], returns: .scalar, experimental: true),
        .init(.startTimestamp, [.instantVector], experimental: true),
        .init(.stddevOverTime, [.rangeVector]),
        .init(.stdvarOverTime, [.rangeVector]),
        .init(.step, [], returns: .scalar, experimental: true),
        .init(.sumOverTime, [.rangeVector]),
        .init(.tan, [.instantVector]),
        .init(.tanh, [.instantVector]),
        .init(.time, [], returns: .scalar),
        .init(.timestamp, [.instantVector]),
        .init(.tsOfFirstOverTime, [.rangeVector], experimental: true),
        .init(.tsOfLastOverTime, [.rangeVector], experimental: true),
        .init(.tsOfMaxOverTime, [.rangeVector], experimental: true),
        .init(.tsOfMinOverTime, [.rangeVector], experimental: true),
        .init(.vector, [.scalar]),
        .init(.year, [.instantVector], variadic: 1),
    ]
}
