// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that embedding Apus never builds it. `scripts/fuzz` builds it with libFuzzer's instrumentation.
let package = Package(
    name: "apus-fuzz",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(name: "apus", path: ".."),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    ],
    targets: [
        .target(name: "CFuzzDriver"),
        .executableTarget(
            name: "apus-fuzz",
            dependencies: [
                "CFuzzDriver",
                .product(name: "ApusInternals", package: "apus"),
                .product(name: "ApusEndpoint", package: "apus"),
                .product(name: "ApusEndpointTLS", package: "apus"),
                .product(name: "ApusPush", package: "apus"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ]),
    ],
    swiftLanguageModes: [.v6]
)
