import ApusBytes

/// What a snapshot knows of a file of chunks, so that it need not be read.
struct ChunkFileSummary: BitwiseCopyable, Equatable {
    var number: UInt32
    var end: Int
    var maxTimeMs: Int64
}

extension HeadChunkFiles {
    func summaries() -> [ChunkFileSummary] {
        state.withLock { $0.files.map { ChunkFileSummary(number: $0.number, end: $0.end, maxTimeMs: $0.maxTimeMs) } }
    }

    /// Takes over what is known of the files, in place of `iterate`; false when they are others.
    func restore(_ summaries: [ChunkFileSummary]) -> Bool {
        state.withLock { state in
            guard state.files.map(\.number) == summaries.map(\.number) else { return false }
            for (index, known) in summaries.enumerated() {
                guard known.end >= HeadChunkFormat.headerBytes, known.end <= state.files[index].sizeBytes else { return false }
                state.files[index].end = known.end
                state.files[index].maxTimeMs = known.maxTimeMs
            }
            return true
        }
    }

    /// The refs of chunks by the addresses of their bytes.
    func places() -> ChunkPlaces {
        state.withLock { state in
            ChunkPlaces(
                files: state.files.map { file in
                    ChunkPlaces.File(
                        number: file.number, start: unsafe UInt(bitPattern: file.mapping.bytes.baseAddress), sizeBytes: file.sizeBytes)
                },
                padded: Dictionary(
                    state.files.flatMap { file in file.padded.map { ($0.address, $0.place) } }, uniquingKeysWith: { first, _ in first }))
        }
    }

    /// Copies a chunk that ends too near the end of its file to be read there; its address, nil when there is none.
    func padded(_ ref: HeadChunkRef, sizeBytes: Int) -> UInt? {
        state.withLock { state in
            guard let index = state.files.firstIndex(where: { $0.number == ref.fileNumber }) else { return nil }
            let start = HeadChunkFormat.dataOffset(ref, sizeBytes)
            let bytes = unsafe state.files[index].mapping.bytes
            guard start + sizeBytes <= min(state.files[index].sizeBytes, bytes.count) else { return nil }
            let padded = unsafe PaddedChunk(copying: UnsafeRawBufferPointer(rebasing: bytes[start..<start + sizeBytes]), at: ref)
            state.files[index].padded.append(padded)
            return padded.address
        }
    }
}

extension HeadChunkFormat {
    /// Offset of a chunk's bytes in its file.
    static func dataOffset(_ ref: HeadChunkRef, _ sizeBytes: Int) -> Int {
        Int(ref.offset) + recordBytes(sizeBytes) - sizeBytes - checksumBytes
    }
}

/// Where the mapped files lie, to turn addresses of chunks into refs and back, many at a time.
struct ChunkPlaces {
    struct File {
        let number: UInt32
        let start: UInt
        let sizeBytes: Int
    }
    let files: [File]
    /// Chunks with a copy.
    let padded: [UInt: HeadChunkRef]

    /// Nil when no file has the address.
    func ref(of address: UInt, sizeBytes: Int) -> HeadChunkRef? {
        for file in files where address >= file.start && address &- file.start < UInt(file.sizeBytes) {
            let offset = Int(address &- file.start) - HeadChunkFormat.dataOffset(HeadChunkRef(fileNumber: file.number, offset: 0), sizeBytes)
            return UInt32(exactly: offset).map { HeadChunkRef(fileNumber: file.number, offset: $0) }
        }
        return padded[address]
    }

    /// The address of a chunk's bytes. Nil when its file is not there, or ends before or too near behind it.
    func address(of ref: HeadChunkRef, sizeBytes: Int) -> UInt? {
        // Numbers grow without gaps.
        guard let first = files.first, ref.fileNumber >= first.number else { return nil }
        let index = Int(ref.fileNumber - first.number)
        guard files.indices.contains(index), files[index].number == ref.fileNumber else { return nil }
        let start = HeadChunkFormat.dataOffset(ref, sizeBytes)
        guard start + sizeBytes + SealedChunkStoreLimits.readSlackBytes <= files[index].sizeBytes else { return nil }
        return files[index].start + UInt(start)
    }
}
