import ApusModel

// Families whose series have label names of their own: see `OpenFamily`.
extension MetricRegistry {
    /// A counter whose series have label names of their own.
    public func openCounter(_ name: String, help: String, seriesLimit: Int? = nil) throws(MetricError) -> OpenFamily<Counter> {
        try open(name, help, .counter, .single, seriesLimit) { Counter($0) }
    }

    /// A gauge whose series have label names of their own.
    public func openGauge(_ name: String, help: String, seriesLimit: Int? = nil) throws(MetricError) -> OpenFamily<Gauge> {
        try open(name, help, .gauge, .single, seriesLimit) { Gauge($0) }
    }

    /// A histogram whose series have label names of their own.
    public func openHistogram(
        _ name: String, help: String, buckets: Buckets = .requestSeconds, native: NativeBuckets? = nil, seriesLimit: Int? = nil
    ) throws(MetricError) -> OpenFamily<Histogram> {
        let shape = HistogramShape(buckets, native: native)
        return try open(name, help, .histogram, .histogram(buckets, native), seriesLimit) { Histogram($0, shape: shape) }
    }

    private func open<Metric: Instrument>(
        _ name: String, _ help: String, _ type: MetricType, _ shape: FamilyDescriptor.Shape, _ limit: Int?,
        _ make: @escaping @Sendable (InstrumentSeed) -> Metric
    ) throws(MetricError) -> OpenFamily<Metric> {
        var descriptor = try describe(name, help: help, type: type, shape: shape)
        descriptor.isOpen = true
        return OpenFamily(core: try familyCore(descriptor, limit: limit, make), registry: self)
    }
}
