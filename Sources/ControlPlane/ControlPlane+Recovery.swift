import CloudController
public import CloudModel
public import CloudPorts

extension ControlPlane {
    /// Goes on from what the log database knows: first what is stored, then what still runs, then what was left undone.
    ///
    /// An instance that ended while nobody watched is billed until its last heartbeat plus the lease, and its end is
    /// marked as inferred.
    public func recover() async throws(LogDatabaseError) {
        let stored = try await ports.logDatabase.recoveredState()
        let configuration = stored.configuration ?? CloudConfiguration()
        var incidents: [Incident] = []
        for incident in stored.incidents {
            do { incidents.append(try incident.incident()) } catch {
                throw LogDatabaseError(.corrupted, "incident \(incident.id) cannot be read: \(error)")
            }
        }
        let demand = try await storedDemand(of: configuration)
        let heartbeats = try await ports.logDatabase.lastHeartbeats()
        await submit(
            .recovered(
                RecoveredState(
                    configuration: configuration, instances: stored.instances, incidents: incidents,
                    lastOrdinals: stored.ordinals, operations: stored.unfinishedOperations,
                    demand: demand)))
        await adopt(stored.instances, of: configuration, heartbeats: heartbeats)
        isRecovered = true
    }

    /// Where a day of a service's demand is stored.
    static func demandSetting(_ service: ServiceID, _ place: Int) -> String { "demand/\(service)/\(place)" }

    private func storedDemand(
        of configuration: CloudConfiguration
    ) async throws(LogDatabaseError) -> [ServiceID: [String]] {
        var demand: [ServiceID: [String]] = [:]
        for service in configuration.services where service.scaling.policy == nil {
            for place in 0..<RecoveredState.demandPlaces {
                guard let day = try await ports.logDatabase.setting(Self.demandSetting(service.id, place)) else {
                    continue
                }
                demand[service.id, default: []].append(day)
            }
        }
        return demand
    }

    private func adopt(
        _ known: [ServiceInstance], of configuration: CloudConfiguration, heartbeats: [InstanceID: Timestamp]
    ) async {
        let managed = known.filter { instance in
            // Virtual servers are answered for by their hosts.
            guard instance.virtualServer == nil else { return false }
            guard let service = configuration.services.first(where: { $0.id == instance.service }) else { return true }
            if case .process = service.instances { return true }
            return false
        }
        let adopted = await ports.instances.adopt(managed, services: configuration.services)
        let now = clock.now()
        for instance in managed {
            if let started = adopted[instance.id] {
                // The restart may have come between the start and its record: then the endpoint is news.
                let event: ControllerEvent =
                    if instance.endpoint == started.endpoint {
                        .instanceAdopted(instance.id, incarnation: instance.incarnation)
                    } else {
                        .instanceStarted(
                            instance.id, incarnation: instance.incarnation, endpoint: started.endpoint,
                            handle: started.handle)
                    }
                await submit(event)
            } else {
                let seen = heartbeats[instance.id] ?? instance.upSince ?? instance.requestedAt
                await submit(
                    .instanceExited(
                        instance.id, incarnation: instance.incarnation, status: .unknown,
                        inferredAt: min(now, seen + configurationOfPlane.lease)))
            }
        }
        await submit(.adoptionCompleted)
    }

    /// Forwards what the ports report, sends the heartbeats and delivers the notifications, until cancelled.
    /// - Parameter publicURL: where administrators reach the platform: the base of the links in notifications.
    public func run(publicURL: String) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.forwardExits() }
            group.addTask { await self.forwardDataPlaneEvents() }
            group.addTask { await self.sendHeartbeats() }
            group.addTask { await self.measureServices() }
            group.addTask { await self.deliverNotifications(publicURL: publicURL) }
            if let lease = ports.lease { group.addTask { await lease.run() } }
        }
    }

    private nonisolated func forwardExits() async {
        for await exit in ports.instances.exits {
            let status: ExitStatus =
                if let code = exit.code { .exited(code: code) } else if let signal = exit.signal {
                    .signalled(signal)
                } else { .unknown }
            await submit(.instanceExited(exit.instance, incarnation: exit.incarnation, status: status, inferredAt: nil))
        }
    }

    private nonisolated func forwardDataPlaneEvents() async {
        for await event in ports.dataPlane.events { await submit(.dataPlane(event)) }
    }

    /// The resource agent's heartbeat, three times in a lease: two may be lost before usage is cut.
    private nonisolated func sendHeartbeats() async {
        let interval = max(.milliseconds(100), TimeSpan(microseconds: configurationOfPlane.lease.microseconds / 3))
        while !Task.isCancelled {
            let virtual = await controller.infrastructure.running
            let running = (await ports.instances.running().union(virtual)).sorted()
            if !running.isEmpty {
                do { try await ports.logDatabase.heartbeat(running, at: clock.now()) } catch {
                    logger.error("Heartbeats cannot be stored", metadata: ["error": "\(error)"])
                }
            }
            try? await Task.sleep(for: .microseconds(interval.microseconds))
        }
    }

    /// Stops every instance that is ours and waits until their ends are in the books, at most as long as said.
    public func shutDown(within limit: TimeSpan) async {
        await submit(.command(.shutDown, actor: "control-plane"))
        let deadline = clock.now() + limit
        while hasStartedInstances, clock.now() < deadline { try? await Task.sleep(for: .milliseconds(20)) }
        await closeHypervisors()
        close()
    }

    private var hasStartedInstances: Bool {
        controller.instances.contains { instance in
            (instance.handle != nil || instance.virtualServer != nil)
                && [.starting, .running, .stopping].contains(instance.phase)
        }
    }
}
