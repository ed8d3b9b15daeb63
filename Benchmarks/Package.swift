// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that embedding Apus never builds it. `make bench` runs it.
let package = Package(
    name: "apus-benchmarks",
    platforms: [.macOS(.v15)],
    dependencies: [.package(name: "apus", path: "..")],
    targets: [
        // A symbolic link to what the tests count with.
        .target(name: "AllocationCount"),
        .executableTarget(
            name: "apus-bench",
            dependencies: [
                "AllocationCount",
                .product(name: "ApusInternals", package: "apus"), .product(name: "ApusSwiftMetrics", package: "apus"),
            ]),
    ],
    swiftLanguageModes: [.v6]
)
