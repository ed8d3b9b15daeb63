public import ApusMetrics

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

extension MetricRegistry {
    /// Adds facts about how the program was built and what it runs on.
    ///
    /// | name | type | |
    /// |---|---|---|
    /// | `swift_info` | gauge, always 1 | labels `version` (of the compiler), `os`, `arch`, `build` (debug or release) |
    /// | `swift_processors` | gauge | processors online: how many tasks run at a time |
    ///
    /// Costs nothing but the two series.
    /// - Throws: when the names are taken.
    public func registerRuntimeMetrics() throws(MetricError) {
        try info(
            "swift_info", help: "How the program was built.",
            ["version": swiftVersion, "os": operatingSystem, "arch": architecture, "build": isDebugBuild() ? "debug" : "release"])
        try gauge("swift_processors", help: "Processors online.") { Double(sysconf(Int32(_SC_NPROCESSORS_ONLN))) }
    }
}

private var swiftVersion: String {
    #if compiler(>=6.4)
        "6.4+"
    #elseif compiler(>=6.3)
        "6.3"
    #else
        "6.2"
    #endif
}

private var operatingSystem: String {
    #if os(Linux)
        "linux"
    #elseif os(macOS)
        "macos"
    #else
        "other"
    #endif
}

private var architecture: String {
    #if arch(x86_64)
        "x86_64"
    #elseif arch(arm64)
        "arm64"
    #else
        "other"
    #endif
}

/// Whether assertions are on. The closure runs only then.
private func isDebugBuild() -> Bool {
    var isDebug = false
    assert(
        {
            isDebug = true
            return true
        }())
    return isDebug
}
