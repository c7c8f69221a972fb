// swift-tools-version: 6.1
import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6), .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

let package = Package(
    name: "scaling-replay",
    platforms: [.macOS(.v15)],
    targets: [
        .target(name: "CloudModel", swiftSettings: settings),
        .target(name: "ScalingListener", dependencies: ["CloudModel"], swiftSettings: settings),
        .target(name: "ScalingReplay", dependencies: ["CloudModel", "ScalingListener"], swiftSettings: settings),
        .executableTarget(
            name: "scaling-replay", dependencies: ["CloudModel", "ScalingListener", "ScalingReplay"],
            swiftSettings: settings),
    ]
)
