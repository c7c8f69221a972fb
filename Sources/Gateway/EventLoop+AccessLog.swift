import CloudModel
import HTTP1

// What a loop gives to the access log: two copies of less than a kilobyte each per request, and nothing where there is
// no log.

/// A loop's way to the access log.
struct LoopAccessLog {
    /// Keeps the ring.
    let log: AccessLog
    let ring: AccessLogRing

    init(_ log: AccessLog, loop: Int) {
        self.log = log
        ring = log.rings[loop]
    }
}

extension EventLoop {
    /// Keeps of the head what the log and the traces will say when the request has ended. Never the query.
    @inline(__always)
    func noteHead(_ client: Client, _ parser: UnsafeMutablePointer<RequestHead>, _ head: UnsafeRawBufferPointer) {
        guard notes != nil else { return }
        writeNote(client, parser, head)
    }

    @inline(never)
    private func writeNote(
        _ client: Client, _ parser: UnsafeMutablePointer<RequestHead>, _ head: UnsafeRawBufferPointer
    ) {
        let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
        notes?.write(index(of: client)) { text in
            switch text {
            case .method: parser.pointee.methodRange.octets(in: head)
            case .host: parser.pointee.authority.map { $0.whole.octets(in: head) } ?? nothing
            case .path: parser.pointee.path.isEmpty ? rootPath : parser.pointee.path.octets(in: head)
            case .referer: parser.pointee.fields.firstValue(.referer).map { $0.octets(in: head) } ?? nothing
            case .userAgent: parser.pointee.fields.firstValue(.userAgent).map { $0.octets(in: head) } ?? nothing
            case .client, .consumer, .service, .instance: nothing
            }
        }
        client.pointee.exchange.flags.insert(.noted)
        beginTrace(client, parser, head)
    }

    /// The request has ended: what the log and the traces say of it.
    @inline(__always)
    func observe(_ client: Client, _ outcome: RequestOutcome, bytesOut: UInt64) {
        guard notes != nil else { return }
        logAccess(client, outcome, bytesOut: bytesOut)
        if client.pointee.exchange.flags.contains(.sampled) { recordTrace(client, outcome, bytesOut: bytesOut) }
    }

    /// Puts the request into the log, if it is one of those that are. Answers of 500 and more always are, unless the
    /// service logs nothing at all.
    @inline(__always)
    private func logAccess(_ client: Client, _ outcome: RequestOutcome, bytesOut: UInt64) {
        guard accessLog != nil else { return }
        let oneIn = client.pointee.exchange.service?.pointee.settings.accessLogOneIn ?? 1
        guard oneIn > 0 else { return }
        // The low half of a request's id is random.
        let isSampled = oneIn == 1 || client.pointee.exchange.requestID.low % UInt64(oneIn) == 0
        guard isSampled || client.pointee.exchange.status >= 500 else { return }
        appendAccess(client, outcome, bytesOut: bytesOut, sampledOneIn: isSampled ? oneIn : 1)
    }

    @inline(never)
    private func appendAccess(_ client: Client, _ outcome: RequestOutcome, bytesOut: UInt64, sampledOneIn: UInt32) {
        accessLog?.ring.append(atMost: AccessRecord.limit) { place in
            writeRecord(client, outcome, bytesOut: bytesOut, sampledOneIn: sampledOneIn, to: place)
        }
    }

    /// Writes the request's record, at most `AccessRecord.limit` octets; gives back how many.
    func writeRecord(
        _ client: Client, _ outcome: RequestOutcome, bytesOut: UInt64, sampledOneIn: UInt32,
        to place: UnsafeMutableRawPointer
    ) -> Int {
        let exchange = client.pointee.exchange
        let hasHead = exchange.flags.contains(.noted)
        let forwarded = exchange.forwardedAt != .epoch
        let now = state.pointee.clock.timestamp
        var figures = AccessRecord.Figures(
            requestID: exchange.requestID,
            receivedAt: exchange.receivedAt == .epoch ? now : exchange.receivedAt,
            duration: exchange.receivedMonotonic == 0
                ? 0 : state.pointee.clock.monotonic &- exchange.receivedMonotonic,
            instanceDuration: forwarded ? max(0, (now - exchange.forwardedAt).microseconds) : -1,
            bytesIn: exchange.bytesIn, bytesOut: bytesOut, sampledOneIn: sampledOneIn, status: exchange.status,
            outcome: outcome, isHTTP10: exchange.flags.contains(.clientIsHTTP10),
            lengths: AccessRecord.InlineLengths())
        var end = MemoryLayout<AccessRecord.Figures>.stride
        func add(_ text: AccessRecord.Text, _ bytes: UnsafeRawBufferPointer) {
            let count = min(bytes.count, text.limit)
            if count > 0, let base = bytes.baseAddress { (place + end).copyMemory(from: base, byteCount: count) }
            figures.lengths[text] = count
            end += count
        }
        add(.client, client.pointee.peerAddress)
        if let service = exchange.service {
            add(.consumer, state.pointee.names._withUnsafeGuaranteedRef { $0.entry(exchange.consumer).name })
            add(.service, service.pointee.name)
            if let instance = servingInstance(client, service) {
                add(.instance, UnsafeRawBufferPointer(instance.pointee.name))
            }
        }
        if hasHead { end += notes?.copy(index(of: client), to: place + end, &figures.lengths) ?? 0 }
        place.storeBytes(of: figures, as: AccessRecord.Figures.self)
        return end
    }
}
