// swift-tools-version: 6.1
import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6), .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

let package = Package(
    name: "placement-plan",
    platforms: [.macOS(.v15)],
    targets: [
        .target(name: "CloudModel", swiftSettings: settings),
        .target(name: "VirtualInfrastructure", dependencies: ["CloudModel"], swiftSettings: settings),
        .executableTarget(
            name: "placement-plan", dependencies: ["CloudModel", "VirtualInfrastructure"], swiftSettings: settings,
            linkerSettings: [.linkedLibrary("m")]),
    ]
)
