import ApusBytes

extension MetricRegistry {
    /// Writes the page to a file, whole or not at all: for the textfile collector of node_exporter, which shows the files
    /// of a directory whose names end in `.prom`. A batch job leaves so what a scrape would come too late for.
    ///
    ///     try registry.writeTextFile("/var/lib/node_exporter/textfile/backup.prom")
    ///
    /// The page goes to `path.tmp`, to the disk, and by renaming to `path`: who reads sees the old page or the new one.
    /// - Throws: what the file system says.
    public func writeTextFile(_ path: String) throws {
        try PosixFileSystem().replace(path, with: renderText())
    }
}
