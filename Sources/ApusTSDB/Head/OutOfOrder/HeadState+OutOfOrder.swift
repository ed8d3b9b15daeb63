import ApusModel
import ApusStorage

extension HeadState {
    /// Gives the samples of a batch that are not in order a second chance: those within the window are stored out of order,
    /// and are rejections no more; those behind it are too old.
    ///
    /// A sample at the time of its series' newest with another value stays a duplicate: it is not out of order.
    /// - Parameter newest: time of the head's newest sample before the batch.
    func acceptOutOfOrder(_ batch: borrowing SampleBatch, newest: Int64, _ outcome: inout AppendOutcome) throws(AppendError) {
        let (difference, overflow) = newest.subtractingReportingOverflow(outOfOrder.windowMs)
        let bound = overflow ? Int64.min : difference
        var accepted: [LateSample] = []
        var rejections: [AppendOutcome.Rejection] = []
        for rejection in outcome.rejections {
            guard rejection.reason == .outOfOrder || rejection.reason == .outOfBounds, let late = late(batch, rejection) else {
                rejections.append(rejection)
                continue
            }
            if late.timeMs < newest { outOfOrder.countDelay(newest.subtractingReportingOverflow(late.timeMs).partialValue) }
            if outOfOrder.windowMs == 0 || batch.refusesOutOfOrder {
                rejections.append(rejection)
            } else if !isLive(late.ref) {
                // Out of bounds is found before the series is looked at.
                rejections.append(.init(index: rejection.index, part: rejection.part, reason: .unknownSeries))
            } else if late.timeMs < bound {
                rejections.append(.init(index: rejection.index, part: rejection.part, reason: .tooOld))
                outOfOrder.statistics.tooOld &+= 1
            } else {
                accepted.append(late)
            }
        }
        outcome.rejections = rejections
        if !accepted.isEmpty { outcome.appended += try store(accepted) }
    }

    /// Logs and inserts late samples; returns how many were not there already.
    private func store(_ accepted: [LateSample]) throws(AppendError) -> Int {
        if let log {
            // Here too, as upstream does: who follows this log sends on what it names. A replay passes over them.
            var batch = SampleBatch()
            for late in accepted { batch.append(late) }
            _ = try log.append(samples: batch)
        }
        var journal: OutOfOrderJournal? = outOfOrder.log == nil ? nil : OutOfOrderJournal()
        var inserted = 0
        for late in accepted {
            if !tombstones.isEmpty { uncover(UInt32(truncatingIfNeeded: slot(of: late.ref)), late.timeMs) }
            guard outOfOrder.insert(late, journal: &journal) else {
                outOfOrder.statistics.repeated &+= 1
                continue
            }
            inserted += 1
            if late.histogram == nil {
                outOfOrder.statistics.samplesAppended &+= 1
            } else {
                outOfOrder.statistics.histogramsAppended &+= 1
            }
        }
        if let log = outOfOrder.log { try journal?.write(to: log) }
        return inserted
    }

    private func late(_ batch: borrowing SampleBatch, _ rejection: AppendOutcome.Rejection) -> LateSample? {
        switch rejection.part {
        case .float where batch.refs.indices.contains(rejection.index):
            let ref = batch.refs[rejection.index]
            if !histograms.isEmpty && endsHistograms(ref, batch.values[rejection.index]) {
                return LateSample(ref: ref, timeMs: batch.timestampsMs[rejection.index], histogram: staleHistogram(for: ref))
            }
            return LateSample(
                ref: batch.refs[rejection.index], timeMs: batch.timestampsMs[rejection.index], value: batch.values[rejection.index],
                startMs: rejection.index < batch.startTimestampsMs.count ? batch.startTimestampsMs[rejection.index] : 0)
        case .histogram where batch.histograms.indices.contains(rejection.index):
            let sample = batch.histograms[rejection.index]
            return LateSample(ref: sample.ref, timeMs: sample.timestampMs, histogram: sample.histogram, startMs: sample.startTimestampMs)
        default: return nil
        }
    }

    /// Whether a series has out-of-order samples in a range; nearly always one test.
    @inline(__always)
    func hasOutOfOrder(_ slot: UInt32, in minTime: Int64, _ maxTime: Int64) -> Bool {
        !outOfOrder.isEmpty && outOfOrder.overlaps(ref(of: slot), minTime, maxTime)
    }

    /// Whether a series must stay for its out-of-order samples.
    func hasOutOfOrder(_ slot: UInt32) -> Bool { !outOfOrder.isEmpty && outOfOrder.series[ref(of: slot)] != nil }
}

extension Head {
    /// Sets the out-of-order window of samples and exemplars, at run time too; 0 refuses what is out of order. What is stored stays.
    /// - Parameter log: told of samples from now on.
    public func setOutOfOrder(windowMs: Int64, log: (any OutOfOrderLog)?) {
        locked {
            state.outOfOrder.windowMs = max(0, windowMs)
            state.outOfOrder.log = log
            state.exemplars.setOutOfOrderWindow(ms: windowMs)
        }
    }

    public func outOfOrderStatistics() -> OutOfOrderStatistics { locked { state.outOfOrder.currentStatistics() } }

    /// The number of the first file of `chunks_head` that must stay for out-of-order chunks; nil for none.
    public var oldestOutOfOrderFile: UInt32? { locked { state.outOfOrder.oldestFileNumber } }

    /// Whether there are finished chunks that are in no file.
    var hasOutOfOrderInMemory: Bool { locked { state.outOfOrder.series.values.contains { $0.sealed.contains { $0.chunkRef == nil } } } }

    /// Writes all samples to the log again that are in no mapped file: after the log lost some.
    public func logOutOfOrderAgain() throws(AppendError) {
        try locked { () throws(AppendError) in
            guard let log = state.outOfOrder.log else { return }
            var batch = SampleBatch()
            for (ref, one) in state.outOfOrder.series {
                for chunk in one.sealed where chunk.chunkRef == nil {
                    var columns = SampleColumns(histograms: true)
                    // What cannot be decoded was damaged in memory, and cannot be written either.
                    try? chunk.decode(.min, .max, into: &columns)
                    for index in 0..<columns.count {
                        let (time, startMs) = (columns.timestampMs(at: index), columns.startTimestampMs(at: index))
                        if let histogram = columns.histogram(at: index) {
                            batch.append(ref, timestampMs: time, histogram: histogram, startTimestampMs: startMs)
                        } else {
                            batch.append(ref, timestampMs: time, value: columns.value(at: index), startTimestampMs: startMs)
                        }
                    }
                }
                one.open.add(ref, to: &batch)
            }
            if !batch.isEmpty { try log.append(samples: batch) }
        }
    }
}
