/// Decodes the first `limit` samples of an XOR chunk (all it has, when fewer) into two columns; returns how many.
///
/// Any bytes are safe: every sample's end is checked against `sizeBytes`, and what is read beyond lies in the slack. The
/// reader is a 64-bit window loaded once or twice a sample.
/// - Parameter base: `sizeBytes` bytes of chunk and `chunkReadSlackBytes` more of anything.
/// - Parameter count: how many samples the chunk holds, by its header or by what the caller knows of an open chunk.
/// - Parameters times, values: room for `min(count, limit)` samples.
@inline(never)
func decodeXOR(
    _ base: UnsafeRawPointer, sizeBytes: Int, count: Int, limit: Int,
    times: UnsafeMutablePointer<Int64>, values: UnsafeMutablePointer<Double>
) throws(ChunkError) -> Int {
    let wanted = min(count, limit)
    if wanted <= 0 { return 0 }
    let end = sizeBytes &* 8
    var position = 16
    if position > end { throw ChunkError("chunk is shorter than its header") }

    let rawTime = try unsafe readUvarint(base, &position, end)
    var time = Int64(bitPattern: rawTime &>> 1) ^ -Int64(bitPattern: rawTime & 1)
    if position &+ 64 > end { throw ChunkError("chunk ends inside its first sample") }
    var value = unsafe readBits(base, &position, 64)
    // SAFETY: the caller gave room for `wanted` samples; `index` stays below.
    unsafe times[0] = time
    unsafe values[0] = Double(bitPattern: value)
    if wanted == 1 { return 1 }

    var delta = try unsafe readUvarint(base, &position, end)
    var leading = 0
    var trailing = 0
    var index = 1
    // At least 56 bits from `position` on, at the top: one load serves a sample's time and value when both are short.
    var window = unsafe loadWindow(base, position)
    while true {
        time &+= Int64(bitPattern: delta)
        // The value.
        if Int64(bitPattern: window) >= 0 {
            position &+= 1
        } else if window & 0x4000_0000_0000_0000 == 0 {
            let width = 64 &- leading &- trailing
            if width <= 54 {
                let bits = (window &<< 2) &>> UInt64(truncatingIfNeeded: 64 &- width)
                value ^= bits &<< UInt64(truncatingIfNeeded: trailing)
                position &+= width &+ 2
            } else {
                position &+= 2
                value ^= unsafe readBits(base, &position, width) &<< UInt64(truncatingIfNeeded: trailing)
            }
        } else {
            leading = Int(truncatingIfNeeded: (window &>> 57) & 31)
            var width = Int(truncatingIfNeeded: (window &>> 51) & 63)
            if width == 0 { width = 64 }
            trailing = 64 &- leading &- width
            if trailing < 0 { throw ChunkError("chunk sample \(index) has \(width) bits after \(leading) leading zeros") }
            if width <= 43 {
                let bits = (window &<< 13) &>> UInt64(truncatingIfNeeded: 64 &- width)
                value ^= bits &<< UInt64(truncatingIfNeeded: trailing)
                position &+= width &+ 13
            } else {
                position &+= 13
                value ^= unsafe readBits(base, &position, width) &<< UInt64(truncatingIfNeeded: trailing)
            }
        }
        if position > end { throw ChunkError("chunk ends inside sample \(index) of \(count)") }
        unsafe times[index] = time
        unsafe values[index] = Double(bitPattern: value)
        index &+= 1
        if index == wanted { return index }

        // The next sample's time. `00`, same interval and same value, is one test for as long as it lasts.
        unsafe window = loadWindow(base, position)
        while window < 0x4000_0000_0000_0000 {
            position &+= 2
            if position > end { throw ChunkError("chunk ends inside sample \(index) of \(count)") }
            time &+= Int64(bitPattern: delta)
            unsafe times[index] = time
            unsafe values[index] = Double(bitPattern: value)
            index &+= 1
            if index == wanted { return index }
            unsafe window = loadWindow(base, position)
        }
        if Int64(bitPattern: window) >= 0 {
            position &+= 1
            window &<<= 1
            continue
        }
        if window < 0xC000_0000_0000_0000 {
            var change = Int64(bitPattern: (window &>> 48) & 0x3FFF)
            if change > 8_192 { change &-= 1 &<< 14 }
            delta = delta &+ UInt64(bitPattern: change)
            position &+= 16
        } else if window < 0xE000_0000_0000_0000 {
            var change = Int64(bitPattern: (window &>> 44) & 0x1_FFFF)
            if change > 65_536 { change &-= 1 &<< 17 }
            delta = delta &+ UInt64(bitPattern: change)
            position &+= 20
        } else if window < 0xF000_0000_0000_0000 {
            var change = Int64(bitPattern: (window &>> 40) & 0xF_FFFF)
            if change > 524_288 { change &-= 1 &<< 20 }
            delta = delta &+ UInt64(bitPattern: change)
            position &+= 24
        } else {
            position &+= 4
            delta = delta &+ (unsafe readBits(base, &position, 64))
        }
        unsafe window = loadWindow(base, position)
        // A time may end 68 bits past the last check and the value after it reads 85 more: 20 bytes, and a window of 8.
    }
}
