import ApusBytes

/// A new store of the labels that living series have, in the making.
///
/// Symbols and pairs are never removed one by one: a reader may be looking at them, and there is no list of who uses a
/// symbol. Where targets come and go, what is left behind would grow without end. So when most pairs are without a
/// series, the runs of the living are written again into a new store, in slices between which the head goes on; in the
/// last one the new store takes the place of the old. Readers keep the old one until they are done.
final class LabelRebuild {
    let labels: LabelStore
    /// Numbers in the new store by those in the old one, `unknown` for those not yet met.
    var pairs: [UInt32]
    var bySet: IndexTable
    /// In growing order of slot.
    var runs: [CollectedSeries] = []
    var slot: Int
    /// The store that was replaced, until its postings are freed.
    var replaced: LabelStore?
    var freedPairs = 0

    static let unknown = UInt32.max
    static let blocksASlice = 2
    static let freedPairsASlice = 65_536

    init(labels: LabelStore, pairs: Int, series: Int, slot: Int) {
        self.labels = labels
        self.pairs = Array(repeating: Self.unknown, count: pairs)
        bySet = IndexTable(count: series)
        runs.reserveCapacity(series)
        self.slot = slot
    }

    /// Where the new run of a slot lies.
    func run(of slot: UInt32) -> UInt32? {
        var low = 0
        var high = runs.count
        while low < high {
            let middle = (low + high) / 2
            if runs[middle].slot < slot { low = middle + 1 } else { high = middle }
        }
        return low < runs.count && runs[low].slot == slot ? runs[low].labelOffset : nil
    }
}

extension Head {
    /// Under `maintenance`: no series is collected meanwhile.
    func rebuildLabelsIfWorthwhile() {
        guard let rebuild = locked({ state.beginRebuild() }) else { return }
        slices { state.advance(rebuild) }
        slices { state.freeReplaced(rebuild) }
    }
}

extension HeadState {
    /// Nil while most pairs have a series.
    func beginRebuild() -> LabelRebuild? {
        let pairs = labels.index.pairCount
        guard pairs >= options.labelRebuildPairs, labels.index.usedPairs < pairs / 2 else { return nil }
        return LabelRebuild(labels: LabelStore(slab: slab, seed: seed), pairs: pairs, series: seriesCount, slot: series.firstSlot)
    }

    /// Writes the labels of the next series; false when all are written and the new store is in use.
    func advance(_ rebuild: LabelRebuild) -> Bool {
        var isFull = false
        var run: [UInt32] = []
        rebuild.slot = unsafe series.forEachLive(from: rebuild.slot, blocks: LabelRebuild.blocksASlice) { slot, entry in
            run.removeAll(keepingCapacity: true)
            for unsafe pair in unsafe labels.run(at: entry.pointee.labelOffset) {
                guard let new = translate(pair, rebuild) else {
                    isFull = true
                    return
                }
                run.append(new)
            }
            guard let offset = rebuild.labels.allocateRun(run) else {
                isFull = true
                return
            }
            for pair in run { rebuild.labels.index.addPosting(slot, to: pair) }
            rebuild.runs.append(CollectedSeries(slot: slot, labelOffset: offset))
            let hash = unsafe rebuild.labels.hash(rebuild.labels.run(at: offset))
            rebuild.bySet.insert(slot, hash: hash) { slot in
                guard let offset = rebuild.run(of: slot) else { return 0 }
                return unsafe rebuild.labels.hash(rebuild.labels.run(at: offset))
            }
        }
        if isFull {
            // No address space for a second store: the old one stays.
            rebuild.labels.index.freePostings()
            return false
        }
        if rebuild.slot < series.nextSlot { return true }
        for one in rebuild.runs {
            if let entry = unsafe series.pointer(Int(one.slot)) { unsafe entry.pointee.labelOffset = one.labelOffset }
        }
        rebuild.replaced = labels
        labels = rebuild.labels
        swap(&bySet, &rebuild.bySet)
        return false
    }

    private func translate(_ pair: UInt32, _ rebuild: LabelRebuild) -> UInt32? {
        let index = Int(pair)
        // Pairs that came since.
        while rebuild.pairs.count <= index { rebuild.pairs.append(LabelRebuild.unknown) }
        if rebuild.pairs[index] != LabelRebuild.unknown { return rebuild.pairs[index] }
        guard let name = unsafe rebuild.labels.symbols.intern(labels.symbols.content(labels.name(of: pair))),
            let value = unsafe rebuild.labels.symbols.intern(labels.symbols.content(labels.value(of: pair))),
            let new = rebuild.labels.index.intern(name: name, value: value)
        else { return nil }
        rebuild.pairs[index] = new
        return new
    }

    /// Frees the next postings of the store that was replaced; false behind the last.
    func freeReplaced(_ rebuild: LabelRebuild) -> Bool {
        guard let replaced = rebuild.replaced else { return false }
        let end = min(rebuild.freedPairs + LabelRebuild.freedPairsASlice, replaced.index.pairCount)
        replaced.index.freePostings(rebuild.freedPairs..<end)
        rebuild.freedPairs = end
        return end < replaced.index.pairCount
    }
}
