import ApusModel
import ApusStorage

extension Head {
    /// What targets said last of the family that a series belongs to; nil when none said anything.
    public func metadata(of ref: SeriesRef) -> MetricMetadata? { locked { state.metadata(of: ref) } }
}

extension HeadState {
    /// Logs and keeps what is news.
    func append(metadata records: [SampleBatch.SeriesMetadata]) throws(AppendError) {
        var news = SampleBatch()
        for record in records where isLive(record.ref) && metadata(of: record.ref) != record.metadata {
            news.append(record.ref, metadata: record.metadata)
        }
        if news.metadata.isEmpty { return }
        if let log { _ = try log.append(samples: news) }
        for record in news.metadata { _ = metadata.set(record.metadata, for: UInt32(slot(of: record.ref))) }
    }

    func metadata(of ref: SeriesRef) -> MetricMetadata? { isLive(ref) ? metadata[UInt32(slot(of: ref))] : nil }

    func isLive(_ ref: SeriesRef) -> Bool {
        guard let entry = unsafe series.pointer(slot(of: ref)) else { return false }
        return unsafe entry.pointee.isLive
    }
}
