import CGateway
import CloudModel
import Glibc
import Logging
import ScalingListener

// Services of TCP: a connection is what a request is elsewhere. It is identified, admitted, given an instance and
// booked by the same code; from then on it is a tunnel.

extension EventLoop {
    /// Of `ClientConnection.listener`, where the service's own listener is meant.
    static var serviceListener: UInt16 { .max }

    @inline(__always)
    func isTCP(_ client: Client) -> Bool { client.pointee.listener == Self.serviceListener }

    // MARK: Listening

    static func token(ofService number: Int) -> UInt64 {
        Token.make(.listener, index: UInt32(truncatingIfNeeded: number) | Token.serviceListener, generation: 0)
    }

    /// Goes by the service's listener in a new snapshot. Whoever has connected to the former one is still accepted.
    func take(_ accepting: ServiceAccepting, ofService number: Int) {
        while state.pointee.serviceListeners.count <= number { state.pointee.serviceListeners.append(nil) }
        while state.pointee.serviceContexts.count <= number { state.pointee.serviceContexts.append(nil) }
        state.pointee.serviceContexts[number] = accepting.context
        let former = state.pointee.serviceListeners[number]
        guard former !== accepting.listener else { return }
        if let former {
            if state.pointee.isAccepting { accept(ofService: number) }
            former.close(loop: index)
        }
        state.pointee.serviceListeners[number] = accepting.listener
        guard let listener = accepting.listener else { return }
        let interest = state.pointee.isAccepting ? cgateway_listener_interest() : 0
        let added = cgateway_epoll_add(
            epoll, listener.descriptor(ofLoop: index), interest, Self.token(ofService: number))
        if added != 0 { warn("cannot watch a service's listener", error: -added) }
    }

    func setServiceAcceptInterest(_ interest: UInt32) {
        for (number, listener) in state.pointee.serviceListeners.enumerated() {
            guard let listener else { continue }
            _ = cgateway_epoll_modify(
                epoll, listener.descriptor(ofLoop: index), interest, Self.token(ofService: number))
        }
    }

    func accept(ofService number: Int) {
        guard number < state.pointee.serviceListeners.count, let listener = state.pointee.serviceListeners[number],
            let service = state.pointee.servicesByNumber[number]
        else { return }
        accept(from: listener.descriptor(ofLoop: index), number: Int(Self.serviceListener), service: service)
    }

    /// What connections that are accepted now are spoken with over TLS.
    func acceptingContext(_ client: Client) -> TLSContext? {
        guard isTCP(client) else { return state.pointee.tlsContexts[Int(client.pointee.listener)] }
        return client.pointee.exchange.service.flatMap { state.pointee.serviceContexts[$0.pointee.number] }
    }

    func trustedProxies(_ client: Client) -> [NetworkPrefix] {
        guard isTCP(client) else { return listeners[Int(client.pointee.listener)].trustedProxies }
        return client.pointee.exchange.service.flatMap {
            state.pointee.serviceListeners[$0.pointee.number]?.trustedProxies
        } ?? []
    }

    // MARK: One connection

    /// The connection stands and is open: everything up to the decision of the gate.
    func beginConnection(_ client: Client) {
        guard let service = client.pointee.exchange.service else { return }
        startConnection(client, service)
        guard service.pointee.index >= 0 else {
            refuse(client, problem(.noRoute, client), .rejected)
            return
        }
        guard let consumer = owner(of: client, service) else { return }
        client.pointee.exchange.consumer = consumer
        client.pointee.exchange.flags.insert(.billable)
        let now = client.pointee.exchange.receivedAt
        let quota = state.pointee.consumers._withUnsafeGuaranteedRef { $0.exhaustedQuota(of: consumer, at: now) }
        guard quota == nil else {
            refuse(client, problem(.quotaExhausted, client), .rejected)
            return
        }
        guard canBeMetered(client, service) else { return }
        admitConnection(client, service, consumer)
    }

    private func startConnection(_ client: Client, _ service: UnsafeMutablePointer<LoopService>) {
        client.pointee.exchange = .none
        client.pointee.exchange.service = service
        client.pointee.exchange.flags = .active
        client.pointee.exchange.requestID = state.pointee.requestIDs.requestID()
        client.pointee.exchange.receivedAt = state.pointee.clock.timestamp
        client.pointee.exchange.receivedMonotonic = state.pointee.clock.monotonic
        // Who has sent all before the instance is found still reads.
        client.pointee.flags.formUnion([.halfClosed, .readable])
        counters.add(.requests)
    }

    /// Whose the connection is: by certificate, else by address, else nobody's, where the service lets such in. Nil
    /// after having refused it.
    private func owner(of client: Client, _ service: UnsafeMutablePointer<LoopService>) -> ConsumerKey? {
        let caller = caller(client, service)
        if caller.verdict == .admitted { return caller.consumer }
        counters.add(.unidentifiedRequests)
        client.pointee.exchange.consumer = caller.consumer
        if caller.verdict == .notEntitled { client.pointee.exchange.flags.insert(.billable) }
        logger.debug(
            "a connection was refused: nobody's, or of a consumer that may not",
            metadata: [
                "service": "\(serviceID(service))", "verdict": "\(caller.verdict)",
                "peer": "\(String(decoding: client.pointee.peerAddress, as: UTF8.self))",
            ])
        if let problem = ProblemDocument(
            caller.verdict, service: serviceID(service), requestID: client.pointee.exchange.requestID)
        {
            refuse(client, problem, .rejected)
        }
        return nil
    }

    private func caller(_ client: Client, _ service: UnsafeMutablePointer<LoopService>) -> IdentifiedCaller {
        let address = IPAddressBits(String(decoding: client.pointee.peerAddress, as: UTF8.self))
        let certificate = presentedCertificate(client)
        let now = state.pointee.clock.timestamp
        return state.pointee.consumers._withUnsafeGuaranteedRef {
            $0.identify(certificate, from: address, service: Int(service.pointee.index), now: now)
        }
    }

    /// Whether its consumer may still use the service and has something left: looked at whenever a stretch is booked.
    func mayGoOn(_ client: Client, _ service: UnsafeMutablePointer<LoopService>) -> Bool {
        // What a service has that is being removed is finished.
        guard isTCP(client), service.pointee.index >= 0 else { return true }
        let caller = caller(client, service)
        let consumer = client.pointee.exchange.consumer
        guard caller.verdict == .admitted, caller.consumer == consumer else { return false }
        let now = state.pointee.clock.timestamp
        return state.pointee.consumers._withUnsafeGuaranteedRef { $0.exhaustedQuota(of: consumer, at: now) } == nil
    }

    private func admitConnection(
        _ client: Client, _ service: UnsafeMutablePointer<LoopService>, _ consumer: ConsumerKey
    ) {
        let hash = placementHash(client, consumer)
        client.pointee.exchange.placementHash = hash
        let ticket = ticket(of: client)
        let now = client.pointee.exchange.receivedAt
        let decision = service.pointee.gate._withUnsafeGuaranteedRef {
            $0.admit(consumer: consumer, hash: hash, ticket: ticket, now: now)
        }
        switch decision {
        case .forward(let slot): forward(client, to: slot)
        case .queued(let handle, let deadline), .waiting(let handle, let deadline, _):
            waitInQueue(client, handle, until: deadline)
            reports.loadIsUrgent(service: service.pointee.number)
        case .rejected(let rejection):
            report(rejection, client, service, waiting: false)
            reject(client, service, rejection.refusal)
        }
    }

    /// There is no answer to give: the end by a reset says that the connection was refused.
    func refuseConnection(_ client: Client, _ outcome: RequestOutcome) {
        book(client, outcome: outcome, pending: 0)
        client.pointee.exchange.flags.remove(.active)
        close(client, withReset: true)
    }

    /// The connection to the instance stands: bytes pass from now on.
    func beginRelay(_ client: Client) {
        counters.add(.tunnels)
        client.pointee.exchange.flags.formUnion([.responseBegun, .isTunnel])
        client.pointee.phase = .tunnel
        beginTunnelTimes(client)
        pumpTunnel(client)
    }
}
