import Bookkeeping
import CloudModel
import CloudPorts
import ControlPlane
import Credentials
import FencingPrograms
import Foundation
import Gateway
import Handover
import HealthProbing
import HypervisorLibvirt
import ImageFiles
import LocalProcesses
import Logging
import MerkleLog
import Notifications
import RemoteAdministration
import SealedBooks
import Spool
import Synchronization

struct PlatformOptions: Sendable {
    var file: URL
    var announce: URL?
    var administratorTokenFile: URL?
    var drainLimit: TimeSpan
    var adoptsKeys = false
    /// How long an upgraded process may go on with what is under way when its successor serves.
    var upgradeDrainLimit: TimeSpan
}

/// The running platform: every room, built in the order of their dependence and ended in the opposite one.
struct Platform: Sendable {
    let options: PlatformOptions
    let ground: Ground
    let rooms: Rooms
    let tasks: [Task<Void, Never>]
    let server: Task<Void, any Error>
    let administration: Endpoint
    let logger: Logger

    /// - Parameter predecessor: the process that serves now, where this one takes over from it.
    static func start(
        _ options: PlatformOptions, takingOverFrom predecessor: Predecessor? = nil, logger: Logger
    ) async throws -> Platform {
        do {
            let declared = try DeclaredCloud(file: options.file)
            if let predecessor {
                let sockets = try await predecessor.takeOver()
                defer { sockets.closeRest() }
                let platform = try await start(declared, options, inheriting: sockets, logger: logger)
                platform.tellOthers(predecessor)
                try platform.announce()
                return platform
            }
            let platform = try await start(declared, options, inheriting: HandedSockets(), logger: logger)
            try platform.announce()
            return platform
        } catch {
            predecessor?.refuse("\(error)")
            throw error
        }
    }

    private static func start(
        _ declared: DeclaredCloud, _ options: PlatformOptions, inheriting sockets: HandedSockets, logger: Logger
    ) async throws -> Platform {
        let ground = try await Ground.open(
            declared.settings, options, from: sockets.wereGiven ? getppid() : nil, logger: logger)
        let rooms = try Rooms(declared.settings, on: ground, inheriting: sockets, logger: logger)
        try await ground.keys.record(isForced: options.adoptsKeys)
        // Everything is built. What can fail for the operator's reasons (addresses in use) comes before anything acts.
        let serving = Task { try await rooms.server.run() }
        let address = try await rooms.server.boundEndpoint()
        let marks = try await highWaterMarks(of: rooms.gateway, in: ground.database)
        // Where another process still serves, requests are taken from it once it is known where they go.
        let isSuccessor = sockets.wereGiven
        if !isSuccessor { try rooms.gateway.start(highWaterMarks: marks) }
        try await rooms.controlPlane.recover()
        try await declared.applyIfChanged(to: rooms.controlPlane, database: ground.database, logger: logger)
        let tasks = rooms.beginWork(publicURL: "http://\(address)", logger: logger)
        if isSuccessor {
            await rooms.controlPlane.isPublished()
            try rooms.gateway.start(highWaterMarks: marks)
        }
        return Platform(
            options: options, ground: ground, rooms: rooms, tasks: tasks, server: serving, administration: address,
            logger: logger)
    }

    /// Finishes requests, stops the instances, stores what is spooled, and closes the log database.
    func stop() async {
        await rooms.gateway.drainAndStop(within: options.drainLimit)
        await rooms.controlPlane.shutDown(within: options.drainLimit)
        server.cancel()
        _ = await server.result
        for task in tasks { task.cancel() }
        for task in tasks { await task.value }
        await rooms.ingestion.drain()
        await rooms.predecessors.carryWhatIsFree()
        await rooms.sealer.seal()
        rooms.gateway.spool.close()
        await ground.driver.close()
        await ground.lease?.release()
        await ground.database.close()
        logger.notice("Stopped")
    }

    /// SIGHUP: the access log's file has been moved away, and certificates are read again, whether changed or not.
    func reload() {
        rooms.gateway.reopenAccessLog()
        CertificateWatch(gateway: rooms.gateway, logger: logger).reload(onlyIfChanged: false)
    }

    private static func highWaterMarks(
        of gateway: Gateway, in database: any LogDatabase
    ) async throws -> [String: UInt64] {
        var marks: [String: UInt64] = [:]
        for loop in 0..<gateway.configuration.loops {
            let source = gateway.configuration.source(ofLoop: loop)
            marks[source] = try await database.highWaterMark(ofSource: source)
        }
        return marks
    }

    /// Writes where the platform is reached to the announce file, where there is to be one.
    func announce(refusedUpgrade reason: String? = nil) throws {
        let announcement = Announcement(
            processID: getpid(), gateway: rooms.gateway.boundEndpoints.map(\.description),
            administration: "http://\(administration)",
            refusedUpgrade: reason.map { Announcement.RefusedUpgrade(reason: $0, at: .now) })
        logger.notice(
            "Serving",
            metadata: [
                "gateway": "\(announcement.gateway.joined(separator: ", "))",
                "administration": "\(announcement.administration)",
            ])
        guard let file = options.announce else { return }
        try JSONEncoder().encode(announcement).write(to: file, options: .atomic)
    }
}

/// What every other room stands on.
struct Ground: Sendable {
    let data: DataDirectory
    let clock: PlatformClock
    let driver: LocalProcessDriver
    let database: any LogDatabase
    let keys: SharedKeys
    let lease: LeaseKeeper?

    /// Waits, where another platform decides, until this one does.
    /// - Parameter predecessor: the process that passes everything on to this one.
    static func open(
        _ settings: PlatformSettings, _ options: PlatformOptions, from predecessor: Int32?, logger: Logger
    ) async throws -> Ground {
        let data = try DataDirectory(path: settings.dataDirectory)
        let clock = PlatformClock()
        let driver = try LocalProcessDriver(dataDirectory: data.path, logger: logger)
        let database = try await settings.logDatabase.open(in: data)
        let keys = SharedKeys(data, database, isShared: settings.logDatabase.kind == .postgres)
        if !options.adoptsKeys { try await keys.check() }
        let lease = try await settings.logDatabase.heldLease(
            of: database, in: data, from: predecessor, driver: driver, logger: logger)
        try await FirstAdministrator(database: database, tokenFile: options.administratorTokenFile)
            .create(at: clock.now())
        return Ground(data: data, clock: clock, driver: driver, database: database, keys: keys, lease: lease)
    }
}

/// Every room, built and not yet at work.
struct Rooms: Sendable {
    let gateway: Gateway
    let ingestion: SpoolIngestion
    let predecessors: PredecessorSpools
    let sealer: LogSealer
    let audit: AuditAgents
    let traces: TracePath?
    let controlPlane: ControlPlane
    let budgets: BudgetWatch
    let server: AdministrationServer

    init(
        _ settings: PlatformSettings, on ground: Ground, inheriting sockets: HandedSockets, logger: Logger
    ) throws {
        let (data, clock, database) = (ground.data, ground.clock, ground.database)
        let tagKey = try KeyFile.key(at: data.url("audit-tag.key"))
        let places = try SpoolPlaces(in: data)
        let gateway = try Self.makeGateway(
            settings, data: data, spool: places, tagKey: tagKey, inheriting: sockets, logger: logger)
        predecessors = PredecessorSpools(places: places, database: database, logger: logger)
        let ingestion = SpoolIngestion(spool: gateway.spool, database: database, logger: logger)
        let signer = try CheckpointSigner(name: settings.name, seed: try KeyFile.key(at: data.url("seal.key")))
        let sealer = LogSealer(
            database: database, signer: signer, witness: settings.witnessFile.map { URL(fileURLWithPath: $0) },
            now: { clock.now() }, logger: logger)
        let audit = AuditAgents(settings, database: database, clock: clock, logger: logger)
        let traces = try TracePath(settings, gateway: gateway, database: database, clock: clock, logger: logger)
        let budgetHealth = LateHealth()
        controlPlane = ControlPlane(
            configuration: ControlPlane.Configuration(
                lease: settings.instanceLease, seed: UInt64.random(in: 0...UInt64.max), cloud: settings.name),
            ports: Self.makePorts(settings, ground, gateway, logger: logger),
            links: ChangeLinks(key: try KeyFile.key(at: data.url("change-link.key"))), clock: clock,
            healthOfAgents: {
                audit.health.merging([
                    "usage-ingestion": ingestion.health, "seals": sealer.health, "budgets": budgetHealth.text,
                ]) { $1 }
            }, logger: logger)
        let budgets = Self.makeBudgetWatch(settings, controlPlane, sealer: sealer, clock: clock, logger: logger)
        budgetHealth.set { budgets.health }
        server = AdministrationServer(
            administration: controlPlane,
            settings: AdministrationServer.Settings(
                address: settings.administration, platform: settings, version: Cloudwright.configuration.version),
            tagger: SecretTagger(key: tagKey),
            secrets: SecretBox(key: try KeyFile.key(at: data.url("second-factor.key"))), seals: signer.verifier,
            sealNow: { try await sealer.sealNow() }, images: try settings.imageDirectory.map(ImageFolder.init(path:)),
            metrics: {
                PlatformMetrics(
                    gateway: gateway.statistics, traffic: gateway.trafficFigures, spool: gateway.spool,
                    ingestion: ingestion, traces: traces?.totals
                ).text
            },
            traffic: { gateway.trafficFigures }, now: { clock.now() },
            inherited: sockets.take(AdministrationServer.socketName(settings.administration)), logger: logger)
        (self.gateway, self.ingestion, self.sealer) = (gateway, ingestion, sealer)
        (self.audit, self.traces, self.budgets) = (audit, traces, budgets)
    }

    /// What goes on until it is cancelled.
    func beginWork(publicURL: String, logger: Logger) -> [Task<Void, Never>] {
        [
            Task { await controlPlane.run(publicURL: publicURL) }, Task { await ingestion.run() },
            Task { await sealer.run() }, Task { await audit.run() }, Task { await budgets.run() },
            Task { await traces?.run() }, Task { await predecessors.run() },
            Task { await CertificateWatch(gateway: gateway, logger: logger).run() },
        ]
    }

    private static func makeBudgetWatch(
        _ settings: PlatformSettings, _ controlPlane: ControlPlane, sealer: LogSealer, clock: PlatformClock,
        logger: Logger
    ) -> BudgetWatch {
        BudgetWatch(
            desk: BillingDesk(
                database: controlPlane.logDatabase, configuration: { await controlPlane.configuration() },
                lease: settings.instanceLease, seal: { try await sealer.sealNow() }, now: { clock.now() }),
            exhausted: { await controlPlane.submit(.quotasExhausted($0)) }, logger: logger)
    }

    private static func makePorts(
        _ settings: PlatformSettings, _ ground: Ground, _ gateway: Gateway, logger: Logger
    ) -> ControlPlane.Ports {
        let fence: any ActionFence = ground.lease?.fence ?? NoActionFence()
        return ControlPlane.Ports(
            logDatabase: ground.database, instances: ground.driver, prober: HealthProbes(), dataPlane: gateway,
            notifier: NotificationDelivery(relay: settings.mailRelay, logger: logger),
            hypervisors: LibvirtProvider(logger: logger, fence: fence), fencing: FencingProgram(permission: fence),
            lease: ground.lease)
    }

    private static func makeGateway(
        _ settings: PlatformSettings, data: DataDirectory, spool: SpoolPlaces, tagKey: [UInt8],
        inheriting sockets: HandedSockets, logger: Logger
    ) throws -> Gateway {
        let name = try settings.gatewayName(in: data)
        return try Gateway(
            configuration: GatewayConfiguration(
                name: name, listeners: settings.gateway.listeners,
                loops: settings.gateway.loops ?? ProcessInfo.processInfo.activeProcessorCount,
                spoolDirectory: spool.path, auditTagKey: tagKey,
                http2: HTTP2Settings(
                    isEnabled: settings.gateway.http2Streams > 0,
                    maximumStreams: max(1, settings.gateway.http2Streams)),
                accessLog: settings.gateway.accessLog, traces: settings.traces,
                recordSource: spool.source(ofGateway: name)),
            inherited: { sockets.take($0) }, logger: logger)
    }
}

/// What a part says of itself that is made after those who ask it.
private final class LateHealth: Sendable {
    private let check = Mutex<@Sendable () -> String>({ "ok" })

    var text: String { check.withLock { $0 }() }
    func set(_ check: @escaping @Sendable () -> String) { self.check.withLock { $0 = check } }
}
