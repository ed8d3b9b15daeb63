extension MetricRegistry {
    /// The registry of the current task: the program's own unless a task was given another.
    ///
    ///     try MetricRegistry.current.counter("jobs_total", help: "Jobs done.").increment()
    ///
    /// For programs that do not want to hand a registry through all their layers. Tests that run at the same time give each
    /// of their tasks one of its own, `MetricRegistry.$current.withValue(MetricRegistry()) { … }`, and do not see each other.
    @TaskLocal public static var current = MetricRegistry()
}
