// swift-tools-version: 6.1
import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6), .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

let package = Package(
    name: "http1-parse",
    platforms: [.macOS(.v15)],
    targets: [
        .target(name: "HTTP1", swiftSettings: settings),
        .executableTarget(name: "http1-parse", dependencies: ["HTTP1"], swiftSettings: settings),
    ]
)
