public import CloudController
public import CloudModel
public import CloudPorts
public import Logging

/// Runs the controller: gives it events one after another, commits what it writes, then runs what it asks for.
///
/// All decisions are `CloudController`'s. This actor has what a value cannot have: the ports, the time, and the order.
/// Every producer of events waits until its event has been processed (`submit`), so the inbox is no longer than there
/// are producers: one per port, one per action under way, one per command.
public actor ControlPlane {
    public struct Configuration: Sendable {
        /// How long an instance counts as running after its last heartbeat (bounds what a lost stop can cost).
        public var lease: TimeSpan
        /// Seeds the jitter of checks and back-offs.
        public var seed: UInt64
        /// The cloud's name, by which its virtual servers are told from those of others.
        public var cloud: String

        public init(lease: TimeSpan = .seconds(60), seed: UInt64, cloud: String = "cloud") {
            self.cloud = cloud
            self.lease = lease
            self.seed = seed
        }
    }

    /// The systems that the control plane acts on.
    public struct Ports: Sendable {
        public var logDatabase: any LogDatabase
        public var instances: any InstanceDriver
        public var prober: any HealthProber
        public var dataPlane: any DataPlane
        public var notifier: any Notifier
        /// Nil where this build has no adapter to hypervisors: physical servers stay unknown, and nothing is placed.
        public var hypervisors: (any HypervisorProvider)?
        public var fencing: (any Fencing)?
        /// Nil where no other control plane can share the log database.
        public var lease: LeaseKeeper?

        public init(
            logDatabase: any LogDatabase, instances: any InstanceDriver, prober: any HealthProber,
            dataPlane: any DataPlane, notifier: any Notifier, hypervisors: (any HypervisorProvider)? = nil,
            fencing: (any Fencing)? = nil, lease: LeaseKeeper? = nil
        ) {
            self.lease = lease
            self.logDatabase = logDatabase
            self.instances = instances
            self.prober = prober
            self.dataPlane = dataPlane
            self.notifier = notifier
            self.hypervisors = hypervisors
            self.fencing = fencing
        }
    }

    struct Envelope {
        var event: ControllerEvent
        var processed: CheckedContinuation<Void, Never>?
    }

    let configurationOfPlane: Configuration
    let ports: Ports
    let links: ChangeLinks
    let clock: PlatformClock
    let logger: Logger
    let positions = PositionBroadcast()

    var controller: CloudController
    var hypervisors: [PhysicalServerID: any Hypervisor] = [:]
    /// Of the leases of hosts.
    var lastRenewal: UInt64 = 0
    /// How many connections to a host have been lost.
    var connections: [PhysicalServerID: Int] = [:]
    /// Commands to one virtual server are carried out one after another.
    var commandQueues: [VirtualServerID: CommandQueue] = [:]
    var random: SeededGenerator
    private var inbox: [Envelope] = []
    /// Processes what is in the inbox; nil where nothing is.
    private var pumping: Task<Void, Never>?
    private var deadlineTask: Task<Void, Never>?
    private var armedDeadline: Timestamp?
    private var newestSnapshot: DataPlaneSnapshot?
    private var publishing: Task<Void, Never>?
    private(set) var databaseFailure: String?
    private var isClosed = false
    /// Whether the log database's state has been taken over; commands wait for it.
    var isRecovered = false

    /// What the parts of the platform beside the control plane say of themselves: `ok`, or what is wrong.
    let healthOfAgents: @Sendable () -> [String: String]

    public init(
        configuration: Configuration, ports: Ports, links: ChangeLinks, clock: PlatformClock,
        healthOfAgents: @escaping @Sendable () -> [String: String] = { [:] }, logger: Logger
    ) {
        self.healthOfAgents = healthOfAgents
        configurationOfPlane = configuration
        controller = CloudController(cloud: configuration.cloud)
        self.ports = ports
        self.links = links
        self.clock = clock
        self.logger = logger
        random = SeededGenerator(seed: configuration.seed)
    }

    public nonisolated var logDatabase: any LogDatabase { ports.logDatabase }

    /// Gives the event to the controller and returns when its writes are committed and its actions begun. Once the
    /// control plane is closed, events come to nothing: the next start finds out by itself.
    public func submit(_ event: ControllerEvent) async {
        guard !isClosed else { return }
        await withCheckedContinuation { continuation in
            inbox.append(Envelope(event: event, processed: continuation))
            pumpIfIdle()
        }
    }

    private func pumpIfIdle() {
        guard pumping == nil, !inbox.isEmpty, !isClosed else { return }
        pumping = Task { await self.pump() }
    }

    /// Takes all that has come since the last round as one batch, so that a burst of events costs one commit.
    private func pump() async {
        while !inbox.isEmpty {
            let batch = inbox
            inbox = []
            var effects: [Effect] = []
            for envelope in batch {
                effects += controller.step(envelope.event, at: clock.now(), random: &random)
            }
            guard await commit(effects), await mayAct() else {
                for envelope in batch { envelope.processed?.resume() }
                close()
                break
            }
            for effect in effects where !effect.isWrite { run(effect) }
            for envelope in batch { envelope.processed?.resume() }
            armDeadline()
        }
        pumping = nil
    }

    /// Waits while that is not certain; false where another control plane decides.
    func mayAct() async -> Bool { await ports.lease?.mayAct() != false }

    /// Tries until it succeeds: an action whose intent is not in the log must not run (rule: intent before action).
    /// False where another control plane decides, or this one was closed.
    private func commit(_ effects: [Effect]) async -> Bool {
        let transaction = ControlTransaction(effects: effects, controller: controller)
        guard transaction != ControlTransaction() else { return true }
        var pause = TimeSpan.milliseconds(50)
        while !isClosed {
            do {
                let position = try await ports.logDatabase.commit(transaction)
                databaseFailure = nil
                positions.send(position)
                for event in transaction.events {
                    logger.info("\(event.summary)", metadata: ["kind": "\(event.kind)"])
                }
                return true
            } catch {
                databaseFailure = error.description
                if error.code == .superseded {
                    ports.lease?.lose()
                    return false
                }
                logger.error(
                    "The log database does not take a decision; trying again",
                    metadata: ["error": "\(error)", "pause_ms": "\(pause.millisecondsRoundedUp)"])
                try? await Task.sleep(for: .microseconds(pause.microseconds))
                pause = min(pause * 2, .seconds(5))
            }
        }
        // Closed meanwhile: it is not in the log.
        return false
    }

    private func run(_ effect: Effect) {
        switch effect {
        case .start(let id, let incarnation, let service):
            Task { await start(id, incarnation: incarnation, of: service) }
        case .stop(let id, let incarnation, let grace):
            Task { await ports.instances.stop(id, incarnation: incarnation, grace: grace) }
        case .probe(let id, let incarnation, let endpoint, let check):
            Task {
                let failure = await ports.prober.probe(endpoint, check)
                await submit(.probeCompleted(id, incarnation: incarnation, failure: failure))
            }
        case .publish(let snapshot):
            publish(snapshot)
        case .connect(let server): connect(server)
        case .disconnect(let host): disconnect(host)
        case .hypervisor(let host, let command): enqueue(command, to: host)
        case .fence(let host, let command):
            Task {
                guard let fencing = ports.fencing else { return }
                var failure = await fencing.fence(host, command: command)
                while failure == FencingObstacle.notPermitted {
                    guard await mayAct() else { return }
                    failure = await fencing.fence(host, command: command)
                }
                await submit(.infrastructure(.fencingEnded(host, failure: failure)))
            }
        case .record, .persist, .persistIncident, .persistConfiguration, .persistOrdinal, .persistOperation,
            .persistDemand, .lifecycle, .notify:
            preconditionFailure("writes are committed, not run")
        }
    }

    private func start(_ id: InstanceID, incarnation: Int, of service: CloudService) async {
        var failure: InstanceDriverError
        repeat {
            do {
                let started = try await ports.instances.start(id, incarnation: incarnation, of: service)
                await submit(
                    .instanceStarted(id, incarnation: incarnation, endpoint: started.endpoint, handle: started.handle))
                return
            } catch { failure = error }
            // The lease ran out between the decision and the start: it is prolonged first, or another one decides.
            guard await mayAct() else { return }
        } while failure.code == .notPermitted
        await submit(.instanceStartFailed(id, incarnation: incarnation, reason: failure.description))
    }

    /// Only the newest snapshot matters: while one is being taken by the loops, later ones replace each other.
    private func publish(_ snapshot: DataPlaneSnapshot) {
        newestSnapshot = snapshot
        guard publishing == nil else { return }
        publishing = Task {
            while let next = newestSnapshot {
                newestSnapshot = nil
                await ports.dataPlane.apply(next)
            }
            publishing = nil
        }
    }

    /// Returns when the data plane goes by what was published until now.
    public func isPublished() async { await publishing?.value }

    /// Ends this control plane with everything left as it is, instances and virtual servers included: another process
    /// goes on from the log database. What was decided is committed, and what was begun has ended, when it returns.
    public func handOver() async {
        close()
        await pumping?.value
        await closeHypervisors()
    }

    private func armDeadline() {
        guard let next = controller.nextDeadline, !isClosed else {
            deadlineTask?.cancel()
            armedDeadline = nil
            return
        }
        if let armedDeadline, armedDeadline == next { return }
        deadlineTask?.cancel()
        armedDeadline = next
        let wait = max(.zero, next - clock.now())
        deadlineTask = Task {
            // Cancelled means that another deadline was armed instead.
            guard (try? await Task.sleep(for: .microseconds(wait.microseconds))) != nil else { return }
            self.deadlineHasCome()
        }
    }

    private func deadlineHasCome() {
        armedDeadline = nil
        inbox.append(Envelope(event: .deadline, processed: nil))
        pumpIfIdle()
    }

    /// No event is processed from here on; those that wait are let go.
    func close() {
        isClosed = true
        deadlineTask?.cancel()
        for envelope in inbox { envelope.processed?.resume() }
        inbox = []
        positions.finish()
    }
}

extension ControlTransaction {
    /// The writes among the effects, in their order.
    init(effects: [Effect], controller: CloudController) {
        self.init()
        for effect in effects {
            switch effect {
            case .record(let event): events.append(event)
            case .persist(let instance): instances.append(instance)
            case .persistIncident(let incident): incidents.append(StoredIncident(incident))
            case .persistConfiguration(let new): configuration = new
            case .persistOrdinal(let service, let ordinal): ordinals[service] = ordinal
            case .persistOperation(let operation): operations.append(operation)
            case .persistDemand(let service, let place, let day):
                settings[ControlPlane.demandSetting(service, place)] = day
            case .lifecycle(let event): lifecycle.append(event)
            case .notify(let notification):
                notifications.append(
                    AddressedNotification(
                        notification: notification,
                        channels: controller.configuration.channels(for: notification.consumer)))
            case .start, .stop, .probe, .publish, .connect, .disconnect, .hypervisor, .fence: break
            }
        }
    }
}

extension CloudConfiguration {
    /// Where a notification goes: to the consumer's contacts, or to the administrators.
    func channels(for consumer: ConsumerID?) -> [NotificationChannel] {
        guard let consumer else { return administratorChannels }
        return consumers.first { $0.id == consumer }?.contacts ?? []
    }
}
