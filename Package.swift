// swift-tools-version: 6.2
import PackageDescription

/// Every target is held to the same rules: strict concurrency (the language mode), strict memory safety, no warnings.
let strict: [SwiftSetting] = [.strictMemorySafety(), .treatAllWarnings(as: .error)]

/// The modules, lower ones first: each may import what stands above it in this list, and ARCHITECTURE.md says why it does.
let modules: [Target] = [
    // Libraries of the system, behind thin C faces.
    .target(name: "CRE2", linkerSettings: [.linkedLibrary("re2")]),
    .target(name: "CCurl", linkerSettings: [.linkedLibrary("curl")]),
    .target(name: "CLinux"),
    .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CDeflate", providers: [.apt(["libdeflate-dev"])]),
    .systemLibrary(name: "CSnappy", providers: [.apt(["libsnappy-dev"])]),
    .systemLibrary(name: "CZstd", providers: [.apt(["libzstd-dev"])]),
    .target(name: "CChecksum"),
    .target(name: "CPrefetch"),
    .target(name: "CThreadRecord"),
    .target(name: "CCrypt", linkerSettings: [.linkedLibrary("crypt")]),
    .target(name: "CWebAssets", exclude: ["Assets"]),

    .target(name: "ApusBytes", dependencies: ["CChecksum"], swiftSettings: strict),
    .target(name: "ApusModel", dependencies: ["ApusBytes"], swiftSettings: strict),
    .target(name: "ApusExposition", dependencies: ["ApusBytes", "ApusModel"], swiftSettings: strict),
    .target(
        name: "ApusMetrics", dependencies: ["ApusBytes", "ApusModel", "ApusExposition", "CThreadRecord"], swiftSettings: strict),
    .target(
        name: "ApusSwiftMetrics",
        dependencies: ["ApusBytes", "ApusModel", "ApusMetrics", .product(name: "CoreMetrics", package: "swift-metrics")],
        swiftSettings: strict),
    .target(name: "ApusRegex", dependencies: ["ApusBytes", "CRE2"], swiftSettings: strict),
    .target(name: "ApusStorage", dependencies: ["ApusBytes", "ApusModel", "ApusRegex"], swiftSettings: strict),
    .target(
        name: "ApusTSDB", dependencies: ["ApusBytes", "ApusModel", "ApusRegex", "ApusStorage", "CPrefetch", "CSnappy", "CZstd"],
        swiftSettings: strict),
    .target(name: "ApusPromQL", dependencies: ["ApusBytes", "ApusModel", "ApusRegex", "ApusStorage"], swiftSettings: strict),
    .target(name: "ApusConfig", dependencies: ["ApusBytes", "ApusModel", "ApusRegex", "Yams"], swiftSettings: strict),
    .target(
        name: "ApusScrape",
        dependencies: [
            "ApusBytes", "ApusModel", "ApusRegex", "ApusStorage", "ApusExposition", "ApusConfig", "CCurl", "CDeflate", "CLinux",
            "CZlib", "CZstd", "Yams",
        ],
        swiftSettings: strict),
    .target(
        name: "ApusEndpoint",
        dependencies: [
            "ApusModel", "ApusMetrics", "CZlib", "CZstd", .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "NIOHTTP1", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
            .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        ],
        swiftSettings: strict),
    .target(
        name: "ApusMetricsTesting", dependencies: ["ApusBytes", "ApusModel", "ApusExposition", "ApusMetrics"], swiftSettings: strict),
    .target(
        name: "ApusSampling",
        dependencies: ["ApusBytes", "ApusModel", "ApusExposition", "ApusMetrics", "ApusStorage"], swiftSettings: strict),
    .target(
        name: "ApusHistory",
        dependencies: ["ApusBytes", "ApusModel", "ApusMetrics", "ApusStorage", "ApusSampling", "ApusTSDB", "ApusPromQL"],
        swiftSettings: strict),
    .target(name: "ApusPush", dependencies: ["ApusMetrics", "CCurl"], swiftSettings: strict),
    .target(
        name: "ApusTracing", dependencies: [.product(name: "Instrumentation", package: "swift-distributed-tracing")],
        swiftSettings: strict),
    .target(name: "ApusCollectors", dependencies: ["ApusModel", "ApusMetrics", "CLinux"], swiftSettings: strict),
    .target(
        name: "ApusNIOMetrics",
        dependencies: [
            "ApusModel", "ApusMetrics", .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "NIOPosix", package: "swift-nio"),
        ],
        swiftSettings: strict),
    .target(
        name: "ApusHummingbird",
        dependencies: [
            "ApusMetrics", "ApusEndpoint", .product(name: "HTTPTypes", package: "swift-http-types"),
            .product(name: "Hummingbird", package: "hummingbird"),
            .product(name: "Instrumentation", package: "swift-distributed-tracing"),
            .product(name: "NIOCore", package: "swift-nio"),
        ],
        swiftSettings: strict),
    .target(
        name: "ApusWebConfig",
        dependencies: [
            "ApusBytes", "ApusModel", "CCrypt", "Yams", .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "NIOTLS", package: "swift-nio"), .product(name: "NIOSSL", package: "swift-nio-ssl"),
        ],
        swiftSettings: strict),
    .target(
        name: "ApusEndpointTLS",
        dependencies: ["ApusEndpoint", "ApusWebConfig", .product(name: "NIOCore", package: "swift-nio")],
        swiftSettings: strict),
    .target(
        name: "ApusServer",
        dependencies: [
            "ApusBytes", "ApusModel", "ApusRegex", "ApusStorage", "ApusExposition", "ApusMetrics", "ApusTSDB", "ApusPromQL",
            "ApusConfig",
            "ApusScrape", "CWebAssets", "CZlib", .product(name: "HTTPTypes", package: "swift-http-types"),
            .product(name: "Logging", package: "swift-log"), .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "NIOHTTP1", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
            .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        ],
        swiftSettings: strict),
]

/// What people start.
let programs: [Target] = [
    .executableTarget(
        name: "apus",
        dependencies: [
            "ApusBytes", "ApusModel", "ApusStorage", "ApusExposition", "ApusMetrics", "ApusTSDB", "ApusPromQL", "ApusConfig",
            "ApusScrape",
            "ApusServer", "ApusWebConfig", "CCurl", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            .product(name: "Logging", package: "swift-log"),
            .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            .product(name: "UnixSignals", package: "swift-service-lifecycle"),
        ],
        swiftSettings: strict),
    .executableTarget(
        name: "shop-service",
        dependencies: [
            "ApusMetrics", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            .product(name: "Hummingbird", package: "hummingbird"), .product(name: "Logging", package: "swift-log"),
            .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOHTTP1", package: "swift-nio"),
            .product(name: "NIOPosix", package: "swift-nio"),
        ],
        path: "Examples/ShopService", swiftSettings: strict),
]

/// One test target a module, and the whole from outside.
let tests: [Target] = [
    // What tests of several modules share.
    .target(name: "RawHTTP", path: "Tests/RawHTTP", swiftSettings: strict),
    .target(name: "AllocationCount", path: "Tests/AllocationCount"),
    .target(name: "PEMFixtures", path: "Tests/PEMFixtures", swiftSettings: strict),
    .testTarget(name: "ApusBytesTests", dependencies: ["ApusBytes"], swiftSettings: strict),
    .testTarget(name: "ApusModelTests", dependencies: ["ApusBytes", "ApusModel"], swiftSettings: strict),
    .testTarget(
        name: "ApusExpositionTests", dependencies: ["ApusBytes", "ApusModel", "ApusExposition"], exclude: ["Golden"],
        swiftSettings: strict),
    .testTarget(
        name: "ApusMetricsTests",
        dependencies: ["AllocationCount", "ApusBytes", "ApusModel", "ApusExposition", "ApusMetrics"], swiftSettings: strict),
    .testTarget(
        name: "ApusSwiftMetricsTests",
        dependencies: ["ApusMetrics", "ApusSwiftMetrics", .product(name: "CoreMetrics", package: "swift-metrics")],
        swiftSettings: strict),
    .testTarget(name: "ApusRegexTests", dependencies: ["ApusBytes", "ApusRegex"], swiftSettings: strict),
    .testTarget(
        name: "ApusTSDBTests", dependencies: ["ApusBytes", "ApusModel", "ApusRegex", "ApusStorage", "ApusTSDB"],
        swiftSettings: strict),
    .testTarget(
        name: "ApusPromQLTests", dependencies: ["ApusBytes", "ApusModel", "ApusRegex", "ApusStorage", "ApusPromQL", "ApusTSDB"],
        swiftSettings: strict),
    .testTarget(
        name: "ApusConfigTests", dependencies: ["ApusBytes", "ApusModel", "ApusConfig"], resources: [.copy("Golden")],
        swiftSettings: strict),
    .testTarget(
        name: "ApusScrapeTests",
        dependencies: ["ApusBytes", "ApusModel", "ApusStorage", "ApusExposition", "ApusConfig", "ApusScrape"],
        swiftSettings: strict),
    .testTarget(
        name: "ApusEndpointTests",
        dependencies: [
            "RawHTTP", "ApusMetrics", "ApusEndpoint", "CZlib", "CZstd", .product(name: "Logging", package: "swift-log"),
            .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "NIOHTTP1", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
            .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        ],
        swiftSettings: strict),
    .testTarget(name: "ApusMetricsTestingTests", dependencies: ["ApusMetrics", "ApusMetricsTesting"], swiftSettings: strict),
    .testTarget(
        name: "ApusSamplingTests", dependencies: ["ApusModel", "ApusMetrics", "ApusStorage", "ApusSampling"], swiftSettings: strict),
    .testTarget(
        name: "ApusHistoryTests", dependencies: ["ApusBytes", "ApusModel", "ApusMetrics", "ApusPromQL", "ApusHistory"],
        swiftSettings: strict),
    .testTarget(
        name: "ApusPushTests",
        dependencies: [
            "ApusModel", "ApusMetrics", "ApusPush", .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "NIOHTTP1", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
        ],
        swiftSettings: strict),
    .testTarget(
        name: "ApusTracingTests",
        dependencies: ["ApusTracing", .product(name: "Instrumentation", package: "swift-distributed-tracing")],
        swiftSettings: strict),
    .testTarget(name: "ApusCollectorsTests", dependencies: ["ApusMetrics", "ApusCollectors"], swiftSettings: strict),
    .testTarget(
        name: "ApusNIOMetricsTests",
        dependencies: [
            "ApusMetrics", "ApusNIOMetrics", .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "NIOPosix", package: "swift-nio"),
        ],
        swiftSettings: strict),
    .testTarget(
        name: "ApusHummingbirdTests",
        dependencies: [
            "RawHTTP", "ApusMetrics", "ApusEndpoint", "ApusHummingbird", "ApusTracing",
            .product(name: "Hummingbird", package: "hummingbird"),
            .product(name: "Instrumentation", package: "swift-distributed-tracing"), .product(name: "NIOCore", package: "swift-nio"),
        ],
        swiftSettings: strict),
    .testTarget(
        name: "ApusWebConfigTests", dependencies: ["ApusBytes", "ApusModel", "ApusWebConfig"], swiftSettings: strict),
    .testTarget(
        name: "ApusEndpointTLSTests",
        dependencies: [
            "PEMFixtures", "ApusMetrics", "ApusEndpoint", "ApusWebConfig", "ApusEndpointTLS",
            .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
            .product(name: "NIOSSL", package: "swift-nio-ssl"),
        ],
        swiftSettings: strict),
    .testTarget(
        name: "ApusServerTests",
        dependencies: [
            "ApusBytes", "ApusModel", "ApusRegex", "ApusStorage", "ApusMetrics", "ApusTSDB", "ApusPromQL", "ApusConfig",
            "ApusScrape",
            "ApusServer", .product(name: "HTTPTypes", package: "swift-http-types"),
            .product(name: "Logging", package: "swift-log"),
            .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
            .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        ],
        swiftSettings: strict),
    .testTarget(
        name: "EndToEndTests",
        dependencies: [
            "PEMFixtures", "ApusBytes", "ApusModel", "ApusStorage", "ApusTSDB", "ApusMetrics", "ApusEndpoint", "ApusEndpointTLS",
            "ApusSwiftMetrics", "ApusCollectors", "ApusNIOMetrics", "ApusWebConfig", "apus", "shop-service", .product(name: "NIOPosix", package: "swift-nio"),
        ],
        swiftSettings: strict),
    .testTarget(name: "RepositoryTests", swiftSettings: strict),
]

let package = Package(
    name: "apus",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "ApusMetrics", targets: ["ApusMetrics"]),
        .library(name: "ApusEndpoint", targets: ["ApusEndpoint"]),
        .library(name: "ApusEndpointTLS", targets: ["ApusEndpointTLS", "ApusWebConfig"]),
        .library(name: "ApusSwiftMetrics", targets: ["ApusSwiftMetrics"]),
        .library(name: "ApusMetricsTesting", targets: ["ApusMetricsTesting"]),
        .library(name: "ApusSampling", targets: ["ApusSampling", "ApusStorage"]),
        .library(name: "ApusHistory", targets: ["ApusHistory"]),
        .library(name: "ApusPush", targets: ["ApusPush"]),
        .library(name: "ApusTracing", targets: ["ApusTracing"]),
        .library(name: "ApusCollectors", targets: ["ApusCollectors"]),
        .library(name: "ApusNIOMetrics", targets: ["ApusNIOMetrics"]),
        .library(name: "ApusHummingbird", targets: ["ApusHummingbird"]),
        .library(name: "ApusPromQL", targets: ["ApusPromQL"]),
        .library(name: "ApusTSDB", targets: ["ApusTSDB"]),
        // For Benchmarks and Fuzz, packages of this repository that look inside. Nothing else should depend on it.
        .library(
            name: "ApusInternals",
            targets: [
                "ApusBytes", "ApusModel", "ApusRegex", "ApusStorage", "ApusExposition", "ApusMetrics", "ApusTSDB", "ApusPromQL",
                "ApusConfig",
            ]),
        .executable(name: "apus", targets: ["apus"]),
        .executable(name: "shop-service", targets: ["shop-service"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.7.3"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: modules + programs + tests,
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .cxx17
)
