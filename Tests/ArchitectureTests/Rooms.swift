/// The rooms of the house and what each may import: the table that docs/architecture.md explains. An import that is not
/// here is a decision about the architecture, so it is made here first, with its reason.
struct Room: Sendable {
    /// What kind of work is done in a room.
    enum Kind: Sendable {
        /// Values and decisions: no input or output, tasks, locks, logging, ambient clock or randomness.
        case pure
        /// Unsafe or system-bound, or an adapter to one system.
        case outer
        /// C sources only.
        case shim
        /// A program: wiring in dependency order.
        case program
    }

    var name: String
    var kind: Kind
    var imports: Set<String>

    init(_ name: String, _ kind: Kind, _ imports: Set<String> = []) {
        self.name = name
        self.kind = kind
        self.imports = imports
    }
}

enum House {
    /// The mechanisms. They share values through CloudModel and never import each other.
    static let mechanisms: Set<String> = [
        "AuditMonitor", "Failover", "LoadBalancing", "PayPerUse", "ScalingListener", "VirtualInfrastructure",
    ]

    /// Adapters to one system each. They never import each other, and nothing imports them but the program.
    static let adapters: Set<String> = [
        "FencingPrograms", "HealthProbing", "HypervisorLibvirt", "ImageFiles", "LocalProcesses", "LogDatabasePostgres",
        "LogDatabaseSQLite", "Notifications", "Telemetry",
    ]

    static let rooms: [Room] = pureRooms + dataPlane + adapterRooms + controlPlane + programs

    private static let pureRooms: [Room] = [
        Room("CloudModel", .pure),
        Room("HTTP1", .pure),
        Room("ScalingListener", .pure, ["CloudModel"]),
        // History through the policies: what each would have cost and missed.
        Room("ScalingReplay", .pure, ["CloudModel", "ScalingListener"]),
        Room("PayPerUse", .pure, ["CloudModel"]),
        Room("Failover", .pure, ["CloudModel"]),
        Room("LoadBalancing", .pure, ["CloudModel"]),
        Room("VirtualInfrastructure", .pure, ["CloudModel"]),
        // The keyed tags of captured logins come from Credentials.
        Room("AuditMonitor", .pure, ["CloudModel", "Credentials", "Crypto"]),
        // Hashes and signatures: the trees that prove what the log database held.
        Room("MerkleLog", .pure, ["CloudModel", "Credentials", "Crypto"]),
        // Frames of RFC 6455, for both sides; its handshake has a hash.
        Room("WebSocketFrames", .pure, ["Credentials", "Crypto"]),
        Room(
            "CloudController", .pure,
            [
                "CloudModel", "ScalingListener", "PayPerUse", "Failover", "LoadBalancing", "AuditMonitor",
                "VirtualInfrastructure",
            ]),
        Room("CloudPorts", .outer, ["CloudModel"]),
        // Not pure: keys come from the kernel's random numbers, and secrets are wiped with the C library.
        Room("Credentials", .outer, ["CloudModel", "Crypto", "Glibc"]),
    ]

    private static let dataPlane: [Room] = [
        Room("CGateway", .shim),
        // Passes the platform from one process to the next: a channel with descriptors, and the start of a program.
        Room("CHandover", .shim),
        Room("Handover", .outer, ["CHandover", "CloudModel", "Foundation", "Glibc", "Synchronization"]),
        // HTTP/2 framing does no input or output of its own, so it fits the loop.
        Room("CNghttp2", .shim),
        // The processor's instruction for checksums, and the name of the spool's thread.
        Room("CSpool", .shim),
        Room("Spool", .outer, ["CSpool", "CloudModel", "Glibc", "Synchronization"]),
        Room(
            "Gateway", .outer,
            [
                "AuditMonitor", "CGateway", "CNghttp2", "CloudModel", "CloudPorts", "Credentials", "Glibc", "HTTP1",
                "LoadBalancing", "Logging", "PayPerUse", "ScalingListener", "Spool", "Synchronization",
            ]),
    ]

    private static let adapterRooms: [Room] = [
        Room("CLocalProcesses", .shim),
        Room(
            "LocalProcesses", .outer,
            ["CLocalProcesses", "CloudModel", "CloudPorts", "Dispatch", "Glibc", "Logging", "Synchronization"]),
        Room(
            "HealthProbing", .outer,
            ["CloudModel", "CloudPorts", "Glibc", "Logging", "NIOCore", "NIOHTTP1", "NIOPosix", "Synchronization"]),
        Room("FencingPrograms", .outer, ["CloudModel", "CloudPorts", "Foundation"]),
        Room(
            "ImageFiles", .outer,
            ["CloudModel", "CloudPorts", "Crypto", "Dispatch", "Foundation", "Glibc", "Synchronization"]),
        Room("CLibvirt", .shim),
        Room("CLibvirtRepair", .shim),
        Room(
            "HypervisorLibvirt", .outer,
            [
                "CLibvirt", "CloudModel", "CloudPorts", "Foundation", "FoundationXML", "Glibc", "Logging",
                "Synchronization",
            ]),
        Room("CCurl", .shim),
        // Syslog over TLS goes through OpenSSL as the gateway has set it up.
        Room(
            "Notifications", .outer,
            ["CCurl", "CGateway", "CloudModel", "CloudPorts", "Crypto", "Foundation", "Logging", "Synchronization"]),
        // Spans to an OpenTelemetry collector.
        Room(
            "Telemetry", .outer,
            ["CloudModel", "CloudPorts", "Foundation", "FoundationNetworking", "Logging", "Synchronization"]),
        // What the log databases have in common: texts, documents and sums as rows hold them.
        Room("LogRecords", .outer, ["CloudModel", "CloudPorts", "Foundation"]),
        Room(
            "LogDatabaseSQLite", .outer,
            [
                "CloudModel", "CloudPorts", "Foundation", "GRDB", "GRDBSQLite", "LogRecords", "Logging",
                "Synchronization",
            ]),
        Room("CPostgres", .shim),
        Room(
            "LogDatabasePostgres", .outer,
            ["CPostgres", "CloudModel", "CloudPorts", "Foundation", "Glibc", "LogRecords", "Synchronization"]),
        Room("ConfigurationFile", .outer, ["CloudModel", "Foundation", "Yams"]),
        Room("CArgon2", .shim),
        // Argon2id comes from its reference implementation; a thread of its own keeps it from the others.
        Room("Passwords", .outer, ["CArgon2", "Dispatch"]),
    ]

    private static let controlPlane: [Room] = [
        Room(
            "ControlPlane", .outer,
            [
                "AuditMonitor", "CloudController", "CloudModel", "CloudPorts", "Credentials", "Foundation", "Glibc",
                "Logging", "PayPerUse", "Spool", "Synchronization", "VirtualInfrastructure",
            ]),
        Room(
            "SealedBooks", .outer,
            ["CloudModel", "CloudPorts", "Foundation", "Logging", "MerkleLog", "Synchronization"]),
        // Reads the books and has them rated; Foundation for the time zone database and for bills as JSON. A closed
        // bill is proven by the sealed logs that it was computed from.
        Room(
            "Bookkeeping", .outer,
            [
                "CloudModel", "CloudPorts", "Credentials", "Foundation", "Logging", "MerkleLog", "PayPerUse",
                "SealedBooks", "Synchronization",
            ]),
        Room("AdministrationAPI", .outer, ["Foundation"]),
        // The web console's files, put into the program by the C compiler.
        Room("CConsole", .shim),
        Room("Console", .outer, ["CConsole"]),
        Room(
            "RemoteAdministration", .outer,
            [
                "AdministrationAPI", "AuditMonitor", "Bookkeeping", "CloudModel", "CloudPorts", "ConfigurationFile",
                "Console", "ControlPlane", "Credentials", "Foundation", "FoundationEssentials", "Glibc", "HTTPTypes",
                "Hummingbird", "HummingbirdCore", "Logging", "MerkleLog", "NIOCore", "NIOPosix", "Passwords",
                "PayPerUse",
                "ScalingListener", "ScalingReplay", "SealedBooks", "ServiceLifecycle", "Synchronization",
                "WebSocketFrames", "Yams",
            ]),
        // libcurl makes the connection of a console, with TLS: Foundation's WebSockets need a libcurl that Debian 12
        // does not have.
        Room(
            "AdministrationClient", .outer,
            [
                "AdministrationAPI", "CCurl", "Foundation", "FoundationNetworking", "Glibc", "Synchronization",
                "WebSocketFrames",
            ]),
        // Virtual time is an argument here as it is in the controller.
        // Its simulated hypervisors answer in the virtual infrastructure's terms.
        Room("SimulatedCloud", .pure, ["CloudController", "CloudModel", "CloudPorts", "VirtualInfrastructure"]),
    ]

    private static let programs: [Room] = [
        Room(
            "cloudwright", .program,
            [
                "AdministrationAPI", "AdministrationClient", "ArgumentParser", "AuditMonitor", "Bookkeeping",
                "CloudController", "CloudModel", "CloudPorts", "ConfigurationFile", "ControlPlane", "Credentials",
                "Dispatch",
                "FencingPrograms", "Foundation", "Gateway", "Glibc", "Handover", "HealthProbing", "HypervisorLibvirt",
                "ImageFiles",
                "LocalProcesses", "LogDatabasePostgres", "LogDatabaseSQLite", "LogRecords", "Logging", "MerkleLog",
                "Notifications",
                "PayPerUse",
                "RemoteAdministration", "ScalingListener", "ScalingReplay", "SealedBooks", "ServiceLifecycle",
                "SimulatedCloud", "Spool", "Synchronization", "Telemetry", "Yams",
            ]),
        // What instances run in the demo and the tests: no part of the platform, and nothing of it inside.
        Room(
            "SampleService", .program,
            ["Glibc", "NIOCore", "NIOHTTP1", "NIOPosix", "NIOWebSocket"]),
        // A consumer from outside, for tests, the demo and measurements: nothing of the platform inside.
        Room("CLoadClient", .shim),
        Room("LoadClient", .outer, ["CLoadClient", "Glibc", "Synchronization"]),
        // The mechanisms end to end, through the program, its configuration file and its public API only.
        Room(
            "Scenarios", .outer,
            [
                "AdministrationAPI", "AdministrationClient", "CloudModel", "ConfigurationFile", "Foundation", "Glibc",
                "LoadClient", "Synchronization",
            ]),
        // Shows the scenarios one after another to a person.
        Room("Tour", .program, ["ArgumentParser", "Foundation", "Glibc", "Scenarios", "Synchronization"]),
    ]

    /// Folders below Tests that belong to no single room, and what they may import besides what every test may.
    static let otherTests: [String: Set<String>] = [
        "ArchitectureTests": [],
        // The administration server on a log database of its own, for the tests of both of its sides.
        "AdministrationFixture": [
            "AdministrationAPI", "ConfigurationFile", "Credentials", "ImageFiles", "LogDatabaseSQLite", "MerkleLog",
            "RemoteAdministration", "SealedBooks",
        ],
        // The program's command line against that server.
        "CommandLineTests": [
            "AdministrationAPI", "AdministrationClient", "AdministrationFixture", "ArgumentParser",
            "ConfigurationFile", "Credentials", "LogDatabaseContract", "LogDatabasePostgres", "LogDatabaseSQLite",
            "MerkleLog", "PostgresFixture", "SealedBooks", "Yams", "cloudwright",
        ],
        // The web console in a browser, in Python; ScenarioTests runs it.
        "Browser": [],
        // What every log database has to pass.
        "CTLSPeer": [],
        "LogDatabaseContract": [],
        // A server of the tests' own.
        "PostgresFixture": [],
        "ScenarioTests": [
            "AdministrationAPI", "AdministrationClient", "ConfigurationFile", "LoadClient", "PostgresFixture",
            "Scenarios",
            // What was decided live is decided anew from the event log.
            "ScalingListener",
        ],
    ]

    /// What the tests of a room may import besides the room, the room's own imports and what every test may.
    static let testImports: [String: Set<String>] = [
        "AdministrationClient": ["AdministrationFixture"],
        // Bills are made of what a real log database holds.
        "Bookkeeping": ["GRDB", "LogDatabaseSQLite"],
        // What comes of its books is billed.
        "CloudController": ["PayPerUse"],
        "ControlPlane": ["LogDatabaseSQLite", "Notifications"],
        "Gateway": ["CTLSPeer"],
        "Notifications": ["CTLSPeer"],
        "LogDatabasePostgres": ["LogDatabaseContract", "PostgresFixture"],
        "LogDatabaseSQLite": ["LogDatabaseContract"],
        "SealedBooks": ["GRDB", "LogDatabaseContract", "LogDatabaseSQLite"],
        "RemoteAdministration": ["AdministrationClient", "AdministrationFixture", "HummingbirdTesting"],
    ]

    /// What every test may import.
    static let commonTestImports: Set<String> = [
        "CloudModel", "CloudPorts", "Dispatch", "Foundation", "FoundationNetworking", "Glibc", "Logging",
        "Synchronization", "Testing",
    ]

    /// The imports that a folder below Sources or Tests may have; nil if the folder is no room.
    static func allowedImports(folder: String, isTest: Bool) -> Set<String>? {
        if !isTest { return rooms.first { $0.name == folder }?.imports }
        if let extra = otherTests[folder] { return commonTestImports.union(extra) }
        guard folder.hasSuffix("Tests") else { return nil }
        let name = String(folder.dropLast("Tests".count))
        guard let room = rooms.first(where: { $0.name == name }) else { return nil }
        return commonTestImports.union(room.imports).union(testImports[name] ?? []).union([name])
    }

    static func isPure(_ folder: String) -> Bool {
        rooms.contains { $0.name == folder && $0.kind == .pure }
    }
}
