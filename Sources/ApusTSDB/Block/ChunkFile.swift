import ApusBytes

/// Numbers of a block's chunk files, `chunks/000001` and on.
///
///     ┌───────────┬─────────┬────────────┐   ┌──────────────┬──────────┬──────┬────────┐
///     │ magic u32 │ version │ 3 zeros    │   │ uvarint size │ encoding │ data │ CRC32C │  …
///     └───────────┴─────────┴────────────┘   └──────────────┴──────────┴──────┴────────┘
///
/// The size is that of the data; the checksum is of encoding and data.
enum ChunkFile {
    static let directoryName = "chunks"
    static let magic: UInt32 = 0x85BD_40DD
    static let version: UInt8 = 1
    static let headerBytes = 8
    /// A size is not longer.
    static let maxSizeBytes = 5

    static func name(_ index: Int) -> String {
        let digits = String(index + 1)
        return String(repeating: "0", count: max(0, 6 - digits.count)) + digits
    }
}
