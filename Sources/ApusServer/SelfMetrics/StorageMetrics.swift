import ApusMetrics
import ApusModel
import ApusTSDB

/// What the storage holds and has done, read at each scrape, under upstream's names. Nothing until it is open.
func collectStorage(_ storage: DatabaseGate, into sink: inout MetricSink) {
    if let budget = storage.budget { collectBudget(budget.statistics(), into: &sink) }
    guard let database = storage.database else { return }
    let statistics = database.statistics()
    collectHead(statistics.head, into: &sink)
    collectBlocks(statistics, database.settings, into: &sink)
    if let wal = statistics.wal { collectLog(wal, bytes: statistics.walBytes, into: &sink) }
    if let wbl = statistics.wbl { collectOutOfOrderLog(wbl, bytes: statistics.wblBytes, into: &sink) }
    if let files = statistics.chunkFiles { collectChunkFiles(files, into: &sink) }
    if statistics.chunkFiles != nil { collectDecodedCache(statistics.decodedCache, into: &sink) }
    collectExemplars(database.exemplarStatistics, into: &sink)
}

private func collectDecodedCache(_ cache: DecodedCache.Statistics, into sink: inout MetricSink) {
    sink.gauge("apus_tsdb_decoded_cache_limit_bytes", help: "What --storage.decoded-cache-size allows.", Double(cache.limitBytes))
    sink.gauge("apus_tsdb_decoded_cache_bytes", help: "Memory of decoded samples of blocks kept for queries.", Double(cache.bytes))
    sink.gauge("apus_tsdb_decoded_cache_series", help: "Series of blocks of which decoded samples are kept for queries.", Double(cache.series))
    sink.counter("apus_tsdb_decoded_cache_hits_total", help: "Series of blocks that queries found decoded.", Double(cache.hits))
    sink.counter("apus_tsdb_decoded_cache_misses_total", help: "Series of blocks that queries had to decode.", Double(cache.misses))
    sink.counter(
        "apus_tsdb_decoded_cache_evictions_total", help: "Series whose decoded samples made room for others.", Double(cache.evictions))
}

private func collectBlocks(_ statistics: DatabaseStatistics, _ settings: DatabaseSettings, into sink: inout MetricSink) {
    sink.gauge("prometheus_tsdb_blocks_loaded", help: "Number of currently loaded data blocks", Double(statistics.numBlocks))
    sink.gauge(
        "prometheus_tsdb_storage_blocks_bytes",
        help: "The number of bytes that are currently used for local storage by all blocks.",
        Double(statistics.blockBytes))
    sink.gauge(
        "prometheus_tsdb_symbol_table_size_bytes", help: "Size of symbol table in memory for loaded blocks",
        Double(statistics.symbolTableBytes))
    sink.gauge("apus_tsdb_blocks_broken", help: "Blocks in the directory that can't be opened.", Double(statistics.brokenBlocks))
    let oldest = Double(statistics.minTimeMs)
    sink.gauge(
        "prometheus_tsdb_lowest_timestamp",
        help: "Lowest timestamp value stored in the database. The unit is decided by the library consumer.",
        oldest)
    sink.gauge(
        "prometheus_tsdb_lowest_timestamp_seconds", help: "Lowest timestamp value stored in the database.",
        (oldest / 1000).rounded(.down))
    sink.counter(
        "prometheus_tsdb_reloads_total", help: "Number of times the database reloaded block data from disk.",
        Double(statistics.reloads))
    sink.counter(
        "prometheus_tsdb_reloads_failures_total",
        help: "Number of times the database failed to reloadBlocks block data from disk.",
        Double(statistics.reloadsFailed))
    sink.duration(
        "prometheus_tsdb_tombstone_cleanup_seconds", help: "The time taken to recompact blocks to remove tombstones.",
        statistics.tombstoneCleanups)

    let compactions = statistics.compactions
    sink.counter(
        "prometheus_tsdb_compactions_total", help: "Total number of compactions that were executed for the partition.",
        Double(compactions.total))
    sink.counter(
        "prometheus_tsdb_compactions_failed_total", help: "Total number of compactions that failed for the partition.",
        Double(compactions.failed))
    sink.counter(
        "prometheus_tsdb_compactions_triggered_total", help: "Total number of triggered compactions for the partition.",
        Double(compactions.triggered))
    sink.counter(
        "prometheus_tsdb_compactions_skipped_total", help: "Total number of skipped compactions due to disabled auto compaction.",
        Double(compactions.skipped))
    sink.duration("prometheus_tsdb_compaction_duration_seconds", help: "Duration of compaction runs", compactions.duration)
    sink.gauge(
        "prometheus_tsdb_compaction_populating_block", help: "Set to 1 when a block is currently being written to the disk.",
        compactions.isPopulating ? 1 : 0)
    let shapes = statistics.chunkShapes
    sink.distribution(
        "prometheus_tsdb_compaction_chunk_size_bytes", help: "Final size of chunks on their first compaction", shapes.sizeBytes)
    sink.distribution(
        "prometheus_tsdb_compaction_chunk_samples", help: "Final number of samples on their first compaction", shapes.samples)
    sink.distribution(
        "prometheus_tsdb_compaction_chunk_range_seconds",
        help: "Final time range of chunks on their first compaction", shapes.rangeMs)
    sink.counter(
        "prometheus_tsdb_head_truncations_total", help: "Total number of head truncations attempted.",
        Double(max(compactions.headTruncations, statistics.head.truncations)))
    sink.counter(
        "prometheus_tsdb_head_truncations_failed_total", help: "Total number of head truncations that failed.",
        Double(compactions.headTruncationsFailed))
    sink.counter(
        "prometheus_tsdb_checkpoint_creations_total", help: "Total number of checkpoint creations attempted.",
        Double(compactions.checkpointsCreated &+ compactions.checkpointsFailed))
    sink.counter(
        "prometheus_tsdb_checkpoint_creations_failed_total", help: "Total number of checkpoint creations that failed.",
        Double(compactions.checkpointsFailed))
    sink.counter(
        "prometheus_tsdb_checkpoint_deletions_total", help: "Total number of checkpoint deletions attempted.",
        Double(compactions.checkpointsDeleted))
    sink.duration(
        "prometheus_tsdb_wal_truncate_duration_seconds", help: "Duration of WAL truncation.", compactions.walTruncations)

    let retention = statistics.retention
    sink.gauge(
        "prometheus_tsdb_retention_limit_bytes",
        help: "Max number of bytes to be retained in the tsdb blocks, configured 0 means disabled",
        Double(settings.retentionPercentage > 0 ? retention.limitBytes : settings.retentionBytes))
    sink.gauge(
        "prometheus_tsdb_retention_limit_seconds", help: "How long to retain samples in storage.",
        Double(retention.limitMs) / 1000)
    sink.gauge(
        "prometheus_tsdb_retention_limit_percentage",
        help: "Max percentage of total storage to be retained in the tsdb blocks, 0 means disabled",
        settings.retentionPercentage)
    sink.counter(
        "prometheus_tsdb_size_retentions_total",
        help: "The number of times that blocks were deleted because the maximum number of bytes was exceeded.",
        Double(retention.sizeDeletions))
    sink.counter(
        "prometheus_tsdb_time_retentions_total",
        help: "The number of times that blocks were deleted because the maximum time limit was exceeded.",
        Double(retention.timeDeletions))
    sink.gauge("apus_tsdb_retention_rules", help: "Retention rules in force.", Double(retention.rules))
    sink.counter(
        "apus_tsdb_retention_rule_blocks_marked_total",
        help: "How often retention rules have marked samples of a block as expired.", Double(retention.blocksMarked))
    sink.counter(
        "apus_tsdb_retention_rule_head_series_marked_total",
        help: "How often retention rules have marked samples of a series in the head as expired.",
        Double(retention.headSeriesMarked))
    sink.counter(
        "apus_tsdb_retention_rule_failures_total", help: "How often retention rules could not be applied.",
        Double(retention.rulesFailed))
    sink.gauge(
        "prometheus_tsdb_data_replay_duration_seconds", help: "Time taken to replay the data on disk.", statistics.replaySeconds)
    sink.gauge(
        "apus_tsdb_log_suspended",
        help: "1 while the log is given up because the disk refuses it, and samples are in memory only.",
        statistics.suspension == nil ? 0 : 1)
}

private func collectLog(_ log: WALStatistics, bytes: Int64, into sink: inout MetricSink) {
    sink.gauge(
        "prometheus_tsdb_wal_segment_current", help: "Write log segment index that TSDB is currently writing to.",
        Double(log.segment))
    sink.gauge("prometheus_tsdb_wal_storage_size_bytes", help: "Size of the write log directory.", Double(bytes))
    sink.counter("prometheus_tsdb_wal_page_flushes_total", help: "Total number of page flushes.", Double(log.pageFlushes))
    sink.counter(
        "prometheus_tsdb_wal_completed_pages_total", help: "Total number of completed pages.", Double(log.completedPages))
    sink.counter(
        "prometheus_tsdb_wal_truncations_total", help: "Total number of write log truncations attempted.", Double(log.truncations)
    )
    sink.counter(
        "prometheus_tsdb_wal_truncations_failed_total", help: "Total number of write log truncations that failed.",
        Double(log.truncationsFailed))
    sink.counter(
        "prometheus_tsdb_wal_writes_failed_total", help: "Total number of write log writes that failed.", Double(log.writesFailed)
    )
    sink.counter("prometheus_tsdb_wal_corruptions_total", help: "Total number of WAL corruptions.", Double(log.corruptions))
    sink.counter(
        "apus_tsdb_wal_entries_dropped_total",
        help: "Samples and series that were taken while the log was suspended, and not written to it.",
        Double(log.entriesDropped))
    sink.counter("apus_tsdb_wal_written_bytes_total", help: "Bytes written to the log.", Double(log.bytesWritten))
    let syncs = log.syncs
    sink.family("prometheus_tsdb_wal_fsync_duration_seconds", help: "Duration of write log fsync.", type: .summary) { family in
        family.summary(
            quantiles: [0.5, 0.9, 0.99].map { ($0, syncs.quantile($0)) }, sum: syncs.sumSeconds,
            count: UInt64(clamping: syncs.count))
    }
}

private func collectOutOfOrderLog(_ log: WALStatistics, bytes: Int64, into sink: inout MetricSink) {
    sink.gauge(
        "prometheus_tsdb_out_of_order_wbl_storage_size_bytes", help: "Size of the out of order write log directory.", Double(bytes))
    sink.gauge(
        "prometheus_tsdb_out_of_order_wbl_segment_current",
        help: "Out of order write log segment index that TSDB is currently writing to.",
        Double(log.segment))
    sink.counter(
        "prometheus_tsdb_out_of_order_wbl_page_flushes_total", help: "Total number of page flushes.", Double(log.pageFlushes))
    sink.counter(
        "prometheus_tsdb_out_of_order_wbl_writes_failed_total",
        help: "Total number of out of order write log writes that failed.",
        Double(log.writesFailed))
}

private func collectChunkFiles(_ files: HeadChunkFiles.Statistics, into sink: inout MetricSink) {
    sink.gauge(
        "prometheus_tsdb_head_chunks_storage_size_bytes", help: "Size of the chunks_head directory.", Double(files.sizeBytes))
    sink.counter(
        "prometheus_tsdb_mmap_chunks_total", help: "Total number of chunks that were memory-mapped.", Double(files.chunksWritten))
    sink.counter(
        "prometheus_tsdb_mmap_chunk_corruptions_total", help: "Total number of memory-mapped chunk corruptions.",
        Double(files.corruptions))
    sink.counter(
        "apus_tsdb_mmap_chunks_refused_total", help: "Chunks that the disk did not take, which stay in memory.",
        Double(files.chunksRefused))
}

private func collectExemplars(_ exemplars: ExemplarRing.Statistics, into sink: inout MetricSink) {
    sink.counter(
        "prometheus_tsdb_exemplar_exemplars_appended_total", help: "Total number of appended exemplars.",
        Double(exemplars.appended))
    sink.gauge(
        "prometheus_tsdb_exemplar_exemplars_in_storage", help: "Number of exemplars currently in circular storage.",
        Double(exemplars.count))
    sink.gauge(
        "prometheus_tsdb_exemplar_series_with_exemplars_in_storage",
        help: "Number of series with exemplars currently in circular storage.",
        Double(exemplars.series))
    sink.gauge(
        "prometheus_tsdb_exemplar_max_exemplars", help: "Total number of exemplars the exemplar storage can store, resizeable.",
        Double(exemplars.capacity))
    sink.gauge(
        "prometheus_tsdb_exemplar_last_exemplars_timestamp_seconds",
        help:
            "The timestamp of the oldest exemplar stored in circular storage. Useful to check for what time range the current exemplar "
            + "buffer limit allows. This usually means the last timestamp for all exemplars for a typical setup. This is not true though if one "
            + "of the series timestamp is in future compared to rest series.", Double(exemplars.oldestTimestampMs) / 1000)
    sink.counter(
        "prometheus_tsdb_exemplar_out_of_order_exemplars_total",
        help: "Total number of out-of-order exemplar ingestion failed attempts.", Double(exemplars.outOfOrder))
}

private func collectBudget(_ budget: MemoryBudget.Statistics, into sink: inout MetricSink) {
    sink.gauge("apus_memory_limit_bytes", help: "What --memory.limit allows.", Double(budget.limitBytes))
    sink.family(
        "apus_memory_used_bytes", help: "Memory that counts against --memory.limit, by what it is used for.", type: .gauge
    ) { family in
        for (part, bytes) in [
            ("head", budget.use.head), ("scrape", budget.use.scrape), ("buffers", budget.use.buffers), ("exemplars", budget.use.exemplars),
            ("decoded_cache", budget.use.decodedCache), ("queries", budget.use.queries),
        ] {
            family.sample(Double(bytes), labels: [("part", part)])
        }
    }
    sink.family(
        "apus_memory_step", help: "1 for each step of giving way to --memory.limit that is in force.", type: .gauge
    ) { family in
        for stage in MemoryBudget.Stage.allCases where stage != .normal {
            family.sample(budget.stage >= stage ? 1 : 0, labels: [("step", stage.name)])
        }
    }
    sink.family("apus_memory_steps_total", help: "How often each step of giving way was begun.", type: .counter) { family in
        for stage in MemoryBudget.Stage.allCases where stage != .normal {
            family.sample(Double(budget.entered[stage.rawValue]), labels: [("step", stage.name)])
        }
    }
    sink.counter(
        "apus_memory_queries_refused_total", help: "Queries refused because of --memory.limit.", Double(budget.queriesRefused))
}

extension MetricSink {
    fileprivate mutating func distribution(_ name: String, help: String, _ distribution: DatabaseStatistics.Distribution) {
        family(name, help: help, type: .histogram) {
            $0.histogram(upperBounds: distribution.upperBounds, counts: distribution.counts, sum: distribution.sum)
        }
    }

    /// A summary without quantiles: what upstream's histogram says in its sum and count.
    fileprivate mutating func duration(_ name: String, help: String, _ durations: DatabaseStatistics.Durations) {
        family(name, help: help, type: .summary) { $0.summary(quantiles: [], sum: durations.sumSeconds, count: durations.count) }
    }
}
