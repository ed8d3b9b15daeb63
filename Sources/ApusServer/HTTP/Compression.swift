import CZlib
import HTTPTypes

/// How an answer's body may be encoded on its way.
enum ContentCoding: String, Sendable {
    case gzip
    case deflate

    /// A body shorter than this costs more to compress than to send.
    // Differs from Prometheus: it compresses every body, however short.
    static let minimumBytes = 256

    /// The first coding of an Accept-Encoding header that we know and that is not refused with `q=0`.
    init?(accepted header: String?) {
        guard let header else { return nil }
        for entry in header.utf8.split(separator: UInt8(ascii: ",")) {
            let parts = entry.split(separator: UInt8(ascii: ";"))
            guard let name = parts.first, let coding = ContentCoding(rawValue: name.lowercasedTrimmed) else { continue }
            let isRefused = parts.dropFirst().contains { parameter in
                let text = parameter.lowercasedTrimmed
                return text.hasPrefix("q=") && Double(text.dropFirst(2)) == 0
            }
            if !isRefused {
                self = coding
                return
            }
        }
        return nil
    }

    /// zlib's window bits: 15 is the largest window, 16 more asks for a gzip header instead of a zlib one.
    private var windowBits: Int32 { self == .gzip ? 31 : 15 }

    /// `body` compressed, or nil when zlib has no memory for it.
    /// - Parameter level: 1, the fastest, to 9. JSON full of repeated timestamps shrinks well at any.
    func compressed(_ body: [UInt8], level: Int32 = 1) -> [UInt8]? {
        var stream = unsafe z_stream()
        guard body.count <= Int(UInt32.max) else { return nil }
        let initialized = unsafe czlib_deflate_init(&stream, level, windowBits)
        guard initialized == Z_OK else { return nil }
        defer { unsafe deflateEnd(&stream) }
        let bound = Int(unsafe deflateBound(&stream, UInt(body.count)))
        guard bound <= Int(UInt32.max) else { return nil }
        var status = Z_OK
        // SAFETY: both buffers outlive the call to deflate, which writes at most `avail_out` bytes: the bound that
        // zlib itself names for one call. It does not write through `next_in`, whose type merely lacks a `const`.
        let output = unsafe [UInt8](unsafeUninitializedCapacity: bound) { output, count in
            unsafe body.withUnsafeBufferPointer { input in
                unsafe stream.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
                unsafe stream.avail_in = UInt32(input.count)
                unsafe stream.next_out = output.baseAddress
                unsafe stream.avail_out = UInt32(bound)
                status = unsafe CZlib.deflate(&stream, Z_FINISH)
                count = Int(unsafe stream.total_out)
            }
        }
        return status == Z_STREAM_END ? output : nil
    }
}

extension ServerResponse {
    /// Compresses the body when the client takes that and it is worth it.
    mutating func compress(for request: ServerRequest) {
        guard bodyCount >= ContentCoding.minimumBytes, headers[.contentEncoding] == nil,
            let coding = ContentCoding(accepted: request.headers[.acceptEncoding]),
            let compressed = coding.compressed(body)
        else { return }
        body = compressed
        headers[.contentEncoding] = coding.rawValue
        let vary = headers[.vary]
        headers[.vary] = vary.map { $0 + ", Accept-Encoding" } ?? "Accept-Encoding"
    }
}
