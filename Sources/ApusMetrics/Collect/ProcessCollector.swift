import ApusBytes
import ApusModel

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

extension MetricRegistry {
    /// Adds what the operating system knows of this process, under the names that all clients use: CPU time, memory,
    /// file descriptors, network bytes, threads, page faults, start time. Linux only; elsewhere nothing is added.
    ///
    /// | name | type |
    /// |---|---|
    /// | `process_cpu_seconds_total` | counter |
    /// | `process_resident_memory_bytes`, `process_virtual_memory_bytes`, `process_virtual_memory_max_bytes` | gauge |
    /// | `process_open_fds`, `process_max_fds`, `process_threads` | gauge |
    /// | `process_start_time_seconds` | gauge |
    /// | `process_network_receive_bytes_total`, `process_network_transmit_bytes_total` | counter |
    /// | `process_page_faults_minor_total`, `process_page_faults_major_total` | counter |
    /// | `process_block_input_operations_total`, `process_block_output_operations_total` | counter |
    ///
    /// A scrape reads four files of `/proc` and lists the open descriptors.
    /// - Parameter includesThreadCount: whether the threads are shown once more as `process_thread_count`, for dashboards made
    ///   for swift-system-metrics. promtool does not like the name.
    public func registerProcessMetrics(includesThreadCount: Bool = false) {
        #if os(Linux)
            var collector = ProcessCollector()
            collector.includesThreadCount = includesThreadCount
            collect { [collector] sink in collector.collect(into: &sink) }
        #endif
    }
}

/// Reads `/proc/self` at every scrape. A file that can't be read leaves its metrics out.
struct ProcessCollector: Sendable {
    /// `/proc`, or a copy of it in tests.
    var proc = "/proc"
    var includesThreadCount = false
    var pageSizeBytes = Double(sysconf(Int32(_SC_PAGESIZE)))
    var ticksPerSecond = Double(sysconf(Int32(_SC_CLK_TCK)))

    func collect(into sink: inout MetricSink) {
        if let stat = readFile("\(proc)/self/stat").flatMap(ProcessStat.init) {
            sink.counter(
                "process_cpu_seconds_total", help: "Total user and system CPU time spent in seconds.",
                stat.cpuTicks / ticksPerSecond)
            sink.gauge("process_virtual_memory_bytes", help: "Virtual memory size in bytes.", stat.virtualBytes)
            sink.gauge(
                "process_resident_memory_bytes", help: "Resident memory size in bytes.", stat.residentPages * pageSizeBytes)
            sink.gauge("process_threads", help: "Number of operating system threads in the process.", stat.threads)
            if includesThreadCount {
                sink.gauge("process_thread_count", help: "Number of operating system threads in the process.", stat.threads)
            }
            sink.counter(
                "process_page_faults_minor_total", help: "Page faults of the process that needed no reading from a disk.",
                stat.minorFaults)
            sink.counter(
                "process_page_faults_major_total", help: "Page faults of the process that needed reading from a disk.",
                stat.majorFaults)
            if let start = startTimeSeconds(stat) {
                sink.gauge("process_start_time_seconds", help: "Start time of the process since unix epoch in seconds.", start)
            }
        }
        var usage = rusage()
        // 0 is RUSAGE_SELF, whose type differs from system to system.
        if unsafe getrusage(.init(0), &usage) == 0 {
            sink.counter(
                "process_block_input_operations_total", help: "Times that a disk had to be read for the process.",
                Double(usage.ru_inblock))
            sink.counter(
                "process_block_output_operations_total", help: "Times that a disk had to be written for the process.",
                Double(usage.ru_oublock))
        }
        if let count = openDescriptors() {
            sink.gauge("process_open_fds", help: "Number of open file descriptors.", count)
        }
        if let limits = readFile("\(proc)/self/limits") {
            if let files = limit("Max open files", in: limits) {
                sink.gauge("process_max_fds", help: "Maximum number of open file descriptors.", files)
            }
            if let bytes = limit("Max address space", in: limits) {
                sink.gauge(
                    "process_virtual_memory_max_bytes", help: "Maximum amount of virtual memory available in bytes.", bytes)
            }
        }
        if let (received, sent) = readFile("\(proc)/self/net/netstat").flatMap(networkBytes) {
            sink.counter(
                "process_network_receive_bytes_total", help: "Number of bytes received by the process over the network.", received
            )
            sink.counter(
                "process_network_transmit_bytes_total", help: "Number of bytes sent by the process over the network.", sent)
        }
    }

    /// Seconds since the epoch.
    func startTimeSeconds() -> Double? { readFile("\(proc)/self/stat").flatMap(ProcessStat.init).flatMap(startTimeSeconds) }

    private func startTimeSeconds(_ stat: ProcessStat) -> Double? {
        readFile("\(proc)/stat").flatMap(bootTimeSeconds).map { $0 + stat.startTicks / ticksPerSecond }
    }

    /// `btime 1700000000` of `/proc/stat`.
    func bootTimeSeconds(_ stat: String) -> Double? {
        stat.split(separator: "\n").first { $0.hasPrefix("btime ") }.flatMap { Double($0.dropFirst(6)) }
    }

    /// The soft limit; 2⁶⁴ − 1 when there is none, as Go's client says.
    func limit(_ name: String, in limits: String) -> Double? {
        guard let line = limits.split(separator: "\n").first(where: { $0.hasPrefix(name) }),
            let soft = line.dropFirst(name.utf8.count).split(separator: " ").first
        else { return nil }
        return soft == "unlimited" ? Double(UInt64.max) : Double(soft)
    }

    /// `InOctets` and `OutOctets` of the two lines that begin with `IpExt:`, names first and numbers second.
    func networkBytes(_ netstat: String) -> (received: Double, sent: Double)? {
        let lines = netstat.split(separator: "\n").filter { $0.hasPrefix("IpExt:") }
        guard lines.count == 2 else { return nil }
        let values = Dictionary(
            zip(lines[0].split(separator: " "), lines[1].split(separator: " ")), uniquingKeysWith: { first, _ in first })
        guard let received = values["InOctets"].flatMap({ Double($0) }), let sent = values["OutOctets"].flatMap({ Double($0) })
        else { return nil }
        return (received, sent)
    }

    private func openDescriptors() -> Double? {
        guard let directory = unsafe opendir("\(proc)/self/fd") else { return nil }
        defer { unsafe closedir(directory) }
        var count = 0
        while let entry = unsafe readdir(directory) {
            // Everything but `.` and `..`.
            if unsafe entry.pointee.d_name.0 != CChar(UInt8(ascii: ".")) { count += 1 }
        }
        // The one that reads the directory is not the program's.
        return Double(count - 1)
    }

    /// A small file of `/proc`, at most 256 KiB.
    private func readFile(_ path: String) -> String? {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var content: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16_384)
        while content.count < 262_144 {
            let count = unsafe buffer.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { return count == 0 ? String(decoding: content, as: UTF8.self) : nil }
            content.append(contentsOf: buffer[..<count])
        }
        return String(decoding: content, as: UTF8.self)
    }
}

/// What is wanted of `/proc/self/stat`; proc(5) numbers the fields from 1, and the second may hold spaces.
struct ProcessStat: Sendable, Equatable {
    let minorFaults: Double
    let majorFaults: Double
    let cpuTicks: Double
    let threads: Double
    let startTicks: Double
    let virtualBytes: Double
    let residentPages: Double

    init?(_ stat: String) {
        guard let nameEnd = stat.lastIndex(of: ")") else { return nil }
        // Begins with field 3, the state.
        let fields = stat[stat.index(after: nameEnd)...].split(separator: " ")
        func field(_ number: Int) -> Double? { number - 3 < fields.count ? Double(fields[number - 3]) : nil }
        guard let minor = field(10), let major = field(12), let user = field(14), let system = field(15), let threads = field(20),
            let start = field(22),
            let virtual = field(23),
            let resident = field(24)
        else { return nil }
        minorFaults = minor
        majorFaults = major
        cpuTicks = user + system
        self.threads = threads
        startTicks = start
        virtualBytes = virtual
        residentPages = resident
    }
}
