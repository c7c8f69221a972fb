import CGateway
import CloudModel
import Credentials
import Glibc
import HTTP1
import ScalingListener

// From the consumer's bytes to a decision: receive a head, find service and consumer, ask the gate.

extension EventLoop {
    /// The kernel told a change of a consumer's connection.
    @inline(__always)
    func clientReady(_ client: Client, _ events: UInt32) {
        var flags = client.pointee.flags
        if cgateway_is_readable(events) { flags.insert(.readable) }
        if cgateway_is_writable(events) { flags.insert(.writable) }
        if cgateway_is_peer_finished(events) { flags.formUnion([.peerFinished, .readable]) }
        if cgateway_is_broken(events) { flags.formUnion([.broken, .readable]) }
        client.pointee.flags = flags
        drive(client)
    }

    /// Goes on with whatever the connection is at.
    func drive(_ client: Client) {
        let flags = client.pointee.flags
        switch client.pointee.phase {
        case .free: return
        case .idle: receiveHead(client)
        case .opening: continueOpening(client)
        case .holding: driveHeld(client)
        case .queued, .connecting, .awaiting, .responding:
            if isGone(client) {
                consumerLeft(client)
                return
            }
            if client.pointee.phase == .awaiting { driveRequest(client) }
            if client.pointee.phase == .responding { driveResponse(client) }
        case .flushing:
            if flags.contains(.broken) { close(client) } else { flush(client) }
        case .tunnel: pumpTunnel(client)
        case .session: driveSession(client)
        case .lingering: drain(client)
        }
    }

    /// Whether the consumer waits no longer. One that said that it would send nothing more before its request was whole
    /// (a shell pipe does) still reads; one that says so afterwards has closed. A connection of TCP has no whole
    /// request: its consumer may say all before there is an instance.
    private func isGone(_ client: Client) -> Bool {
        let flags = client.pointee.flags
        if flags.contains(.broken) { return true }
        guard client.pointee.phase != .responding, !isTCP(client) else { return false }
        return flags.contains(.peerFinished) && !flags.contains(.halfClosed)
            && client.pointee.exchange.hasWholeRequest
    }

    // MARK: Heads

    func receiveHead(_ client: Client) {
        while true {
            if !client.pointee.input.isEmpty {
                let parser = client.pointee.parser ?? parsers.request
                switch parser.pointee.parse(client.pointee.input.bytes) {
                case .complete(let length):
                    begin(client, parser, headLength: length)
                    if client.pointee.parser == parser {
                        parsers.give(parser)
                        client.pointee.parser = nil
                    } else {
                        parser.pointee.reset()
                    }
                    return
                case .malformed(let fault):
                    parser.pointee.reset()
                    if beginsHTTP2(client) {
                        beginSession(client)
                        return
                    }
                    refuseMalformed(client, fault)
                    return
                case .incomplete: keepPartialHead(client)
                }
            }
            guard client.pointee.flags.contains(.readable) else { return }
            switch receive(client) {
            case .some(true): continue
            case .some(false):
                // The end, between requests or within a head: there is nobody to answer.
                if isOversized(client) { refuseMalformed(client, .headTooLarge) } else { close(client) }
                return
            case .none: return
            }
        }
    }

    /// The rest of the head is awaited, for as long as a head may take from its first byte.
    private func keepPartialHead(_ client: Client) {
        guard client.pointee.parser == nil else { return }
        client.pointee.parser = parsers.keepRequest()
        guard client.pointee.requestsServed > 0 else { return }
        timers.schedule(
            index(of: client), at: state.pointee.clock.monotonic + configuration.timeouts.requestHead.microseconds)
    }

    /// Receives once into the client's input. True where bytes came, false at the end of input or after an error, nil
    /// where there is nothing to read now.
    @inline(__always)
    func receive(_ client: Client) -> Bool? {
        if !client.pointee.input.isHeld {
            client.pointee.input = buffers.acquire()
        } else if client.pointee.input.isEmpty {
            client.pointee.input.start = BufferPool.margin
            client.pointee.input.end = BufferPool.margin
        }
        var room = buffers.bufferSize &- BufferPool.tail &- client.pointee.input.end
        if room < 4_096, client.pointee.input.start > BufferPool.margin {
            client.pointee.input.moveToFront()
            room = buffers.bufferSize &- BufferPool.tail &- client.pointee.input.end
        }
        let count = receive(
            client, into: client.pointee.input.base! + client.pointee.input.end, capacity: room)
        if count > 0 {
            client.pointee.input.end &+= count
            return true
        }
        if client.pointee.input.isEmpty { buffers.release(&client.pointee.input) }
        if count == -Int(EAGAIN) { return nil }
        client.pointee.flags.insert(count == 0 ? .endOfInput : .broken)
        return false
    }

    // MARK: One request

    /// A head is whole: everything up to the decision of the gate.
    private func begin(_ client: Client, _ parser: UnsafeMutablePointer<RequestHead>, headLength: Int) {
        let head = UnsafeRawBufferPointer(rebasing: client.pointee.input.bytes[..<headLength])
        startExchange(client, parser, headLength: headLength)
        noteHead(client, parser, head)
        guard let path = normalPath(client, parser, head), let service = route(client, parser, head, path) else {
            return
        }
        client.pointee.exchange.service = service
        guard let caller = identify(client, service, parser, head) else { return }
        client.pointee.exchange.consumer = caller.consumer
        client.pointee.exchange.flags.insert(.billable)
        if service.pointee.settings.hasLoginRules { beginAudit(client, service, parser, head, path) }
        guard passesQuota(client, caller), passesLimits(client, service, parser) else { return }
        if client.pointee.exchange.flags.contains(.tapped),
            holdsLogin(client, expectsContinue: parser.pointee.expectsContinue)
        {
            return
        }
        client.pointee.input.start += headLength
        admit(client, service, caller, parser, head)
    }

    /// A login that was held back goes on. Its key may have been revoked meanwhile.
    func passLogin(_ client: Client, _ parser: UnsafeMutablePointer<RequestHead>, headLength: Int) {
        let head = UnsafeRawBufferPointer(rebasing: client.pointee.input.bytes[..<headLength])
        guard let service = client.pointee.exchange.service, let caller = identify(client, service, parser, head) else {
            return
        }
        client.pointee.input.start += headLength
        admit(client, service, caller, parser, head)
    }

    @inline(__always)
    private func startExchange(_ client: Client, _ parser: UnsafeMutablePointer<RequestHead>, headLength: Int) {
        var flags: Exchange.Flags = .active
        if parser.pointee.method.isIdempotent { flags.insert(.idempotent) }
        if parser.pointee.version == .http10 { flags.insert(.clientIsHTTP10) }
        if parser.pointee.keepsAlive { flags.insert(.keepAlive) }
        if parser.pointee.upgradeProtocol != nil { flags.insert(.upgradeRequested) }
        client.pointee.exchange = .none
        client.pointee.exchange.flags = flags
        client.pointee.exchange.method = parser.pointee.method
        client.pointee.exchange.requestID = state.pointee.requestIDs.requestID()
        client.pointee.exchange.receivedAt = state.pointee.clock.timestamp
        client.pointee.exchange.receivedMonotonic = state.pointee.clock.monotonic
        client.pointee.exchange.bytesIn = UInt64(headLength)
        client.pointee.exchange.requestBody = BodyReader(parser.pointee.body)
        client.pointee.flags.remove(.halfClosed)
        if client.pointee.flags.contains(.peerFinished) { client.pointee.flags.insert(.halfClosed) }
        counters.add(.requests)
    }

    /// The path that routes and login rules are matched against, or nil after having answered 400.
    @inline(__always)
    private func normalPath(
        _ client: Client, _ parser: UnsafeMutablePointer<RequestHead>, _ head: UnsafeRawBufferPointer
    ) -> UnsafeRawBufferPointer? {
        let range = parser.pointee.path
        // An absolute target without path, and `OPTIONS *`, ask for the host as a whole.
        if range.isEmpty || (range.count == 1 && head[range.lowerBound] == UInt8(ascii: "*")) { return rootPath }
        do throws(NormalPath.Fault) {
            return try NormalPath.normalise(range.octets(in: head), scratch: scratch)
        } catch {
            counters.add(.malformedRequests)
            skipHead(client)
            refuse(client, ProblemDocument(error, requestID: client.pointee.exchange.requestID), .rejected)
            return nil
        }
    }

    /// The service, or nil after having answered 404.
    @inline(__always)
    private func route(
        _ client: Client, _ parser: UnsafeMutablePointer<RequestHead>, _ head: UnsafeRawBufferPointer,
        _ path: UnsafeRawBufferPointer
    ) -> UnsafeMutablePointer<LoopService>? {
        let host =
            parser.pointee.authority.map { $0.whole.octets(in: head) } ?? UnsafeRawBufferPointer(start: nil, count: 0)
        let index = state.pointee.routes._withUnsafeGuaranteedRef { $0.service(host: host, path: path) }
        guard index != RouteTable.noService else {
            counters.add(.unroutedRequests)
            skipHead(client)
            refuse(client, ProblemDocument(.noRoute, requestID: client.pointee.exchange.requestID), .rejected)
            return nil
        }
        return state.pointee.services[index]
    }

    /// Who asks, or nil after having answered 401 or 403.
    @inline(__always)
    private func identify(
        _ client: Client, _ service: UnsafeMutablePointer<LoopService>,
        _ parser: UnsafeMutablePointer<RequestHead>, _ head: UnsafeRawBufferPointer
    ) -> IdentifiedCaller? {
        let authorization = parser.pointee.fields.firstValue(.authorization).map { $0.octets(in: head) }
        let apiKey = parser.pointee.fields.firstValue(.xAPIKey).map { $0.octets(in: head) }
        let key = PresentedKey(authorization: authorization, apiKey: apiKey)
        var caller = state.pointee.consumers._withUnsafeGuaranteedRef {
            $0.identify(
                key, certificate: presentedCertificate(client), service: Int(service.pointee.index),
                now: client.pointee.exchange.receivedAt, cache: consumerCache)
        }
        // Two keys in one request belong to nobody: servers differ on which of them counts.
        if parser.pointee.fields.isRepeated(key.source == .apiKeyField ? .xAPIKey : .authorization),
            key.source != .none
        {
            caller.verdict = .unknownCredential
        }
        if caller.verdict == .admitted { return caller }
        counters.add(.unidentifiedRequests)
        client.pointee.exchange.consumer = caller.consumer
        if caller.verdict == .notEntitled { client.pointee.exchange.flags.insert(.billable) }
        skipHead(client)
        if let problem = ProblemDocument(
            caller.verdict, service: serviceID(service), requestID: client.pointee.exchange.requestID)
        {
            refuse(client, problem, .rejected)
        }
        return nil
    }

    @inline(__always)
    func presentedCertificate(_ client: Client) -> PresentedCertificate? {
        guard let digests = client.pointee.certificate else { return nil }
        let bytes = UnsafeRawPointer(digests)
        return PresentedCertificate(certificate: KeyDigest(bytes: bytes), subject: KeyDigest(bytes: bytes + 32))
    }

    /// Whether the consumer has something left; false after having answered 429.
    @inline(__always)
    private func passesQuota(_ client: Client, _ caller: IdentifiedCaller) -> Bool {
        let now = client.pointee.exchange.receivedAt
        let quota = state.pointee.consumers._withUnsafeGuaranteedRef { $0.exhaustedQuota(of: caller.consumer, at: now) }
        guard let quota else { return true }
        skipHead(client)
        var problem = problem(.quotaExhausted, client)
        problem.quota = quota
        problem.retryAfterSeconds = quota.retryAfterSeconds(at: now)
        refuse(client, problem, .rejected)
        return false
    }

    /// What is refused before a place is asked for; false after having answered.
    @inline(__always)
    private func passesLimits(
        _ client: Client, _ service: UnsafeMutablePointer<LoopService>, _ parser: UnsafeMutablePointer<RequestHead>
    ) -> Bool {
        if case .length(let length) = parser.pointee.body, length > service.pointee.settings.maximumBodySize {
            skipHead(client)
            refuse(client, problem(.contentTooLarge, client), .rejected)
            return false
        }
        guard canBeMetered(client, service) else { return false }
        if service.pointee.settings.refusesUnaudited, mustBeAudited(client) {
            skipHead(client)
            refuse(client, problem(.unauditable, client), .failed)
            return false
        }
        return true
    }

    /// Whether there is room for the record of what is asked; false after having answered.
    @inline(__always)
    func canBeMetered(_ client: Client, _ service: UnsafeMutablePointer<LoopService>) -> Bool {
        if service.pointee.settings.servesUnmetered || spool.hasRoom(forBytes: recordBytesInFlight) { return true }
        counters.add(.unmeteredRefusals)
        skipHead(client)
        refuse(client, problem(.unmeterable, client), .failed)
        return false
    }

    /// Room for the records of all requests that this loop may have in flight: names are labels of 63 bytes at most.
    @inline(__always)
    private var recordBytesInFlight: Int { clients.inUse &* 512 }

    private func admit(
        _ client: Client, _ service: UnsafeMutablePointer<LoopService>, _ caller: IdentifiedCaller,
        _ parser: UnsafeMutablePointer<RequestHead>, _ head: UnsafeRawBufferPointer
    ) {
        let wait = preferredWait(parser, head, service)
        let hash = placementHash(client, caller.consumer)
        client.pointee.exchange.placementHash = hash
        let ticket = ticket(of: client)
        let now = client.pointee.exchange.receivedAt
        let decision = service.pointee.gate._withUnsafeGuaranteedRef {
            $0.admit(
                consumer: caller.consumer, hash: hash, ticket: ticket, now: now, wait: wait)
        }
        if case .rejected(let rejection) = decision {
            report(rejection, client, service, waiting: false)
            reject(client, service, rejection.refusal)
            return
        }
        let removesAuthorization = caller.credential >= 0 && caller.source == .bearer
        if let kind = prepareHead(client, parser, head, removesAuthorization: removesAuthorization) {
            giveUpPlace(client, decision, kind)
            return
        }
        switch decision {
        case .forward(let slot): forward(client, to: slot)
        case .queued(let handle, let deadline):
            waitInQueue(client, handle, until: deadline)
            reports.loadIsUrgent(service: service.pointee.number)
        case .waiting(let handle, let deadline, let rejection):
            client.pointee.exchange.flags.insert(.waitsAtLimit)
            report(rejection, client, service, waiting: true)
            waitInQueue(client, handle, until: deadline)
        case .rejected: break
        }
    }

    @inline(__always)
    func ticket(of client: Client) -> AdmissionTicket {
        AdmissionTicket(
            loop: UInt16(truncatingIfNeeded: index), slot: UInt32(truncatingIfNeeded: index(of: client)),
            generation: client.pointee.exchangeNumber)
    }

    @inline(__always)
    func placementHash(_ client: Client, _ consumer: ConsumerKey) -> UInt64 {
        // Anonymous callers are told apart by their addresses, or all of them would go to one instance.
        if consumer == ConsumerRegistry.anonymous { return StableBytes.stableHash(client.pointee.peerAddress) }
        return state.pointee.names._withUnsafeGuaranteedRef { $0.entry(consumer).hash }
    }

    func waitInQueue(_ client: Client, _ handle: WaitHandle, until deadline: Timestamp) {
        client.pointee.exchange.wait = handle
        client.pointee.phase = .queued
        timers.schedule(index(of: client), at: state.pointee.clock.monotonic(of: deadline))
    }
}
