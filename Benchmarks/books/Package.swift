// swift-tools-version: 6.1
import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6), .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")

func room(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

let package = Package(
    name: "books-benchmark",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    ],
    targets: [
        room("CloudModel"),
        room("CloudPorts", ["CloudModel"]),
        room("Credentials", ["CloudModel", crypto]),
        .target(name: "CSpool"),
        room("Spool", ["CSpool", "CloudModel"]),
        room("SpoolIngestion", ["CloudModel", "CloudPorts", "Spool", logging]),
        room("LogRecords", ["CloudModel", "CloudPorts"]),
        room("LogDatabaseSQLite", ["CloudModel", "CloudPorts", "LogRecords", grdb]),
        .systemLibrary(name: "CPostgres", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        room("LogDatabasePostgres", ["CPostgres", "CloudModel", "CloudPorts", "LogRecords"]),
        room("PostgresFixture"),
        room("MerkleLog", ["CloudModel", "Credentials", crypto]),
        room("SealedBooks", ["CloudModel", "CloudPorts", "MerkleLog", logging]),
        room("PayPerUse", ["CloudModel"]),
        room(
            "Bookkeeping",
            ["CloudModel", "CloudPorts", "Credentials", "MerkleLog", "PayPerUse", "SealedBooks", logging]),
        .executableTarget(
            name: "books-benchmark",
            dependencies: [
                "Bookkeeping", "CloudModel", "CloudPorts", "LogDatabasePostgres", "LogDatabaseSQLite", "MerkleLog",
                "PayPerUse", "PostgresFixture", "SealedBooks", "Spool", "SpoolIngestion", logging,
            ], swiftSettings: settings),
    ]
)
