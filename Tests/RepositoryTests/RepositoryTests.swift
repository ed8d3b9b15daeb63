import Foundation
import Testing

/// What a machine can check about the repository itself, so that no reviewer has to.
@Suite("Repository") struct RepositoryTests {
    static let root = URL(filePath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// The map of ARCHITECTURE.md: what each module may import. Arrows point down only.
    static let allowedImports: [String: Set<String>] = [
        "ApusBytes": ["CChecksum"],
        "ApusModel": ["ApusBytes"],
        "ApusRegex": ["ApusBytes", "CRE2"],
        "ApusStorage": ["ApusBytes", "ApusModel", "ApusRegex"],
        "ApusExposition": ["ApusBytes", "ApusModel"],
        "ApusMetrics": ["ApusBytes", "ApusModel", "ApusExposition", "CThreadRecord"],
        "ApusEndpoint": [
            "ApusBytes", "ApusModel", "ApusExposition", "ApusMetrics", "CZlib", "CZstd", "NIOCore", "NIOPosix", "NIOHTTP1",
            "ServiceLifecycle",
        ],
        "ApusWebConfig": ["ApusBytes", "ApusModel", "CCrypt", "Yams", "NIOCore", "NIOTLS", "NIOSSL"],
        "ApusEndpointTLS": ["ApusEndpoint", "ApusWebConfig", "NIOCore"],
        "ApusHummingbird": ["ApusMetrics", "ApusEndpoint", "HTTPTypes", "Hummingbird", "Instrumentation", "NIOCore"],
        "ApusSwiftMetrics": ["ApusBytes", "ApusModel", "ApusMetrics", "CoreMetrics"],
        "ApusTracing": ["Instrumentation"],
        "ApusPush": ["ApusMetrics", "CCurl"],
        "ApusCollectors": ["ApusModel", "ApusMetrics", "CLinux"],
        "ApusNIOMetrics": ["ApusModel", "ApusMetrics", "NIOCore", "NIOPosix"],
        "ApusMetricsTesting": ["ApusBytes", "ApusModel", "ApusExposition", "ApusMetrics"],
        "ApusSampling": ["ApusBytes", "ApusModel", "ApusExposition", "ApusMetrics", "ApusStorage"],
        "ApusHistory": ["ApusBytes", "ApusModel", "ApusMetrics", "ApusStorage", "ApusSampling", "ApusTSDB", "ApusPromQL"],
        "ApusTSDB": ["ApusBytes", "ApusModel", "ApusRegex", "ApusStorage", "CPrefetch", "CSnappy", "CZstd"],
        "ApusPromQL": ["ApusBytes", "ApusModel", "ApusRegex", "ApusStorage"],
        "ApusConfig": ["ApusBytes", "ApusModel", "ApusRegex", "Yams", "Foundation", "FoundationEssentials"],
        "ApusScrape": [
            "ApusBytes", "ApusModel", "ApusRegex", "ApusStorage", "ApusExposition", "ApusConfig", "CCurl", "CDeflate", "CLinux",
            "CZlib", "CZstd", "Yams",
        ],
    ]
    static let standardLibrary: Set<String> = ["Swift", "Synchronization", "Glibc", "Musl", "Darwin", "Builtin", "_Concurrency"]

    static func files(under folder: String, endingIn suffixes: [String]) -> [URL] {
        let start = root.appending(path: folder)
        guard let walk = FileManager.default.enumerator(at: start, includingPropertiesForKeys: nil) else { return [] }
        return walk.compactMap { $0 as? URL }.filter { file in
            suffixes.contains { file.lastPathComponent.hasSuffix($0) } && !file.pathComponents.contains { $0.hasPrefix(".build") }
        }
    }

    static func relative(_ file: URL) -> String {
        file.resolvingSymlinksInPath().path.replacingOccurrences(of: root.path + "/", with: "")
    }

    @Test("imports point down the map only", arguments: allowedImports.keys.sorted())
    func arrows(_ module: String) throws {
        let allowed = Self.allowedImports[module, default: []].union(Self.standardLibrary)
        let sources = Self.files(under: "Sources/\(module)", endingIn: [".swift"])
        #expect(!sources.isEmpty)
        for file in sources {
            for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n") {
                let words = line.split(separator: " ")
                guard let position = words.firstIndex(of: "import"), position <= 2, words.count > position + 1,
                    words[..<position].allSatisfy({
                        ["public", "package", "internal", "private", "@_exported", "@preconcurrency", "@testable"].contains($0)
                    })
                else { continue }
                let imported = String(words[words.count - 1].prefix { $0 != "." })
                #expect(allowed.contains(imported), "\(Self.relative(file)) imports \(imported)")
            }
        }
    }

    @Test("links in documents lead somewhere")
    func links() throws {
        let documents = Self.files(under: "", endingIn: [".md"])
        #expect(documents.count > 5)
        for file in documents {
            let text = try String(contentsOf: file, encoding: .utf8)
            for match in text.matches(of: /\]\(([^)\s#]+)(#[^)]*)?\)/) {
                let target = String(match.1)
                if target.contains("://") || target.hasPrefix("mailto:") { continue }
                let path = file.deletingLastPathComponent().appending(path: target).standardized.path
                #expect(FileManager.default.fileExists(atPath: path), "\(Self.relative(file)) links to \(target)")
            }
        }
    }

    @Test("the web pages fetch nothing from elsewhere")
    func pagesStandAlone() throws {
        let pages = Self.files(under: "Sources/CWebAssets/Assets", endingIn: [".html", ".js", ".css"])
        #expect(!pages.isEmpty)
        for file in pages {
            let text = try String(contentsOf: file, encoding: .utf8)
            for match in text.matches(
                of: /(src|href)=["'](https?:)?\/\/|url\(["']?https?:|import\s+.*from\s+["']https?:|fetch\(["'`]https?:/)
            {
                Issue.record("\(Self.relative(file)): \(match.0)")
            }
        }
    }

    @Test("no file tells about the machine it was written on")
    func noMachinePaths() throws {
        let suffixes = [
            ".swift", ".md", ".yml", ".json", ".sh", ".py", ".js", ".c", ".h", ".cpp", "run", "test", "install-dependencies",
        ]
        let pattern = /(^|[\s"'`=(:])\/(work|root|home|opt\/swift)\//
        for folder in ["Sources", "Tests", "docs", "scripts", "dashboards", "Examples", ".ci"] {
            for file in Self.files(under: folder, endingIn: suffixes) where file.lastPathComponent != "RepositoryTests.swift" {
                guard let text = try? String(contentsOf: file, encoding: .utf8) else { continue }
                if let match = text.firstMatch(of: pattern) { Issue.record("\(Self.relative(file)): \(match.0)") }
            }
        }
    }
}
