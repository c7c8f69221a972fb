// swift-tools-version: 6.1
import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6), .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let hummingbirdCore = Target.Dependency.product(name: "HummingbirdCore", package: "hummingbird")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let nio = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioWebSocket = Target.Dependency.product(name: "NIOWebSocket", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

func room(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func program(_ name: String, _ path: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(name: name, dependencies: dependencies, path: "Sources/\(path)", swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: settings)
}

let package = Package(
    name: "cloudwright",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "cloudwright", targets: ["cloudwright"]),
        .executable(name: "sample-service", targets: ["sample-service"]),
        .executable(name: "tour", targets: ["tour"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // The model, the mechanisms and their composition: pure.
        room("CloudModel"),
        room("HTTP1"),
        room("LoadBalancing", ["CloudModel"]),
        room("ScalingListener", ["CloudModel"]),
        room("ScalingReplay", ["CloudModel", "ScalingListener"]),
        room("PayPerUse", ["CloudModel"]),
        room("Failover", ["CloudModel"]),
        room("Credentials", ["CloudModel", crypto]),
        room("AuditMonitor", ["CloudModel", "Credentials"]),
        room("WebSocketFrames", ["Credentials", crypto]),
        room("MerkleLog", ["CloudModel", "Credentials", crypto]),
        room("VirtualInfrastructure", ["CloudModel"]),
        room("CloudController", ["CloudModel", "ScalingListener", "Failover", "VirtualInfrastructure"]),
        room("SimulatedCloud", ["CloudController", "CloudModel", "VirtualInfrastructure"]),

        // The ports and what is behind them.
        room("CloudPorts", ["CloudModel"]),
        .target(name: "CGateway", linkerSettings: [.linkedLibrary("ssl"), .linkedLibrary("crypto")]),
        .systemLibrary(name: "CNghttp2", pkgConfig: "libnghttp2", providers: [.apt(["libnghttp2-dev"])]),
        room(
            "Gateway",
            [
                "CGateway", "CNghttp2", "CloudModel", "CloudPorts", "HTTP1", "LoadBalancing", "ScalingListener",
                "AuditMonitor", "Credentials", "Spool", logging,
            ]),
        .target(name: "CSpool"),
        room("Spool", ["CSpool", "CloudModel"]),
        .target(name: "CHandover"),
        room("Handover", ["CHandover", "CloudModel"]),
        .target(name: "CLocalProcesses"),
        room("LocalProcesses", ["CLocalProcesses", "CloudModel", "CloudPorts", logging]),
        .systemLibrary(name: "CLibvirt", pkgConfig: "libvirt", providers: [.apt(["libvirt-dev"])]),
        .target(name: "CLibvirtRepair"),
        room("HypervisorLibvirt", ["CLibvirt", "CLibvirtRepair", "CloudModel", "CloudPorts", logging]),
        room("ImageFiles", ["CloudModel", "CloudPorts", crypto]),
        room("HealthProbing", ["CloudModel", "CloudPorts", nio, nioPosix]),
        room("FencingPrograms", ["CloudModel", "CloudPorts"]),
        room("LogRecords", ["CloudModel", "CloudPorts"]),
        room("LogDatabaseSQLite", ["CloudModel", "CloudPorts", "LogRecords", grdb]),
        .systemLibrary(name: "CPostgres", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        room("LogDatabasePostgres", ["CPostgres", "CloudModel", "CloudPorts", "LogRecords"]),
        .target(
            name: "LogDatabaseContract", dependencies: ["CloudModel", "CloudPorts"], path: "Tests/LogDatabaseContract",
            swiftSettings: settings),
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        room("Notifications", ["CCurl", "CGateway", "CloudModel", "CloudPorts", crypto, logging]),

        // Spans to a collector.
        room("Telemetry", ["CloudModel", "CloudPorts", logging]),
        .systemLibrary(name: "CArgon2", pkgConfig: "libargon2", providers: [.apt(["libargon2-dev"])]),
        room("Passwords", ["CArgon2"]),

        // The control plane and its administration.
        room(
            "ControlPlane",
            [
                "AuditMonitor", "CloudController", "CloudModel", "CloudPorts", "Credentials", "Notifications", "Spool",
                "VirtualInfrastructure", logging,
            ]),
        room("SealedBooks", ["CloudModel", "CloudPorts", "MerkleLog", logging]),
        room(
            "Bookkeeping",
            ["CloudModel", "CloudPorts", "Credentials", "MerkleLog", "PayPerUse", "SealedBooks", logging]),
        room("ConfigurationFile", ["CloudModel", yams]),
        room("AdministrationAPI"),
        room("AdministrationClient", ["AdministrationAPI", "CCurl", "WebSocketFrames"]),
        .target(name: "CConsole", exclude: ["assets"]),
        room("Console", ["CConsole"]),
        room(
            "RemoteAdministration",
            [
                "AdministrationAPI", "AuditMonitor", "Bookkeeping", "CloudModel", "CloudPorts", "ConfigurationFile",
                "Console",
                "Credentials", "MerkleLog", "Passwords", "PayPerUse", "ScalingListener", "ScalingReplay",
                "SealedBooks", hummingbird, hummingbirdCore, httpTypes, nio, nioPosix, lifecycle, logging, yams,
                "WebSocketFrames",
            ]),

        // The programs.
        program(
            "cloudwright", "cloudwright",
            [
                "AdministrationAPI", "AdministrationClient", "Bookkeeping", "CloudModel", "CloudPorts",
                "ConfigurationFile", "ControlPlane", "Credentials", "FencingPrograms", "Gateway", "HealthProbing",
                "HypervisorLibvirt", "ImageFiles",
                "Handover", "LocalProcesses", "LogDatabasePostgres", "LogDatabaseSQLite", "LogRecords", "MerkleLog",
                "Notifications",
                "RemoteAdministration",
                "ScalingListener", "ScalingReplay", "SealedBooks", "SimulatedCloud", "Spool", "Telemetry",
                argumentParser, logging, yams,
            ]),
        program("sample-service", "SampleService", [nio, nioPosix, nioHTTP1, nioWebSocket]),
        .target(name: "CLoadClient"),
        room("LoadClient", ["CLoadClient"]),
        room(
            "Scenarios",
            ["AdministrationAPI", "AdministrationClient", "CloudModel", "ConfigurationFile", "LoadClient"]),
        program("tour", "Tour", ["Scenarios", argumentParser]),

        tests("ArchitectureTests", []),
        tests("CloudModelTests", ["CloudModel"]),
        tests("HTTP1Tests", ["HTTP1"]),
        tests("LoadBalancingTests", ["LoadBalancing", "CloudModel"]),
        tests("ScalingListenerTests", ["ScalingListener", "CloudModel"]),
        tests("ScalingReplayTests", ["ScalingReplay", "ScalingListener", "CloudModel"]),
        tests("PayPerUseTests", ["PayPerUse", "CloudModel"]),
        tests("FailoverTests", ["Failover", "CloudModel"]),
        tests("VirtualInfrastructureTests", ["VirtualInfrastructure", "CloudModel"]),
        tests("CredentialsTests", ["Credentials", "CloudModel"]),
        tests("MerkleLogTests", ["MerkleLog", crypto]),
        tests("WebSocketFramesTests", ["WebSocketFrames"]),
        tests("AuditMonitorTests", ["AuditMonitor", "Credentials", "CloudModel"]),
        tests("CloudControllerTests", ["CloudController", "CloudModel", "PayPerUse"]),
        tests("SimulatedCloudTests", ["SimulatedCloud", "CloudController", "CloudModel"]),
        tests(
            "GatewayTests",
            [
                "CGateway", "CTLSPeer", "Gateway", "CNghttp2", "CloudModel", "CloudPorts", "Credentials", "HTTP1",
                "LoadBalancing", "ScalingListener", "AuditMonitor", "Spool", logging,
            ]),
        .target(
            name: "CTLSPeer", path: "Tests/CTLSPeer",
            linkerSettings: [.linkedLibrary("ssl"), .linkedLibrary("crypto")]),
        tests("SpoolTests", ["Spool", "CloudModel"]),
        tests("HandoverTests", ["CHandover", "CloudModel", "Handover"]),
        tests("LocalProcessesTests", ["LocalProcesses", "CloudModel", "CloudPorts", logging]),
        tests("FencingProgramsTests", ["FencingPrograms", "CloudModel", "CloudPorts"]),
        tests("HypervisorLibvirtTests", ["HypervisorLibvirt", "CloudModel", "CloudPorts", logging]),
        tests("ImageFilesTests", ["ImageFiles", "CloudModel", "CloudPorts"]),
        tests("HealthProbingTests", ["HealthProbing", "CloudModel", "CloudPorts"]),
        .testTarget(
            name: "LogDatabaseSQLiteTests",
            dependencies: ["LogDatabaseSQLite", "LogDatabaseContract", "CloudModel", "CloudPorts", grdb],
            exclude: ["Golden"], swiftSettings: settings),
        .target(name: "PostgresFixture", path: "Tests/PostgresFixture", swiftSettings: settings),
        tests(
            "LogDatabasePostgresTests",
            ["CloudModel", "CloudPorts", "LogDatabaseContract", "LogDatabasePostgres", "PostgresFixture"]),
        tests(
            "SealedBooksTests",
            [
                "SealedBooks", "MerkleLog", "CloudModel", "CloudPorts", "LogDatabaseContract", "LogDatabaseSQLite",
                grdb,
                logging,
            ]),
        tests(
            "BookkeepingTests",
            [
                "Bookkeeping", "CloudModel", "CloudPorts", "LogDatabaseSQLite", "MerkleLog", "PayPerUse",
                "SealedBooks", grdb, logging,
            ]),
        tests("TelemetryTests", ["Telemetry", "CloudModel", "CloudPorts", logging]),
        tests("NotificationsTests", ["CTLSPeer", "Notifications", "CloudModel", "CloudPorts", crypto, logging]),
        tests(
            "ControlPlaneTests",
            [
                "AuditMonitor", "CloudModel", "CloudPorts", "ControlPlane", "LogDatabaseSQLite", "Notifications",
                "Spool", logging,
            ]),
        tests("ConfigurationFileTests", ["ConfigurationFile", "CloudModel"]),
        .target(
            name: "AdministrationFixture",
            dependencies: [
                "AdministrationAPI", "CloudModel", "CloudPorts", "ConfigurationFile", "Credentials", "ImageFiles",
                "LogDatabaseSQLite", "MerkleLog", "RemoteAdministration", "SealedBooks", logging,
            ], path: "Tests/AdministrationFixture", swiftSettings: settings),
        tests("PasswordsTests", ["Passwords"]),
        tests("ConsoleTests", ["Console"]),
        tests("AdministrationAPITests", ["AdministrationAPI"]),
        tests("AdministrationClientTests", ["AdministrationAPI", "AdministrationClient", "AdministrationFixture"]),
        tests(
            "RemoteAdministrationTests",
            [
                "AdministrationFixture", "ConfigurationFile", "RemoteAdministration", "AdministrationAPI",
                "AdministrationClient", "CloudModel", "CloudPorts", "Console", "Credentials", "LogDatabaseSQLite",
                "PayPerUse", "WebSocketFrames",
                logging,
            ]),
        tests(
            "CommandLineTests",
            [
                "AdministrationAPI", "AdministrationFixture", "CloudModel", "CloudPorts", "ConfigurationFile",
                "LogDatabaseContract", "LogDatabasePostgres", "LogDatabaseSQLite", "MerkleLog", "PostgresFixture",
                "SealedBooks", "cloudwright", logging,
            ]),
        tests("LoadClientTests", ["LoadClient"]),
        tests(
            "ScenarioTests",
            [
                "Scenarios", "AdministrationAPI", "AdministrationClient", "LoadClient", "CloudModel",
                "ConfigurationFile", "PostgresFixture", "ScalingListener", "cloudwright", "sample-service",
            ]),
    ]
)
