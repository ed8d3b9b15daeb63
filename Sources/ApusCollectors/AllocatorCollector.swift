public import ApusMetrics

#if os(Linux)
    import CLinux
#endif

extension MetricRegistry {
    /// Adds what glibc's allocator says of itself. Linux with glibc only; elsewhere nothing is added.
    ///
    /// | name | type | |
    /// |---|---|---|
    /// | `malloc_arena_bytes` | gauge | taken from the system for arenas |
    /// | `malloc_mapped_bytes`, `malloc_mapped_regions` | gauge | large blocks, each with a mapping of its own |
    /// | `malloc_allocated_bytes` | gauge | in use by the program, mappings included |
    /// | `malloc_free_bytes`, `malloc_free_chunks` | gauge | in arenas and not in use: fragmentation |
    /// | `malloc_releasable_bytes` | gauge | at the top of the main arena, which trimming would give back |
    ///
    /// A scrape locks each arena in turn and walks its free lists: the more pieces are free, the longer it takes.
    public func registerAllocatorMetrics() {
        #if os(Linux)
            collect { sink in
                var info = clinux_malloc()
                guard unsafe clinux_malloc_read(&info) == 1 else { return }
                sink.gauge("malloc_arena_bytes", help: "Bytes taken from the system for arenas.", Double(info.arena))
                sink.gauge("malloc_mapped_bytes", help: "Bytes of blocks with a mapping of their own.", Double(info.mapped))
                sink.gauge("malloc_mapped_regions", help: "Blocks with a mapping of their own.", Double(info.regions))
                sink.gauge(
                    "malloc_allocated_bytes", help: "Bytes in use by the program, those of mapped blocks included.",
                    Double(info.used) + Double(info.mapped))
                sink.gauge("malloc_free_bytes", help: "Bytes in arenas that are not in use.", Double(info.free))
                sink.gauge("malloc_free_chunks", help: "Pieces that the free bytes of arenas are in.", Double(info.free_chunks))
                sink.gauge(
                    "malloc_releasable_bytes", help: "Bytes at the top of the main arena that could be given back.",
                    Double(info.releasable))
            }
        #endif
    }
}
