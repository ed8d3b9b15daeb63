// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that embedding Apus never builds it. `scripts/fuzz` builds it with libFuzzer's instrumentation.
let package = Package(
    name: "apus-fuzz",
    platforms: [.macOS(.v15)],
    dependencies: [.package(name: "apus", path: "..")],
    targets: [
        .target(name: "CFuzzDriver"),
        .executableTarget(
            name: "apus-fuzz",
            dependencies: [
                "CFuzzDriver",
                .product(name: "ApusInternals", package: "apus"),
            ]),
    ],
    swiftLanguageModes: [.v6]
)
