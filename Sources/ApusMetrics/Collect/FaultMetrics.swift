extension MetricRegistry {
    /// Shows what `faults` counts as `apus_metrics_faults_total{cause="…"}`: one counter for each cause, 0 at first, so that an
    /// alert can be written before something goes wrong.
    public func registerFaultMetrics() {
        let faults = faults
        collect { sink in
            sink.family("apus_metrics_faults_total", help: "Updates and samples that were dropped, by cause.", type: .counter) { family in
                for cause in UpdateFaults.Cause.allCases { family.sample(Double(faults[cause]), labels: [("cause", cause.rawValue)]) }
            }
        }
    }
}
