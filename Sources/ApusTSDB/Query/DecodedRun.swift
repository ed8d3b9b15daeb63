import ApusStorage

/// Decoded samples of one series of a block: those of some chunks that lie side by side. Never changed.
///
///     covers          ▕◀─────────────────────────────▶▏  nothing else of the series lies in here
///     chunks   … ────▏▕──────────────▏▕──────────────▏▕──── …
///     words           values │ times, unless all lie at one distance
@safe final class DecodedRun: @unchecked Sendable {
    // `@unchecked`: written once, before anybody else has it.
    struct Header {
        var covers: ClosedRange<Int64> = 0...0
        var count = 0
        var firstMs: Int64 = 0
        var lastMs: Int64 = 0
        /// 0 when the distances differ.
        var stepMs: UInt64 = 0
    }

    /// Longer runs are decoded each time.
    static let maxSamples = 4096

    let header: Header
    private let words: UnsafeMutablePointer<UInt64>

    private init(_ header: Header, words: UnsafeMutablePointer<UInt64>) {
        self.header = header
        unsafe self.words = words
    }

    deinit { unsafe words.deallocate() }

    /// - Parameter start: of the samples in the columns; all from there on, floats without start timestamps.
    static func make(_ columns: borrowing SampleColumns, from start: Int, covers: ClosedRange<Int64>) -> DecodedRun? {
        let count = columns.count - start
        guard start >= 0, count > 0, count <= maxSamples else { return nil }
        return unsafe columns.withColumns { times, values in
            let times = unsafe UnsafeBufferPointer(rebasing: times[start...])
            let values = unsafe UnsafeBufferPointer(rebasing: values[start...])
            var header = unsafe Header(covers: covers, count: count, firstMs: times[0], lastMs: times[count - 1])
            let step = unsafe count > 1 ? times[1] &- times[0] : 1
            if step > 0, header.lastMs >= header.firstMs, unsafe areEven(times, step) { header.stepMs = UInt64(step) }
            let isEven = header.stepMs != 0
            // SAFETY: there is a word for each value, and for each time that is kept.
            let words = UnsafeMutablePointer<UInt64>.allocate(capacity: isEven ? count : 2 * count)
            for index in 0..<count { unsafe (words + index).initialize(to: values[index].bitPattern) }
            if !isEven {
                for index in 0..<count { unsafe (words + count + index).initialize(to: UInt64(bitPattern: times[index])) }
            }
            return unsafe DecodedRun(header, words: words)
        }
    }

    private static func areEven(_ times: UnsafeBufferPointer<Int64>, _ step: Int64) -> Bool {
        // Without a way out before the end: two a turn.
        var differences: Int64 = 0
        var expected = unsafe times[0]
        for index in 0..<times.count {
            unsafe differences |= times[index] ^ expected
            expected &+= step
        }
        return differences == 0
    }

    /// With what finds it.
    static func sizeBytes(_ header: Header) -> Int { header.count &* (header.stepMs == 0 ? 16 : 8) &+ 176 }

    /// Appends what lies in `[minTimeMs, maxTimeMs]`.
    func append(_ minTimeMs: Int64, _ maxTimeMs: Int64, to columns: inout SampleColumns) {
        let header = header
        let range = header.stepMs == 0 ? searched(minTimeMs, maxTimeMs) : Self.computed(header, minTimeMs, maxTimeMs)
        if range.isEmpty { return }
        unsafe columns.appendUninitialized(maximum: range.count) { times, values in
            // SAFETY: the range lies within `count`, and the columns have room for it; both sides are words.
            let source = unsafe UnsafeRawPointer(words + range.lowerBound)
            unsafe UnsafeMutableRawPointer(values).copyMemory(from: source, byteCount: range.count &* 8)
            if header.stepMs == 0 {
                let source = unsafe UnsafeRawPointer(words + header.count + range.lowerBound)
                unsafe UnsafeMutableRawPointer(times).copyMemory(from: source, byteCount: range.count &* 8)
                return range.count
            }
            let step = Int64(bitPattern: header.stepMs)
            let first = header.firstMs &+ Int64(range.lowerBound) &* step
            for index in 0..<range.count { unsafe times[index] = first &+ Int64(index) &* step }
            return range.count
        }
    }

    /// Between equal distances.
    private static func computed(_ header: Header, _ minTimeMs: Int64, _ maxTimeMs: Int64) -> Range<Int> {
        let (first, last, step) = (header.firstMs, header.lastMs, header.stepMs)
        if minTimeMs > last || maxTimeMs < first || minTimeMs > maxTimeMs { return 0..<0 }
        // Times lie in order, so differences are right as unsigned numbers whatever their size.
        var start = 0
        if minTimeMs > first { start = Int(truncatingIfNeeded: (UInt64(bitPattern: minTimeMs &- first) &- 1) / step &+ 1) }
        var end = header.count
        if maxTimeMs < last { end = Int(truncatingIfNeeded: UInt64(bitPattern: maxTimeMs &- first) / step) &+ 1 }
        start = min(max(0, start), header.count)
        return start..<min(max(start, end), header.count)
    }

    /// As the decoder does it, also with times that do not rise.
    private func searched(_ minTimeMs: Int64, _ maxTimeMs: Int64) -> Range<Int> {
        // SAFETY: `count` times lie behind the values.
        let times = unsafe words + header.count
        var end = header.count
        while end > 0, unsafe Int64(bitPattern: times[end &- 1]) > maxTimeMs { end &-= 1 }
        var start = 0
        if end > 0, unsafe Int64(bitPattern: times[0]) < minTimeMs {
            var high = end
            while start < high {
                let middle = (start &+ high) &>> 1
                if unsafe Int64(bitPattern: times[middle]) < minTimeMs { start = middle &+ 1 } else { high = middle }
            }
        }
        return start..<end
    }
}
