import Bookkeeping
import CloudModel
import CloudPorts
import ControlPlane
import Credentials
import FencingPrograms
import Foundation
import Gateway
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
}

/// The running platform: every room, built in the order of their dependence and ended in the opposite one.
struct Platform: Sendable {
    private let options: PlatformOptions
    private let ground: Ground
    private let rooms: Rooms
    private let tasks: [Task<Void, Never>]
    private let server: Task<Void, any Error>
    private let logger: Logger

    static func start(_ options: PlatformOptions, logger: Logger) async throws -> Platform {
        let declared = try DeclaredCloud(file: options.file)
        let ground = try await Ground.open(declared.settings, options, logger: logger)
        let rooms = try Rooms(declared.settings, on: ground, logger: logger)
        try await ground.keys.record(isForced: options.adoptsKeys)
        // Everything is built. What can fail for the operator's reasons (addresses in use) comes before anything acts.
        let serving = Task { try await rooms.server.run() }
        let address = try await rooms.server.boundEndpoint()
        try rooms.gateway.start(highWaterMarks: try await highWaterMarks(of: rooms.gateway, in: ground.database))
        try await rooms.controlPlane.recover()
        try await declared.applyIfChanged(to: rooms.controlPlane, database: ground.database, logger: logger)
        let tasks = rooms.beginWork(publicURL: "http://\(address)", logger: logger)
        try announce(options, gateway: rooms.gateway, administration: address, logger: logger)
        return Platform(
            options: options, ground: ground, rooms: rooms, tasks: tasks, server: serving, logger: logger)
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
            let source = Gateway.source(gateway: gateway.configuration.name, loop: loop)
            marks[source] = try await database.highWaterMark(ofSource: source)
        }
        return marks
    }

    private struct Announcement: Codable {
        var processID: Int32
        var gateway: [String]
        var administration: String
    }

    private static func announce(
        _ options: PlatformOptions, gateway: Gateway, administration: Endpoint, logger: Logger
    ) throws {
        let announcement = Announcement(
            processID: getpid(), gateway: gateway.boundEndpoints.map(\.description),
            administration: "http://\(administration)")
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
private struct Ground: Sendable {
    let data: DataDirectory
    let clock: PlatformClock
    let driver: LocalProcessDriver
    let database: any LogDatabase
    let keys: SharedKeys
    let lease: LeaseKeeper?

    /// Waits, where another platform decides, until this one does.
    static func open(_ settings: PlatformSettings, _ options: PlatformOptions, logger: Logger) async throws -> Ground {
        let data = try DataDirectory(path: settings.dataDirectory)
        let clock = PlatformClock()
        let driver = try LocalProcessDriver(dataDirectory: data.path, logger: logger)
        let database = try await settings.logDatabase.open(in: data)
        let keys = SharedKeys(data, database, isShared: settings.logDatabase.kind == .postgres)
        if !options.adoptsKeys { try await keys.check() }
        let lease = try await settings.logDatabase.heldLease(of: database, in: data, driver: driver, logger: logger)
        try await FirstAdministrator(database: database, tokenFile: options.administratorTokenFile)
            .create(at: clock.now())
        return Ground(data: data, clock: clock, driver: driver, database: database, keys: keys, lease: lease)
    }
}

/// Every room, built and not yet at work.
private struct Rooms: Sendable {
    let gateway: Gateway
    let ingestion: SpoolIngestion
    let sealer: LogSealer
    let audit: AuditAgents
    let traces: TracePath?
    let controlPlane: ControlPlane
    let budgets: BudgetWatch
    let server: AdministrationServer

    init(_ settings: PlatformSettings, on ground: Ground, logger: Logger) throws {
        let (data, clock, database) = (ground.data, ground.clock, ground.database)
        let tagKey = try KeyFile.key(at: data.url("audit-tag.key"))
        let gateway = try Self.makeGateway(settings, data: data, tagKey: tagKey, logger: logger)
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
            traffic: { gateway.trafficFigures }, now: { clock.now() }, logger: logger)
        (self.gateway, self.ingestion, self.sealer) = (gateway, ingestion, sealer)
        (self.audit, self.traces, self.budgets) = (audit, traces, budgets)
    }

    /// What goes on until it is cancelled.
    func beginWork(publicURL: String, logger: Logger) -> [Task<Void, Never>] {
        [
            Task { await controlPlane.run(publicURL: publicURL) }, Task { await ingestion.run() },
            Task { await sealer.run() }, Task { await audit.run() }, Task { await budgets.run() },
            Task { await traces?.run() },
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
        _ settings: PlatformSettings, data: DataDirectory, tagKey: [UInt8], logger: Logger
    ) throws -> Gateway {
        try Gateway(
            configuration: GatewayConfiguration(
                name: try settings.gatewayName(in: data), listeners: settings.gateway.listeners,
                loops: settings.gateway.loops ?? ProcessInfo.processInfo.activeProcessorCount,
                spoolDirectory: data.path("spool"), auditTagKey: tagKey,
                http2: HTTP2Settings(
                    isEnabled: settings.gateway.http2Streams > 0,
                    maximumStreams: max(1, settings.gateway.http2Streams)),
                accessLog: settings.gateway.accessLog, traces: settings.traces),
            logger: logger)
    }
}

/// What a part says of itself that is made after those who ask it.
private final class LateHealth: Sendable {
    private let check = Mutex<@Sendable () -> String>({ "ok" })

    var text: String { check.withLock { $0 }() }
    func set(_ check: @escaping @Sendable () -> String) { self.check.withLock { $0 = check } }
}
