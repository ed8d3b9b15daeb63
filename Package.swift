// swift-tools-version: 6.2
import PackageDescription

/// Every target is held to the same rules: strict concurrency (the language mode), strict memory safety, no warnings.
let strict: [SwiftSetting] = [.strictMemorySafety(), .treatAllWarnings(as: .error)]

let package = Package(
    name: "apus",
    platforms: [.macOS(.v15)],
    targets: [
        .target(name: "ApusBytes", swiftSettings: strict),
        .target(name: "ApusModel", dependencies: ["ApusBytes"], swiftSettings: strict),
        .target(name: "CRE2", linkerSettings: [.linkedLibrary("re2")]),
        .target(name: "ApusRegex", dependencies: ["ApusBytes", "CRE2"], swiftSettings: strict),
        .target(name: "ApusStorage", dependencies: ["ApusBytes", "ApusModel", "ApusRegex"], swiftSettings: strict),
        .testTarget(name: "ApusModelTests", dependencies: ["ApusModel"], swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .cxx17
)
