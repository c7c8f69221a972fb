import CloudModel
import HTTP1
import LoadBalancing
import ScalingListener

// What becomes of a request whose instance failed it, and of one whose consumer has left.

extension EventLoop {
    /// The connection to the instance broke, or was not made, before the response had begun. Goes on elsewhere where
    /// repeating is safe (RFC 9110, section 9.2.2): nothing was sent, or the request is idempotent and wholly at hand.
    func backendFailed(_ client: Client, _ failure: BackendFailure) {
        guard let service = client.pointee.exchange.service else { return }
        counters.add(.upstreamFailures)
        let wasReused = upstream(of: client).map { $0.pointee.flags.contains(.reused) } ?? false
        let heardNothing = upstream(of: client).map { $0.pointee.input.isEmpty } ?? true
        releaseUpstream(client)
        let mayBeRepeated = client.pointee.exchange.mayBeRepeated
        let isMove = !client.pointee.exchange.flags.contains(.sent)
        if wasReused, heardNothing, failure == .connectionReset, mayBeRepeated {
            retryOnFreshConnection(client, service)
            return
        }
        let slot = client.pointee.exchange.backend
        let now = state.pointee.clock.timestamp
        service.pointee.gate._withUnsafeGuaranteedRef { $0.reportFailure(slot, failure, now: now) }
        report(failure, of: slot, service, now: now)
        guard mayBeRepeated, Int(client.pointee.exchange.attempts) <= service.pointee.settings.maximumRetries else {
            giveUp(client, ProblemKind(failure))
            return
        }
        retryElsewhere(client, service, isMove: isMove, whenRefused: ProblemKind(failure))
    }

    /// The instance had closed a connection that was kept: no fault of the instance, and none of its requests. The pool
    /// is not asked again, since its other connections are as old.
    private func retryOnFreshConnection(_ client: Client, _ service: UnsafeMutablePointer<LoopService>) {
        counters.add(.staleRetries)
        let slot = client.pointee.exchange.backend
        if let backend = backend(service, slot), backend.pointee.isKnown { closeIdle(of: service, Int(slot.index)) }
        client.pointee.exchange.attempts &-= 1
        forward(client, to: slot)
    }

    func retryElsewhere(
        _ client: Client, _ service: UnsafeMutablePointer<LoopService>, isMove: Bool, whenRefused problem: ProblemKind
    ) {
        let failed = client.pointee.exchange.backend
        client.pointee.exchange.tried.insert(failed)
        let tried = client.pointee.exchange.tried
        let consumer = client.pointee.exchange.consumer
        let hash = client.pointee.exchange.placementHash
        let retried = client.pointee.exchange.flags.contains(.retried)
        let ticket = ticket(of: client)
        let now = state.pointee.clock.timestamp
        let decision = service.pointee.gate._withUnsafeGuaranteedRef {
            $0.retry(
                from: failed, tried: tried, consumer: consumer, hash: hash, ticket: ticket, retried: retried,
                isMove: isMove, now: now)
        }
        switch decision {
        case .forward(let slot):
            countRetry(client, service, isMove: isMove)
            forward(client, to: slot)
        case .queued(let handle, let deadline):
            countRetry(client, service, isMove: isMove)
            client.pointee.exchange.flags.remove([.placeHeld, .sent])
            client.pointee.exchange.backend = .none
            waitInQueue(client, handle, until: deadline)
            reports.loadIsUrgent(service: service.pointee.number)
        case .refused:
            counters.add(.retriesRefused)
            giveUp(client, problem)
        }
    }

    private func countRetry(_ client: Client, _ service: UnsafeMutablePointer<LoopService>, isMove: Bool) {
        if !isMove { client.pointee.exchange.flags.insert(.retried) }
        counters.add(.retries)
        counters.add(.retries, service: service.pointee.number)
    }

    /// Answers for the instance: 502 or 504, or 503 where the gateway itself is short of something.
    func giveUp(_ client: Client, _ kind: ProblemKind) {
        releaseUpstream(client)
        releasePlace(client, .failed)
        refuse(client, problem(kind, client), .failed)
    }

    /// The instance failed after the response had begun: the consumer must see that it is not whole.
    func responseBroke(_ client: Client, _ failure: BackendFailure) {
        guard let service = client.pointee.exchange.service else { return }
        counters.add(.instanceAborts)
        let slot = client.pointee.exchange.backend
        let now = state.pointee.clock.timestamp
        service.pointee.gate._withUnsafeGuaranteedRef { $0.reportFailure(slot, failure, now: now) }
        report(failure, of: slot, service, now: now)
        let needsReset = client.pointee.exchange.flags.contains(.closeDelimited)
        abandon(client, outcome: .abortedByInstance)
        close(client, withReset: needsReset)
    }

    /// The consumer has gone: gives back all that its request held, books what had moved, and closes.
    func consumerLeft(_ client: Client) {
        counters.add(.consumerAborts)
        abandon(client, outcome: .abortedByConsumer)
        close(client)
    }

    /// Ends the exchange without an answer.
    func abandon(_ client: Client, outcome: RequestOutcome) {
        if client.pointee.phase == .queued, let service = client.pointee.exchange.service {
            let wait = client.pointee.exchange.wait
            let now = state.pointee.clock.timestamp
            // `.decided`: a grant that is on its way finds the ticket stale and gives the place back.
            _ = service.pointee.gate._withUnsafeGuaranteedRef { $0.cancel(wait, now: now) }
        }
        book(client, outcome: client.pointee.exchange.flags.contains(.isTunnel) ? .tunnel : outcome, pending: 0)
        releaseUpstream(client)
        releasePlace(client, outcome)
        client.pointee.exchange.flags.remove(.active)
    }

    /// Closes the connection to the instance: the request on it is not finished.
    func releaseUpstream(_ client: Client) {
        guard let upstream = upstream(of: client) else { return }
        client.pointee.exchange.upstream = UpstreamConnection.none
        closeUpstream(upstream)
    }

    // MARK: Waiting

    /// A place for a request that waited. The ticket is stale where its consumer has left meanwhile.
    func granted(_ grant: Grant, service number: Int) {
        guard let service = state.pointee.servicesByNumber[number] else { return }
        guard let client = waiting(grant.ticket, at: service) else {
            let now = state.pointee.clock.timestamp
            service.pointee.gate._withUnsafeGuaranteedRef {
                _ = $0.release(
                    grant.backend, consumer: grant.consumer, outcome: .abortedByConsumer, retried: grant.retried,
                    now: now)
            }
            return
        }
        if client.pointee.exchange.flags.contains(.waitsAtLimit) {
            client.pointee.exchange.flags.remove(.waitsAtLimit)
            client.pointee.exchange.flags.insert(.waited)
        }
        forward(client, to: grant.backend)
    }

    /// A request that waited gives way to a consumer that had less in the full queue.
    func displaced(_ ticket: AdmissionTicket, _ rejection: Rejection, service number: Int) {
        guard let service = state.pointee.servicesByNumber[number], let client = waiting(ticket, at: service) else {
            return
        }
        report(rejection, client, service, waiting: false)
        reject(client, service, rejection.refusal)
    }

    /// Whose request still waits with this ticket; nil where its consumer has left.
    private func waiting(_ ticket: AdmissionTicket, at service: UnsafeMutablePointer<LoopService>) -> Client? {
        let client = clients[Int(ticket.slot)]
        let isPresent =
            client.pointee.phase == .queued && client.pointee.exchangeNumber == ticket.generation
            && client.pointee.exchange.service == service
        return isPresent ? client : nil
    }

    /// The gate decided, but the request cannot be sent at all.
    func giveUpPlace(_ client: Client, _ decision: GateDecision, _ kind: ProblemKind) {
        switch decision {
        case .forward(let slot):
            client.pointee.exchange.backend = slot
            client.pointee.exchange.flags.insert(.placeHeld)
            releasePlace(client, .failed)
        case .queued(let wait, _), .waiting(let wait, _, _):
            let now = state.pointee.clock.timestamp
            _ = client.pointee.exchange.service?.pointee.gate._withUnsafeGuaranteedRef { $0.cancel(wait, now: now) }
        case .rejected: break
        }
        client.pointee.exchange.flags.remove(.keepAlive)
        refuse(client, problem(kind, client), .failed)
    }

    // MARK: Timeouts

    /// The client's deadline has come. What it was for, the phase says.
    func clientTimedOut(_ client: Client) {
        if client.pointee.phase == .tunnel {
            tunnelTimedOut(client)
            return
        }
        counters.add(.timeouts)
        switch client.pointee.phase {
        case .free, .tunnel: break
        case .opening:
            counters.add(.handshakeTimeouts)
            close(client)
        case .idle: idleTimedOut(client)
        case .holding: heldTimedOut(client)
        case .queued: waitTimedOut(client)
        case .connecting: backendFailed(client, .connectTimeout)
        case .awaiting: awaitingTimedOut(client)
        case .responding:
            if client.pointee.output.isEmpty, heldInPipe(client) == 0 {
                responseBroke(client, .responseTimeout)
            } else {
                consumerLeft(client)
            }
        case .session: sessionTimedOut(client)
        case .flushing, .lingering: close(client)
        }
    }

    private func idleTimedOut(_ client: Client) {
        // A connection on which nothing, or nothing more, was asked is closed without a word.
        guard !client.pointee.input.isEmpty else {
            close(client)
            return
        }
        refuseBeforeRequest(client, ProblemDocument(.requestTimeout))
    }

    private func waitTimedOut(_ client: Client) {
        guard let service = client.pointee.exchange.service else { return }
        let wait = client.pointee.exchange.wait
        let now = state.pointee.clock.timestamp
        switch service.pointee.gate._withUnsafeGuaranteedRef({ $0.expire(wait, now: now) }) {
        case .expired(let refusal): reject(client, service, refusal)
        case .extended(let deadline):
            timers.schedule(index(of: client), at: state.pointee.clock.monotonic(of: deadline))
        case .decided:
            // It is in the mailbox; look again only in case this loop is told nothing, which would be a defect.
            timers.schedule(index(of: client), at: state.pointee.clock.monotonic + 1_000_000)
        }
    }

    private func awaitingTimedOut(_ client: Client) {
        let bodyAwaited =
            !client.pointee.exchange.hasWholeRequest && client.pointee.exchange.bodyPending == 0
            && client.pointee.exchange.headSent == client.pointee.exchange.head.count
        if bodyAwaited {
            releaseUpstream(client)
            releasePlace(client, .abortedByConsumer)
            refuse(client, problem(.requestTimeout, client), .failed)
            return
        }
        if let service = client.pointee.exchange.service {
            let slot = client.pointee.exchange.backend
            let now = state.pointee.clock.timestamp
            service.pointee.gate._withUnsafeGuaranteedRef { $0.reportFailure(slot, .responseTimeout, now: now) }
            report(.responseTimeout, of: slot, service, now: now)
        }
        giveUp(client, .gatewayTimeout)
    }
}
