// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that nobody else resolves or builds gRPC: see docs/decisions/0009-modules-of-the-registry.md.
let package = Package(
    name: "apus-grpc",
    platforms: [.macOS(.v15)],
    products: [.library(name: "ApusGRPC", targets: ["ApusGRPC"])],
    dependencies: [
        .package(name: "apus", path: "../.."),
        .package(url: "https://github.com/grpc/grpc-swift-2", from: "2.4.3"),
    ],
    targets: [
        .target(
            name: "ApusGRPC",
            dependencies: [
                .product(name: "ApusMetrics", package: "apus"), .product(name: "GRPCCore", package: "grpc-swift-2"),
            ],
            swiftSettings: [.treatAllWarnings(as: .error)]),
        .testTarget(
            name: "ApusGRPCTests",
            dependencies: ["ApusGRPC", .product(name: "GRPCInProcessTransport", package: "grpc-swift-2")],
            swiftSettings: [.treatAllWarnings(as: .error)]),
    ],
    swiftLanguageModes: [.v6]
)
