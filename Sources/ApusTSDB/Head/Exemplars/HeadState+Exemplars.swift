import ApusModel
import ApusStorage

extension HeadState {
    /// Logs and keeps the exemplars of a batch. Without a ring they are ignored, as upstream does.
    func append(exemplars batch: [SampleBatch.ExemplarSample], _ outcome: inout AppendOutcome) throws(AppendError) {
        if exemplars.capacity == 0 { return }
        var accepted = SampleBatch()
        for (index, one) in batch.enumerated() {
            let isKnown = isLive(one.ref)
            if let reason = isKnown ? exemplars.check(one.ref, one.exemplar) : .unknownSeries {
                outcome.rejections.append(.init(index: index, part: .exemplar, reason: reason))
            } else {
                accepted.exemplars.append(one)
            }
        }
        if accepted.exemplars.isEmpty { return }
        if let log { _ = try log.append(samples: accepted) }
        // Those of one batch were not compared with each other: what is refused now is counted, and no error to the sender.
        for one in accepted.exemplars where add(one) == .stored { outcome.exemplarsAppended += 1 }
    }

    /// For appends and replays; the ref must be one the head knows.
    @discardableResult
    func add(_ one: SampleBatch.ExemplarSample) -> ExemplarRing.Verdict { exemplars.add(one.ref, one.exemplar) { labels(of: one.ref) } }
}

extension Head {
    /// The newest exemplars. Made without room: `resize` it.
    public var exemplars: ExemplarRing { state.exemplars }
}
