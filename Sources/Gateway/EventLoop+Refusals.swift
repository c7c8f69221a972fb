import CGateway
import CloudModel
import HTTP1
import ScalingListener

// Answers of the gateway's own.

extension ProblemKind {
    /// What a fault in a request is answered with.
    init(_ fault: MessageFault) {
        switch fault.status {
        case 413: self = .contentTooLarge
        case 414: self = .targetTooLong
        case 417: self = .expectationFailed
        case 431: self = .headTooLarge
        case 501: self = .notImplemented
        case 505: self = .versionNotSupported
        default: self = .malformedRequest
        }
    }

    /// What a request is answered with whose instance failed before it had answered.
    init(_ failure: BackendFailure) {
        switch failure {
        case .connectTimeout: self = .gatewayTimeout
        case .untrusted: self = .untrustedInstance
        case .connectionRefused, .connectionReset, .responseTimeout, .malformedResponse: self = .badGateway
        }
    }
}

extension EventLoop {
    func serviceID(_ service: UnsafeMutablePointer<LoopService>) -> ServiceID {
        service.pointee.gate._withUnsafeGuaranteedRef { $0.service }
    }

    /// A problem of the client's present request.
    func problem(_ kind: ProblemKind, _ client: Client, detail: StaticString? = nil) -> ProblemDocument {
        ProblemDocument(
            kind, detail: detail, service: client.pointee.exchange.service.map { serviceID($0) },
            requestID: client.pointee.exchange.requestID)
    }

    /// The scaling listener's refusal: 429 or 503 with the constraint, its limit, and when to come back.
    func reject(_ client: Client, _ service: UnsafeMutablePointer<LoopService>, _ refusal: AdmissionRefusal) {
        counters.add(.rejected, service: service.pointee.number)
        service.pointee.traffic.add(.refusals)
        if client.pointee.exchange.flags.contains(.tapped) { auditPrefix(client) }
        let problem = ProblemDocument(
            refusal, maximumWait: TimeSpan(microseconds: service.pointee.settings.maximumWait),
            service: serviceID(service), requestID: client.pointee.exchange.requestID,
            changeContact: configuration.changeRequestContact)
        refuse(client, problem, .rejected)
    }

    /// The head itself is malformed: nobody knows where the next request begins.
    func refuseMalformed(_ client: Client, _ fault: MessageFault) {
        counters.add(.malformedRequests)
        refuseBeforeRequest(
            client, ProblemDocument(ProblemKind(fault), detail: fault.explanation, requestID: nil))
    }

    /// Answers where there is no request yet, and closes.
    func refuseBeforeRequest(_ client: Client, _ problem: ProblemDocument) {
        if let parser = client.pointee.parser {
            parsers.give(parser)
            client.pointee.parser = nil
        }
        client.pointee.exchange = .none
        client.pointee.exchange.requestID = state.pointee.requestIDs.requestID()
        client.pointee.exchange.flags = .active
        var problem = problem
        problem.requestID = client.pointee.exchange.requestID
        buffers.release(&client.pointee.input)
        client.pointee.flags.insert(.lingers)
        refuse(client, problem, .rejected)
    }

    /// The head has been read and its body is not going anywhere.
    func skipHead(_ client: Client) {
        client.pointee.input.start += Int(client.pointee.exchange.bytesIn)
    }

    /// Answers with the problem, books it where somebody is to be billed, and goes on with the connection if the next
    /// request's beginning is known. Whatever the exchange held has been given back before.
    func refuse(_ client: Client, _ problem: ProblemDocument, _ outcome: RequestOutcome) {
        client.pointee.exchange.status = problem.status
        client.pointee.exchange.flags.insert(.refused)
        if isTCP(client) {
            refuseConnection(client, outcome)
            return
        }
        let keepsAlive = keepsAliveAfterRefusal(client, problem)
        buffers.release(&client.pointee.exchange.head)
        if client.pointee.input.isEmpty { buffers.release(&client.pointee.input) }
        if !client.pointee.output.isHeld { client.pointee.output = buffers.acquire() }
        let start = client.pointee.output.end
        let room = UnsafeMutableRawBufferPointer(
            start: client.pointee.output.base! + start, count: buffers.bufferSize - start)
        var writer = OctetWriter(room)
        write(problem, client, keepsAlive: keepsAlive, to: &writer)
        if !keepsAlive { client.pointee.flags.insert(.closesAfterFlush) }
        guard let written = writer.written else {
            // Interim responses that the consumer does not take fill the buffer: it will not take this either.
            abandon(client, outcome: .abortedByConsumer)
            close(client, withReset: true)
            return
        }
        client.pointee.output.end = start + written
        book(client, outcome: outcome, pending: client.pointee.output.count)
        client.pointee.phase = .flushing
        scheduleFlush(client)
        flush(client)
    }

    private func keepsAliveAfterRefusal(_ client: Client, _ problem: ProblemDocument) -> Bool {
        let wants =
            client.pointee.exchange.flags.contains(.keepAlive) && !problem.closesConnection
            && !state.pointee.isDraining && client.pointee.flags.isDisjoint(with: [.peerFinished, .broken])
            && Int(client.pointee.requestsServed) + 1 < configuration.limits.requestsPerConnection
        if wants, !client.pointee.exchange.hasWholeRequest, !client.pointee.input.isEmpty {
            // A body that has come with its head is stepped over; one that is still to come ends the connection.
            let progress = client.pointee.exchange.requestBody.read(client.pointee.input.bytes)
            client.pointee.input.start += progress.consumed
            client.pointee.exchange.bytesIn += UInt64(progress.consumed)
        }
        let isWhole = client.pointee.exchange.hasWholeRequest && client.pointee.exchange.bodyPending == 0
        if !isWhole { client.pointee.flags.insert(.lingers) }
        return wants && isWhole
    }

    private func write(
        _ problem: ProblemDocument, _ client: Client, keepsAlive: Bool, to writer: inout OctetWriter
    ) {
        let fields = UnsafeMutableRawBufferPointer(rebasing: scratch[..<ProblemDocument.maximumFieldsSize])
        let body = UnsafeMutableRawBufferPointer(
            rebasing: scratch[ProblemDocument.maximumFieldsSize..<(ProblemDocument.maximumFieldsSize + 2_048)])
        let fieldCount = problem.writeFields(into: fields)
        let bodyCount = problem.writeBody(into: body)
        writeHex(client.pointee.exchange.requestID, to: requestIDText)
        writer.beginResponse(status: Int(problem.status))
        writer.append(UnsafeRawBufferPointer(rebasing: fields[..<fieldCount]))
        writer.appendField("content-length", decimal: UInt64(bodyCount))
        let isHTTP10 = client.pointee.exchange.flags.contains(.clientIsHTTP10)
        writer.appendConnection(keepsAlive: keepsAlive, version: isHTTP10 ? .http10 : .http11)
        writer.appendField("date", date)
        writer.appendField("x-request-id", UnsafeRawBufferPointer(start: requestIDText, count: 32))
        writer.appendLineEnd()
        if client.pointee.exchange.method != .head {
            writer.append(UnsafeRawBufferPointer(rebasing: body[..<bodyCount]))
        }
    }

    /// Until when the consumer may take to read an answer that is whole.
    func scheduleFlush(_ client: Client) {
        let span =
            client.pointee.exchange.service?.pointee.settings.idleTimeout
            ?? configuration.timeouts.requestHead.microseconds
        timers.schedule(index(of: client), at: state.pointee.clock.monotonic + span)
    }
}

extension EventLoop {
    /// How long the consumer is ready to wait at a limit: `wait` of RFC 7240, section 4.3, in seconds. Zero where it
    /// did not ask, or asked in a way that is none.
    @inline(__always)
    func preferredWait(
        _ parser: UnsafeMutablePointer<RequestHead>, _ head: UnsafeRawBufferPointer,
        _ service: UnsafeMutablePointer<LoopService>
    ) -> TimeSpan {
        guard parser.pointee.fields.contains(.prefer) else { return .zero }
        for index in 0..<parser.pointee.fields.count where parser.pointee.fields[index].known == .prefer {
            if let seconds = PreferredWait.seconds(parser.pointee.fields[index].value.octets(in: head)) {
                return min(.seconds(Int64(seconds)), TimeSpan(microseconds: service.pointee.settings.maximumWait))
            }
        }
        return .zero
    }
}

/// Reads `wait=N` out of a Prefer field (RFC 7240).
package enum PreferredWait {
    /// Nil where the field has none. More than a day counts as a day.
    package static func seconds(_ value: UnsafeRawBufferPointer) -> Int? {
        var start = 0
        while start < value.count {
            var end = start
            while end < value.count, value[end] != UInt8(ascii: ",") { end += 1 }
            if let seconds = preference(UnsafeRawBufferPointer(rebasing: value[start..<end])) { return seconds }
            start = end + 1
        }
        return nil
    }

    /// `wait [ BWS ] "=" [ BWS ] N`, parameters behind a semicolon being ignored.
    private static func preference(_ text: UnsafeRawBufferPointer) -> Int? {
        var index = 0
        func skipSpace() { while index < text.count, text[index] == 0x20 || text[index] == 0x09 { index += 1 } }
        skipSpace()
        for letter in "wait".utf8 {
            guard index < text.count, text[index] | 0x20 == letter else { return nil }
            index += 1
        }
        skipSpace()
        guard index < text.count, text[index] == UInt8(ascii: "=") else { return nil }
        index += 1
        skipSpace()
        var seconds = 0
        let first = index
        while index < text.count, text[index] &- 0x30 < 10 {
            seconds = min(seconds * 10 + Int(text[index] - 0x30), 86_400)
            index += 1
        }
        guard index > first else { return nil }
        skipSpace()
        return index == text.count || text[index] == UInt8(ascii: ";") ? seconds : nil
    }
}
