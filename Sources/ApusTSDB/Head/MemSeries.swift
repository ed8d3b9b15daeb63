import ApusBytes

/// A series in the head: 64 bytes, one cache line, which an append reads and writes and nothing else but its chunk.
struct MemSeries: BitwiseCopyable {
    /// `labelOffset` of a slot whose series was collected, or that has none yet.
    static let noLabels = UInt32.max
    /// `firstTime` of a series that has had no sample.
    static let noSamples = Int64.max

    /// State of the open chunk; its time and value, the series' newest sample, stay when a chunk is sealed.
    var xor = XORState()
    /// Bytes of the open chunk's cell.
    var capacity: UInt16 = 0
    /// A time at or before the oldest sample.
    var firstTime = noSamples
    /// Address of the open chunk's cell, 0 for none.
    var open: UInt = 0
    /// Address of the newest sealed chunk, 0 for none; see `ChunkArena`.
    var sealed: UInt = 0
    /// How many chunks were sealed so far, dropped ones included: tells a reader which open chunk it saw.
    var sealedCount: UInt32 = 0
    /// Index of the label run: its length, then as many pair numbers.
    var labelOffset = noLabels

    @inline(__always) var isLive: Bool { labelOffset != Self.noLabels }
    @inline(__always) var hasSamples: Bool { firstTime != Self.noSamples }

    /// Whether the newest sample is a native histogram, which `HistogramTable` knows more of: then `open` is 0, and of `xor`
    /// only time, value (the sum) and count are used.
    @inline(__always) var isHistogram: Bool {
        get { open == 0 && capacity == Self.histogramCapacity }
        set { capacity = newValue ? Self.histogramCapacity : 0 }
    }
    /// `capacity` of a series of histograms; no cell is so large.
    private static let histogramCapacity = UInt16.max

    /// Whether the open chunk is one in XOR2, which `HeadState.xor2Chunks` holds: then `open` is 0, and of `xor` only time,
    /// value and count are used.
    @inline(__always) var isXOR2: Bool {
        get { open == 0 && capacity == Self.xor2Capacity }
        set { capacity = newValue ? Self.xor2Capacity : 0 }
    }
    private static let xor2Capacity = UInt16.max - 1

    /// Whether there is an open chunk of any kind, of `xor.count` samples.
    @inline(__always) var mayHaveOpenChunk: Bool { open != 0 || isHistogram || isXOR2 }

    /// Whether a sample may lie in `[minTime, maxTime]`.
    @inline(__always)
    func mayHaveSamples(in minTime: Int64, _ maxTime: Int64) -> Bool { hasSamples && firstTime <= maxTime && xor.time >= minTime }
}
