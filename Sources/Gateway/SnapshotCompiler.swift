import AuditMonitor
import CGateway
import CloudModel
import LoadBalancing

/// Makes compiled snapshots, and keeps what lasts from one to the next: the gates with all that they count, and the
/// numbers of services and consumers.
struct SnapshotCompiler: Sendable {
    private(set) var current: CompiledSnapshot
    private var registry = ConsumerRegistry()
    private let hash: SipHash
    private var services: [ServiceID: Known] = [:]
    /// The generation of the last snapshot; nil before the first.
    private var generation: UInt64?
    private var seeds = RequestIDGenerator()
    /// Told what a service asks for and cannot have, and why.
    private let warn: @Sendable (ServiceID, GatewayError) -> Void

    private struct Known: Sendable {
        var number: Int
        var gate: ServiceGate
        var name: StableBytes
        var last: ServiceSnapshot
        var tls = InstanceContext()
        var accepting = ServiceAccepting()
    }

    private let loops: Int
    private let backlog: Int32
    private let inherited: SocketSource

    init(
        loops: Int, backlog: Int32, inherited: @escaping SocketSource,
        warn: @escaping @Sendable (ServiceID, GatewayError) -> Void
    ) {
        self.loops = loops
        self.inherited = inherited
        self.backlog = backlog
        self.warn = warn
        var random = SystemRandomNumberGenerator()
        hash = SipHash(using: &random)
        let empty = DataPlaneSnapshot(generation: 0, services: [], consumers: [])
        current = CompiledSnapshot(
            generation: 0, routes: RouteTable(routes: []),
            consumers: ConsumerTable(snapshot: empty, registry: &registry, hash: hash),
            names: ConsumerNames(registry.consumers, extending: nil), services: [], removed: [])
    }

    /// By number.
    var serviceNumbers: [(id: ServiceID, number: Int)] {
        services.map { (id: $0.key, number: $0.value.number) }.sorted { $0.number < $1.number }
    }

    /// Nil where the snapshot is not newer than the last one.
    ///
    /// - Parameter deliver: given the number of the service and how the wait of one of its requests ended.
    mutating func compile(
        _ snapshot: DataPlaneSnapshot, now: Timestamp, deliver: @escaping @Sendable (Int, WaitEnd) -> Void
    ) -> CompiledSnapshot? {
        if let generation, snapshot.generation <= generation { return nil }
        generation = snapshot.generation
        var removed: [RemovedBackends] = []
        var compiled: [CompiledService] = []
        for service in snapshot.services {
            let known = take(service, now: now, removed: &removed, deliver: deliver)
            compiled.append(
                CompiledService(
                    number: known.number, id: service.service.id, gate: known.gate, name: known.name,
                    settings: LoopServiceSettings(service.service), tlsContext: known.tls.context,
                    accepting: known.accepting,
                    loginRules: LoginRules(service.service.loginRules)))
        }
        retire(except: Set(snapshot.services.map(\.service.id)), now: now, removed: &removed)
        let consumers = ConsumerTable(snapshot: snapshot, registry: &registry, hash: hash)
        current = CompiledSnapshot(
            generation: snapshot.generation, routes: RouteTable(routes: snapshot.services.map(\.service.routes)),
            consumers: consumers, names: ConsumerNames(registry.consumers, extending: current.names),
            services: compiled, removed: removed)
        return current
    }

    private mutating func take(
        _ snapshot: ServiceSnapshot, now: Timestamp, removed: inout [RemovedBackends],
        deliver: @escaping @Sendable (Int, WaitEnd) -> Void
    ) -> Known {
        let id = snapshot.service.id
        if var known = services[id] {
            known.last = snapshot
            update(&known, to: snapshot.service)
            services[id] = known
            let changes = known.gate.apply(snapshot, now: now)
            if !changes.removed.isEmpty {
                removed.append(RemovedBackends(service: known.number, backends: changes.removed))
            }
            return known
        }
        let number = services.count
        let gate = ServiceGate(snapshot, seed: seeds.next(), now: now) { deliver(number, $0) }
        var known = Known(number: number, gate: gate, name: StableBytes(id.rawValue), last: snapshot)
        update(&known, to: snapshot.service)
        services[id] = known
        return known
    }

    private func update(_ known: inout Known, to service: CloudService) {
        let isTCP = service.tcp != nil
        known.tls.update(
            to: service.gateway.tls, protocols: isTCP ? [] : ["http/1.1"], of: service.id, warn: warn)
        known.accepting.update(
            to: service.tcp?.listener, of: service.id, loops: loops, backlog: backlog,
            isOurs: { endpoint in
                // The loops may still be at the former snapshot's.
                services.values.contains { $0.accepting.listener?.settings.endpoint == endpoint }
                    || current.services.contains { $0.accepting.listener?.settings.endpoint == endpoint }
            }, inherited: inherited, warn: { warn(service.id, $0) })
    }

    /// The listening sockets of the services of TCP, of each the loops' in their order; for the next process.
    var sockets: [(name: String, descriptor: Int32)] {
        services.sorted { $0.key < $1.key }.compactMap(\.value.accepting.listener).flatMap(\.sockets)
    }

    /// Where the services of TCP listen, with the ports that were taken for port 0.
    var servicePorts: [ServiceID: UInt16] { services.compactMapValues { $0.accepting.listener?.port } }

    /// A service that is gone keeps its number and gate, since requests of it may be in flight; it loses its backends.
    private mutating func retire(except present: Set<ServiceID>, now: Timestamp, removed: inout [RemovedBackends]) {
        for id in services.keys.sorted() where !present.contains(id) {
            guard var known = services[id] else { continue }
            known.accepting = ServiceAccepting()
            defer { services[id] = known }
            guard !known.last.backends.isEmpty else { continue }
            known.last.backends = []
            let changes = known.gate.apply(known.last, now: now)
            if !changes.removed.isEmpty {
                removed.append(RemovedBackends(service: known.number, backends: changes.removed))
            }
        }
    }
}
