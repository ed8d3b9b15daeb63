import ApusServer

/// What this program says of itself.
enum Version {
    static let number = "0.1.0"
    static let language = "swift6.3"

    static let build = BuildInfo(revision: "apus-\(number)", languageVersion: language)

    /// As `--version` prints it.
    static let text = """
        apus, version \(number) (branch: \(build.branch), revision: \(build.revision))
          compatible with:  Prometheus \(build.version)
          language version: \(language)
          platform:         \(platform)
        """

    static var platform: String { "\(BuildInfo.operatingSystem)/\(BuildInfo.architecture)" }
}
