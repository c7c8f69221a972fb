import CloudModel
import Credentials
import Foundation
import Gateway
import Logging
import Spool
import Synchronization
import Testing

/// All tests with real sockets, one at a time: the machine they run on may have one processor.
@Suite(.serialized) struct GatewayTests {}

/// A gateway of its own for one test, on a free port, with its spool in a temporary directory.
final class GatewayFixture: Sendable {
    static let key = "cw_00000000_alicealicealicealicealicealiceaa000000"
    static let otherKey = "cw_00000000_bobbobbobbobbobbobbobbobbobbobbb000000"

    let gateway: Gateway
    let port: UInt16
    private let directory: String
    /// Consumers beside alice and bob, from the next `apply` on.
    let moreConsumers = Mutex<[CloudConsumer]>([])
    /// Quotas that are used up, from the next `apply` on.
    let exhausted = Mutex<[ExhaustedQuota]>([])
    private let generation = Mutex<UInt64>(0)
    private let stored = Mutex<[SpoolRecord]>([])

    init(
        listeners: [GatewayListener] = [], loops: Int = 1, limits: GatewayLimits = .init(),
        timeouts: GatewayTimeouts = .init(),
        spool: SpoolSettings = SpoolSettings(
            segmentSize: .mebibytes(1), maximumBytesPerWriter: .mebibytes(16), syncInterval: .milliseconds(5)),
        accessLog: AccessLogSettings? = nil, traces: TraceSettings? = nil
    ) throws {
        directory = NSTemporaryDirectory() + "gateway-tests-\(UUID().uuidString)"
        let configuration = GatewayConfiguration(
            name: "test", listeners: [GatewayListener(Endpoint(address: "127.0.0.1", port: 0))] + listeners,
            loops: loops,
            spoolDirectory: directory, spool: spool, auditTagKey: Array(repeating: 7, count: 32), limits: limits,
            timeouts: timeouts, accessLog: accessLog, traces: traces)
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        do {
            gateway = try Gateway(configuration: configuration, logger: logger)
            try gateway.start()
        } catch {
            try? FileManager.default.removeItem(atPath: directory)
            throw error
        }
        port = gateway.boundEndpoints[0].port
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    /// A gateway in front of these origins, as one service for every host and path that asks for no key.
    static func serving(
        _ origins: TestOrigin..., listeners: [GatewayListener] = [], loops: Int = 1, limits: GatewayLimits = .init(),
        timeouts: GatewayTimeouts = .init(), accessLog: AccessLogSettings? = nil, traces: TraceSettings? = nil,
        change: (inout CloudService) -> Void = { _ in }
    ) async throws -> GatewayFixture {
        let fixture = try GatewayFixture(
            listeners: listeners, loops: loops, limits: limits, timeouts: timeouts, accessLog: accessLog,
            traces: traces)
        var service = Self.service
        change(&service)
        await fixture.apply(service, origins.map(\.port))
        return fixture
    }

    static var service: CloudService {
        CloudService(id: "web", routes: [Route()], access: .anonymous, instances: .endpoints([]))
    }

    /// Backends are named by their ports, so that the same origin stays the same instance.
    func apply(_ service: CloudService, _ ports: [UInt16], draining: [UInt16] = []) async {
        await apply([(service, ports)], draining: draining)
    }

    func apply(_ services: [(CloudService, [UInt16])], draining: [UInt16] = []) async {
        let next = generation.withLock { generation in
            generation += 1
            return generation
        }
        await gateway.apply(
            DataPlaneSnapshot(
                generation: next,
                services: services.map { service, ports in
                    ServiceSnapshot(
                        service: service,
                        backends: ports.map { port in
                            Backend(
                                instance: InstanceID("web-\(port)"),
                                endpoint: Endpoint(address: "127.0.0.1", port: port),
                                administrative: draining.contains(port) ? .draining : .enabled, upSince: .epoch)
                        })
                },
                consumers: [
                    CloudConsumer(id: "alice", credentials: [Self.credential("a", Self.key)]),
                    CloudConsumer(id: "bob", entitlements: [], credentials: [Self.credential("b", Self.otherKey)]),
                ] + moreConsumers.withLock { $0 }, exhausted: exhausted.withLock { $0 }))
    }

    private static func credential(_ id: CredentialID, _ key: String) -> APICredential {
        APICredential(id: id, prefix: "cw_00000000", digest: KeyDigest(of: key).description)
    }

    /// The port of a listener by its number; `listeners` come after the plain one.
    func port(_ listener: Int) -> UInt16 { gateway.boundEndpoints[listener].port }

    func connect(receiveBuffer: Int32? = nil) throws -> TestSocket {
        try TestSocket(port: port, receiveBuffer: receiveBuffer)
    }

    /// One request on a connection of its own.
    func get(_ path: String = "/", fields: String = "") throws -> TestResponse {
        try connect().exchange("GET \(path) HTTP/1.1\r\nhost: web\r\n\(fields)connection: close\r\n\r\n")
    }

    // MARK: The books

    /// Reads what is new in the spool of all loops.
    private func readSpool() throws {
        gateway.spool.synchronise()
        let reader = gateway.spool.makeReader()
        var records: [SpoolRecord] = []
        for source in reader.sources {
            var after: UInt64 = 0
            while let batch = try reader.nextBatch(of: source, after: after) {
                #expect(batch.firstSequence == after + 1)
                after = batch.firstSequence + UInt64(batch.records.count) - 1
                records += batch.records
            }
        }
        stored.withLock { $0 = records }
    }

    /// All usage records so far.
    func usage() throws -> [UsageRecord] {
        try readSpool()
        return stored.withLock { $0 }.compactMap { if case .usage(let record) = $0 { record } else { nil } }
    }

    /// The usage records, as soon as there are so many; fails after ten seconds.
    func usage(count: Int) throws -> [UsageRecord] {
        try waitUntil("there are \(count) usage records") { try usage().count >= count }
        let records = try usage()
        #expect(records.count == count)
        return records
    }

    func audits() throws -> [AuditEvent] {
        try readSpool()
        return stored.withLock { $0 }.compactMap { if case .audit(let event) = $0 { event } else { nil } }
    }

    func stop(within span: TimeSpan = .seconds(5)) async {
        await gateway.drainAndStop(within: span)
        gateway.spool.close()
    }
}

/// Waits until the condition holds; fails after ten seconds.
func waitUntil(_ what: String, _ condition: () throws -> Bool) throws {
    let deadline = Date().addingTimeInterval(10)
    while try !condition() {
        guard Date() < deadline else { throw TestSocket.Failure(description: "not in ten seconds: \(what)") }
        usleep(2_000)
    }
}

/// Gives each job a thread of its own, away from the few that async code shares; the job stays its test's.
private final class ThreadExecutor: TaskExecutor {
    static let shared = ThreadExecutor()

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        Thread.detachNewThread { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}

/// Runs blocking work.
func blocking<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withTaskExecutorPreference(ThreadExecutor.shared) { try body() }
}

/// Runs the body on so many threads at once, and gives back what each gave.
func concurrently<Value: Sendable>(
    _ count: Int, _ body: @escaping @Sendable (Int) throws -> Value
) async throws -> [Value] {
    try await withThrowingTaskGroup(of: (Int, Value).self) { group in
        for index in 0..<count { group.addTask { (index, try await blocking { try body(index) }) } }
        var values: [(Int, Value)] = []
        for try await value in group { values.append(value) }
        return values.sorted { $0.0 < $1.0 }.map(\.1)
    }
}

/// Counts over threads.
final class Tally: Sendable {
    private let value = Mutex(0)
    var count: Int { value.withLock { $0 } }
    func add(_ amount: Int = 1) { value.withLock { $0 += amount } }
}
