import Foundation

/// Where the programs are: ours beside the test bundle, the peers wherever the machine has them.
enum Programs {
    static let buildFolder: URL = {
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        return URL(filePath: own).deletingLastPathComponent()
    }()
    static let apus = buildFolder.appending(path: "apus")
    static let shopService = buildFolder.appending(path: "shop-service")

    /// The repository, found from this file's own place in it.
    static let repository = URL(filePath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    static let nodeExporter = find("prometheus-node-exporter", "node_exporter")
    static let promtool = find("promtool")
    static let prometheus = find("prometheus")
    /// A Prometheus of 3.x: Debian 12's is older and refuses fields that some tests need.
    static let prometheus3 = prometheus.flatMap { isVersion3($0) ? $0 : nil }
    static let chromium = find("chromium", "chromium-browser", "google-chrome")

    private static func find(_ names: String...) -> URL? {
        let environment = ProcessInfo.processInfo.environment
        // Newer peers than the system's may lie in a folder of their own: see scripts/fetch-peers.
        let folders = (environment["APUS_PEERS"].map { [Substring($0)] } ?? []) + (environment["PATH"] ?? "/usr/bin").split(separator: ":")
        for name in names {
            for folder in folders {
                let path = "\(folder)/\(name)"
                if FileManager.default.isExecutableFile(atPath: path) { return URL(filePath: path) }
            }
        }
        return nil
    }

    private static func isVersion3(_ program: URL) -> Bool {
        guard let process = try? ChildProcess(program, ["--version"], in: FileManager.default.temporaryDirectory) else { return false }
        defer { try? FileManager.default.removeItem(at: process.outputFile) }
        return process.exitStatus() == 0 && process.output.hasPrefix("prometheus, version 3.")
    }

    /// A port nobody listens on at this moment.
    static func freePort() -> UInt16 {
        let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                _ = unsafe bind(socket, generic, length)
                _ = unsafe getsockname(socket, generic, &length)
            }
        }
        return UInt16(bigEndian: address.sin_port)
    }
}
