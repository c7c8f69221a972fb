import CloudModel
import LoadBalancing
import ScalingListener
import Spool

// What the pay-per-use monitor stores of a request, and the place that it gives back.

extension EventLoop {
    /// Puts the request into the spool, once, and counts it. Called before the last bytes of the answer are handed to
    /// the kernel: every answer that a consumer has in full is in the spool, whatever happens to this process.
    ///
    /// - Parameter pending: bytes of the answer that are about to be sent; they count as sent.
    @inline(__always)
    func book(_ client: Client, outcome: RequestOutcome, pending: Int) {
        let flags = client.pointee.exchange.flags
        guard flags.contains(.active), !flags.contains(.booked) else { return }
        client.pointee.exchange.flags.insert(.booked)
        let outcome: RequestOutcome = flags.contains(.continues) ? .tunnelContinued : outcome
        let bytesOut = client.pointee.exchange.bytesOut &+ UInt64(pending)
        counters.add(.bytesIn, client.pointee.exchange.bytesIn)
        counters.add(.bytesOut, bytesOut)
        observe(client, outcome, bytesOut: bytesOut)
        guard let service = client.pointee.exchange.service, flags.contains(.billable) else { return }
        count(client.pointee.exchange.status, outcome, service.pointee.number)
        let completedAt = state.pointee.clock.timestamp
        let forwardedAt = client.pointee.exchange.forwardedAt
        let instance = servingInstance(client, service)
        countTraffic(client, service, instance, outcome, bytesOut: bytesOut)
        let record = RawUsageRecord(
            requestID: client.pointee.exchange.requestID,
            consumer: state.pointee.names._withUnsafeGuaranteedRef { $0.entry(client.pointee.exchange.consumer).name },
            service: service.pointee.name, instance: instance.map { UnsafeRawBufferPointer($0.pointee.name) },
            outcome: outcome,
            status: client.pointee.exchange.status, bytesIn: client.pointee.exchange.bytesIn, bytesOut: bytesOut,
            receivedAt: client.pointee.exchange.receivedAt, forwardedAt: forwardedAt == .epoch ? nil : forwardedAt,
            completedAt: completedAt)
        if !spool.append(record) { counters.add(.recordsRefused) }
        if flags.contains(.tapped) { finishAudit(client, outcome: outcome, at: completedAt) }
    }

    /// Who had the request in the end; nil where the gateway answered for itself.
    @inline(__always)
    func servingInstance(
        _ client: Client, _ service: UnsafeMutablePointer<LoopService>
    ) -> UnsafeMutablePointer<LoopBackend>? {
        let flags = client.pointee.exchange.flags
        guard flags.contains(.placeHeld), !flags.contains(.refused) else { return nil }
        return backend(service, client.pointee.exchange.backend)
    }

    /// For `/metrics` and `cloudwright top`, of the service and of the instance that had the request.
    @inline(__always)
    private func countTraffic(
        _ client: Client, _ service: UnsafeMutablePointer<LoopService>,
        _ instance: UnsafeMutablePointer<LoopBackend>?, _ outcome: RequestOutcome, bytesOut: UInt64
    ) {
        let wasForwarded = client.pointee.exchange.forwardedAt != .epoch
        let isTimed = wasForwarded && outcome != .tunnel && outcome != .tunnelContinued && outcome != .abortedByConsumer
        let latency = state.pointee.clock.monotonic &- client.pointee.exchange.receivedMonotonic
        func count(_ cells: TrafficRow.Cells) {
            if outcome.countsAsRequest { cells.add(.requests) }
            if client.pointee.exchange.status >= 500, outcome != .rejected { cells.add(.errors) }
            cells.add(.bytesIn, client.pointee.exchange.bytesIn)
            cells.add(.bytesOut, bytesOut)
            if isTimed { cells.addLatency(microseconds: latency) }
        }
        count(service.pointee.traffic)
        if outcome == .failed { service.pointee.traffic.add(.failures) }
        if let cells = instance?.pointee.traffic { count(cells) }
    }

    @inline(__always)
    private func count(_ status: UInt16, _ outcome: RequestOutcome, _ service: Int) {
        switch status {
        case 200...299: counters.add(.successful, service: service)
        case 300...399: counters.add(.redirected, service: service)
        case 400...499: counters.add(.clientErrors, service: service)
        case 500...: counters.add(.serverErrors, service: service)
        case 100...199: counters.add(.informational, service: service)
        default: break
        }
        if outcome == .failed { counters.add(.failed, service: service) }
    }

    /// Gives the place at the backend back, once.
    @inline(__always)
    func releasePlace(_ client: Client, _ outcome: RequestOutcome) {
        guard client.pointee.exchange.flags.contains(.placeHeld), let service = client.pointee.exchange.service else {
            return
        }
        client.pointee.exchange.flags.remove(.placeHeld)
        let backend = client.pointee.exchange.backend
        let consumer = client.pointee.exchange.consumer
        let retried = client.pointee.exchange.flags.contains(.retried)
        let now = state.pointee.clock.timestamp
        let isServedAfterRefusal = service.pointee.gate._withUnsafeGuaranteedRef {
            $0.release(backend, consumer: consumer, outcome: outcome, retried: retried, now: now)
        }
        if isServedAfterRefusal {
            reports.send(
                .servedAfterRefusal(service: serviceID(service), consumer: consumerID(consumer), at: now))
        }
    }

    func consumerID(_ key: ConsumerKey) -> ConsumerID {
        state.pointee.consumers._withUnsafeGuaranteedRef { $0.consumers[Int(key.rawValue)] }
    }

    // MARK: What the control plane is told

    func report(
        _ rejection: Rejection, _ client: Client, _ service: UnsafeMutablePointer<LoopService>, waiting: Bool
    ) {
        guard rejection.reportCount > 0, let constraint = rejection.refusal.constraint else { return }
        reports.send(
            .limitReached(
                LimitReached(
                    service: serviceID(service), consumer: consumerID(client.pointee.exchange.consumer),
                    constraint: constraint, limit: rejection.refusal.limit, current: rejection.refusal.current,
                    count: rejection.reportCount, waiting: waiting, at: state.pointee.clock.timestamp)))
    }

    /// No more than ten a second of one backend: the first says what is to be known.
    func report(
        _ failure: BackendFailure, of slot: BackendSlot, _ service: UnsafeMutablePointer<LoopService>, now: Timestamp
    ) {
        guard let backend = backend(service, slot) else { return }
        backend.pointee.traffic?.add(.failures)
        let monotonic = state.pointee.clock.monotonic
        guard monotonic >= backend.pointee.failureReportedAt &+ 100_000 || backend.pointee.failureReportedAt == .min
        else { return }
        backend.pointee.failureReportedAt = monotonic
        let instance = InstanceID(String(decoding: backend.pointee.name, as: UTF8.self))
        reports.send(.backendFailure(service: serviceID(service), instance: instance, reason: failure, at: now))
    }
}
