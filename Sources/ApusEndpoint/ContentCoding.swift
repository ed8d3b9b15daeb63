import CZlib
import CZstd

/// How a page may be compressed on its way.
enum ContentCoding: String, CaseIterable, Sendable {
    // At equal weights the one that costs less: zstd's fastest level takes less time than gzip's and gives less.
    case zstd
    case gzip

    /// The coding that the client likes best, or nil for none: by the weights of its `Accept-Encoding` header (RFC 9110,
    /// 12.5.3). One that is not named has the weight of `*`; a weight of 0 refuses.
    init?(accepted header: String?) {
        guard let header else { return nil }
        var weights: [String: Double] = [:]
        for entry in header.split(separator: ",").prefix(Self.maximumEntries) {
            let parts = entry.split(separator: ";").map { $0.filter { $0 != " " && $0 != "\t" }.lowercased() }
            guard let name = parts.first, !name.isEmpty else { continue }
            let weight = parts.dropFirst().first { $0.hasPrefix("q=") }.map { Double($0.dropFirst(2)) ?? 0 }
            weights[name] = weight ?? 1
        }
        // `*` alone comes from clients that did not think of zstd.
        let any = weights["*"] ?? 0
        let offers: [(ContentCoding, Double)] = [(.zstd, weights["zstd"] ?? 0), (.gzip, weights["gzip"] ?? any)]
        var best: (coding: ContentCoding, weight: Double)?
        for (coding, weight) in offers where weight > best?.weight ?? 0 { best = (coding, weight) }
        // A client that names no compression but prefers no compression to it is served as it likes.
        guard let best, best.weight >= weights["identity"] ?? 0 else { return nil }
        self = best.coding
    }

    private static let maximumEntries = 32

    /// `bytes` compressed, or nil if the library fails, for lack of memory. Level 1: a page is repetition, which every
    /// level finds.
    func compressed(_ bytes: [UInt8]) -> [UInt8]? {
        switch self {
        case .gzip: Self.gzip(bytes)
        case .zstd: Self.zstd(bytes)
        }
    }

    private static func zstd(_ bytes: [UInt8]) -> [UInt8]? {
        let bound = ZSTD_compressBound(bytes.count)
        if ZSTD_isError(bound) != 0 { return nil }
        var isComplete = false
        let output = unsafe [UInt8](unsafeUninitializedCapacity: bound) { output, count in
            // SAFETY: zstd reads the input's bytes and writes at most the output's capacity; it keeps neither address.
            let size = unsafe bytes.withUnsafeBytes { input in
                unsafe ZSTD_compress(output.baseAddress, output.count, input.baseAddress, input.count, 1)
            }
            isComplete = ZSTD_isError(size) == 0
            count = isComplete ? size : 0
        }
        return isComplete ? output : nil
    }

    /// A gzip member (RFC 1952).
    private static func gzip(_ bytes: [UInt8]) -> [UInt8]? {
        var stream = unsafe z_stream()
        // 15 bits of window, + 16 for the gzip frame.
        guard unsafe czlib_deflate_init(&stream, 1, 15 + 16) == Z_OK else { return nil }
        defer { unsafe deflateEnd(&stream) }
        guard let inputCount = UInt32(exactly: bytes.count) else { return nil }
        let bound = unsafe deflateBound(&stream, UInt(bytes.count))
        return unsafe bytes.withUnsafeBufferPointer { input -> [UInt8]? in
            var isComplete = false
            let output = unsafe [UInt8](unsafeUninitializedCapacity: Int(bound)) { output, count in
                // SAFETY: zlib reads `avail_in` and writes at most `avail_out` bytes, the sizes of the two buffers, whose
                // addresses it does not keep beyond this closure. It declares its input mutable but only reads it.
                unsafe stream.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
                unsafe stream.avail_in = inputCount
                unsafe stream.next_out = output.baseAddress
                unsafe stream.avail_out = UInt32(clamping: output.count)
                isComplete = unsafe deflate(&stream, Z_FINISH) == Z_STREAM_END
                count = unsafe Int(stream.total_out)
            }
            return isComplete ? output : nil
        }
    }
}
