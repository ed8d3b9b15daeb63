extension Head {
    /// Bytes of memory of all parts, as `statistics().memory.total` but without counting anything.
    public var memoryBytes: Int { locked { state.memory.total } }

    /// From now on a series that is not in the head is refused with this text; nil: new ones are taken again.
    public func refuseNewSeries(_ reason: String?) { locked { state.refusalOfNewSeries = reason } }

    /// Seals every open chunk: into mapped files, where they need no memory of the process, or tight into the arena. A
    /// chunk of few samples is left open, since what a sealed one costs beside its samples would eat the gain.
    ///
    /// Returns how many were sealed. Takes the lock for some thousand series at a time.
    @discardableResult
    public func sealOpenChunks(minSamples: Int = 16) -> Int {
        var sealed = 0
        var slot = 0
        while true {
            let end: Int? = locked {
                let first = max(slot, state.series.firstSlot)
                guard first < state.series.nextSlot else { return nil }
                let end = min(first + Self.sealedAtOnce, state.series.nextSlot)
                for slot in first..<end where state.sealIfOpen(slot, minSamples: minSamples) { sealed += 1 }
                return end
            }
            guard let end else { return sealed }
            slot = end
        }
    }

    private static let sealedAtOnce = 4096
}

extension HeadState {
    func sealIfOpen(_ slot: Int, minSamples: Int) -> Bool {
        guard let entry = unsafe series.pointer(slot), unsafe entry.pointee.isLive, unsafe Int(entry.pointee.xor.count) >= minSamples else {
            return false
        }
        if unsafe entry.pointee.isXOR2 {
            unsafe sealXOR2(entry, UInt32(slot))
        } else if unsafe entry.pointee.open != 0 {
            unsafe seal(entry, UInt32(slot))
        } else {
            return false
        }
        return true
    }
}
