/// Why a metric was not declared. Thrown where the declaration stands, at the program's start, and never at a scrape.
public enum MetricError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Not `[a-zA-Z_:][a-zA-Z0-9_:]*`, or, in a registry for UTF-8 names, empty.
    case invalidMetricName(String)
    /// Not `[a-zA-Z_][a-zA-Z0-9_]*`, or, in a registry for UTF-8 names, empty.
    case invalidLabelName(String, metric: String)
    /// `le` and `quantile` belong to histograms and summaries; names that begin with `__` belong to the server.
    case reservedLabelName(String, metric: String)
    case duplicateLabelName(String, metric: String)
    /// The name was declared before in another way; `difference` says in what: its type, help, labels, buckets, …
    case declaredDifferently(String, difference: String)
    /// Two metrics would write one series: a histogram `x` writes `x_bucket`, `x_sum` and `x_count`.
    case nameTaken(String, by: String)
    /// Buckets must be finite, in increasing order and 1 to 512 in number; native ones need a factor above 1 and limits that
    /// are not negative.
    case invalidBuckets(metric: String)
    /// Quantiles must lie in 0...1 and their errors in 0..<1; the window must be longer than no time.
    case invalidQuantiles(metric: String)
    /// The name of a metric must end with its unit, before `_total`.
    case unitNotInName(String, metric: String)
    /// A series must live longer than no time.
    case invalidExpiry(metric: String)

    public var description: String {
        switch self {
        case .invalidMetricName(let name):
            "\(name.debugDescription) is not a metric name: use letters, digits, _ and :, not starting with a digit"
        case .invalidLabelName(let name, let metric):
            "\(name.debugDescription) is not a label name (metric \(metric)): use letters, digits and _, not starting with a digit"
        case .reservedLabelName(let name, let metric):
            "the label name \(name) is reserved (metric \(metric)): choose another one"
        case .duplicateLabelName(let name, let metric): "metric \(metric) has the label \(name) twice"
        case .declaredDifferently(let name, let difference):
            "metric \(name) was declared before with another \(difference): declare it once and keep the handle, or declare it the same way"
        case .nameTaken(let name, let owner): "metric \(name) would write the same series as \(owner): rename one of them"
        case .invalidBuckets(let metric):
            "the buckets of \(metric) must be 1 to 512 finite numbers in increasing order; native ones need a factor above 1 and limits of 0 or more"
        case .unitNotInName(let unit, let metric): "the name \(metric) must end in _\(unit), the unit given for it (before _total)"
        case .invalidExpiry(let metric): "the time after which series of \(metric) expire must be above 0"
        case .invalidQuantiles(let metric):
            "the quantiles of \(metric) must lie in 0...1, their errors in 0..<1 and its window above 0"
        }
    }
}
