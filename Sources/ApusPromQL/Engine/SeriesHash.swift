import ApusBytes
public import ApusModel

/// The hash by which `limit_ratio` picks series: that of Prometheus's release builds, so that both pick the same.
///
/// It is XXH64, seed 0, over the labels in order of name, each as two strings with their sizes:
///
///     ┌──────┬──────┬──────┬───────┬───
///     │ size │ name │ size │ value │ …        size: one byte; 255 is followed by three bytes, little-endian
///     └──────┴──────┴──────┴───────┴───
public func seriesHash(_ labels: LabelSet) -> UInt64 {
    var bytes: [UInt8] = []
    for label in labels {
        appendSized(label.name.bytes, to: &bytes)
        appendSized(label.value.bytes, to: &bytes)
    }
    return xxh64(bytes)
}

private func appendSized(_ text: [UInt8], to bytes: inout [UInt8]) {
    if text.count < 255 {
        bytes.append(UInt8(truncatingIfNeeded: text.count))
    } else {
        bytes.append(255)
        for shift in [0, 8, 16] { bytes.append(UInt8(truncatingIfNeeded: text.count >> shift)) }
    }
    bytes += text
}

/// XXH64 with seed 0.
///
/// Source: Yann Collet, "xxHash fast digest algorithm", version 0.1.1, XXH64 algorithm description.
func xxh64(_ bytes: [UInt8]) -> UInt64 {
    let (prime1, prime2): (UInt64, UInt64) = (0x9E37_79B1_85EB_CA87, 0xC2B2_AE3D_27D4_EB4F)
    let (prime3, prime4): (UInt64, UInt64) = (0x1656_67B1_9E37_79F9, 0x85EB_CA77_C2B2_AE63)
    let prime5: UInt64 = 0x27D4_EB2F_1656_67C5

    func rotated(_ value: UInt64, _ bits: UInt64) -> UInt64 { value << bits | value >> (64 - bits) }
    func round(_ lane: UInt64, _ input: UInt64) -> UInt64 { rotated(lane &+ input &* prime2, 31) &* prime1 }
    func word(_ offset: Int, _ size: Int) -> UInt64 {
        var result: UInt64 = 0
        for index in 0..<size { result |= UInt64(bytes[offset + index]) << UInt64(8 * index) }
        return result
    }

    var offset = 0
    var hash: UInt64
    if bytes.count >= 32 {
        var lanes: [UInt64] = [prime1 &+ prime2, prime2, 0, 0 &- prime1]
        while bytes.count - offset >= 32 {
            for lane in 0..<4 { lanes[lane] = round(lanes[lane], word(offset + 8 * lane, 8)) }
            offset += 32
        }
        hash = rotated(lanes[0], 1) &+ rotated(lanes[1], 7) &+ rotated(lanes[2], 12) &+ rotated(lanes[3], 18)
        for lane in lanes { hash = (hash ^ round(0, lane)) &* prime1 &+ prime4 }
    } else {
        hash = prime5
    }
    hash = hash &+ UInt64(bytes.count)
    while bytes.count - offset >= 8 {
        hash = rotated(hash ^ round(0, word(offset, 8)), 27) &* prime1 &+ prime4
        offset += 8
    }
    if bytes.count - offset >= 4 {
        hash = rotated(hash ^ word(offset, 4) &* prime1, 23) &* prime2 &+ prime3
        offset += 4
    }
    while offset < bytes.count {
        hash = rotated(hash ^ UInt64(bytes[offset]) &* prime5, 11) &* prime1
        offset += 1
    }
    hash = (hash ^ hash >> 33) &* prime2
    hash = (hash ^ hash >> 29) &* prime3
    return hash ^ hash >> 32
}
