import CloudController
import CloudModel

/// Consumers, and what the gateway tells the controller of them.
extension Simulation {
    private static let consumers = (1...10).map { ConsumerID("c\($0)") }
    private static let longestQueue = 100

    func apply(_ snapshot: DataPlaneSnapshot) {
        // Given twice: an older or equal one is never applied over a newer.
        if snapshot.generation == gateway.generation { return }
        guard snapshot.generation > gateway.generation else {
            return auditor.finds("snapshot-order", "generation \(snapshot.generation) after \(gateway.generation)")
        }
        gateway.generation = snapshot.generation
        var gone = Set(gateway.services.keys)
        for service in snapshot.services {
            gone.remove(service.service.id)
            if plant == .keepsEndedBackends, let old = gateway.services[service.service.id],
                old.snapshot.backends.count > service.backends.count
            {
                continue
            }
            if gateway.services[service.service.id] == nil {
                gateway.services[service.service.id] = SimulatedGateway.Service(snapshot: service)
            } else {
                gateway.services[service.service.id]?.snapshot = service
            }
            serveQueue(of: service.service.id)
        }
        for service in gone.sorted() {
            for number in gateway.requests.keys.sorted() {
                if let request = gateway.requests[number], request.service == service { gateway.forget(request) }
            }
            gateway.services[service] = nil
        }
    }

    // MARK: Requests

    /// Load comes in phases of some minutes: idle, some, more than there may be.
    func arrival(_ id: ServiceID) {
        let phase = (now / 240_000_000 &* 7_919 &+ Int64(id.rawValue.utf8.first ?? 0)) % 4
        let mean: Int64 = faultsAreOver ? 8_000_000 : [20_000_000, 3_000_000, 1_000_000, 400_000][Int(phase)]
        plan(.arrival(id), after: between(1_000, 2 * mean))
        guard let service = gateway.services[id], !service.snapshot.service.routes.isEmpty else { return }
        let consumer = Self.consumers[Int(between(0, Int64(Self.consumers.count - 1)))]
        report.requests += 1
        if let refusal = gateway.refusal(of: consumer, by: service) {
            return refuse(consumer, of: id, refusal)
        }
        gateway.lastNumber += 1
        let request = SimulatedGateway.Request(number: gateway.lastNumber, service: id, consumer: consumer)
        gateway.requests[request.number] = request
        gateway.services[id]?.admitted += 1
        gateway.services[id]?.requestsOfConsumer[consumer, default: 0] += 1
        if !assign(request.number) {
            guard service.queue.count < Self.longestQueue else { return gateway.forget(request) }
            gateway.services[id]?.queue.append(request.number)
            plan(.queueTimeout(request: request.number), after: 15_000_000)
            sendSample(id)
        }
    }

    private func refuse(_ consumer: ConsumerID, of id: ServiceID, _ refusal: (limit: Int, current: Int)) {
        report.refusals += 1
        gateway.services[id]?.rejected += 1
        gateway.services[id]?.refused.insert(consumer)
        send(
            .dataPlane(
                .limitReached(
                    LimitReached(
                        service: id, consumer: consumer, constraint: .maximumInstances, limit: refusal.limit,
                        current: refusal.current, at: wall))))
    }

    /// Gives the request to an instance, if one has room.
    private func assign(_ number: Int) -> Bool {
        guard var request = gateway.requests[number], let service = gateway.services[request.service],
            let backend = gateway.backend(of: service)
        else { return false }
        auditor.routes(to: backend)
        request.instance = backend.instance
        request.port = backend.endpoint.port
        request.attempts += 1
        gateway.requests[number] = request
        gateway.services[request.service]?.inFlight[backend.instance, default: 0] += 1
        if service.refused.contains(request.consumer) {
            gateway.services[request.service]?.refused.remove(request.consumer)
            send(.dataPlane(.servedAfterRefusal(service: request.service, consumer: request.consumer, at: wall)))
        }
        guard let process = processes[backend.endpoint.port], process.state == .running else {
            fails(request, .connectionRefused)
            return true
        }
        // What hangs is given up after a while; what works ends sooner.
        let duration = process.isHung || networkIsDown ? 20_000_000 : between(20_000, 6_000_000)
        plan(.finish(request: number), after: duration)
        return true
    }

    private func fails(_ request: SimulatedGateway.Request, _ reason: BackendFailure) {
        guard let instance = request.instance else { return }
        send(
            .dataPlane(
                .backendFailure(service: request.service, instance: instance, reason: reason, at: wall)))
        gateway.forget(request)
    }

    func finish(_ number: Int) {
        guard let request = gateway.requests[number], request.instance != nil else { return }
        if let process = processes[request.port], process.isHung { return fails(request, .responseTimeout) }
        gateway.services[request.service]?.completed += 1
        gateway.forget(request)
        serveQueue(of: request.service)
    }

    func giveUp(_ number: Int) {
        guard let request = gateway.requests[number], request.instance == nil else { return }
        gateway.forget(request)
    }

    private func serveQueue(of id: ServiceID) {
        while let next = gateway.services[id]?.queue.first {
            guard assign(next) else { return }
            if gateway.services[id]?.queue.first == next { gateway.services[id]?.queue.removeFirst() }
        }
    }

    /// The requests that an instance had when it ended.
    func loseRequests(of process: SimulatedProcess) {
        guard gateway.services[process.service]?.inFlight[process.id] != nil else { return }
        for number in gateway.requests.keys.sorted() {
            guard let request = gateway.requests[number], request.port == process.port, request.instance != nil else {
                continue
            }
            fails(request, .connectionReset)
        }
    }

    // MARK: Samples

    func sample(_ id: ServiceID) {
        plan(.sample(id), after: plan.sampleInterval)
        sendSample(id)
    }

    private func sendSample(_ id: ServiceID) {
        guard let service = gateway.services[id], !service.snapshot.service.routes.isEmpty else { return }
        // A gateway that is silent says nothing; one that is believed to be idle would.
        if gatewayIsSilent && plant != .scalesInBlind { return }
        let sample =
            gatewayIsSilent
            ? LoadSample(service: id, at: wall)
            : LoadSample(
                service: id, at: wall, requestsInFlight: service.inFlight.values.reduce(0, +),
                requestsQueued: service.queue.count, activeConsumers: service.requestsOfConsumer.count,
                admitted: service.admitted, rejected: service.rejected, completed: service.completed,
                perInstance: service.inFlight)
        send(.dataPlane(.load(sample)))
    }
}
