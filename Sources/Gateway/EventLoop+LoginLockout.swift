import AuditMonitor
import CloudModel
import Credentials
import HTTP1
import Synchronization

/// Who is locked out at the login rules of a gateway's services, for all of its loops. Only logins that a rule with a
/// lockout names come here, for the time of a look into a table.
final class GatewayLockouts: Sendable {
    private let lockouts = Mutex(RuleLockouts())

    func lockedUntil(
        _ principal: String, of service: ServiceID, from address: String, under rule: LoginRule.Lockout,
        at now: Timestamp
    ) -> Timestamp? {
        lockouts.withLock { $0.lockedUntil(principal, of: service, from: address, under: rule, at: now) }
    }

    func take(_ event: AuditEvent, under rule: LoginRule) {
        guard let lockout = rule.lockout else { return }
        lockouts.withLock { $0.take(event, under: lockout) }
    }
}

extension EventLoop {
    /// What becomes of a login whose rule locks out.
    private enum LoginJudgement {
        case passes
        /// Who it names is not known before more of it has come.
        case waits
        case refused(ProblemKind, retryAfterSeconds: Int)
    }

    /// Whether a login is held back for its content, or was answered. Nothing of it has gone to an instance; what it
    /// holds is the buffer that it was received into.
    ///
    /// - Parameter expectsContinue: its consumer waits for 100 before it sends the content.
    func holdsLogin(_ client: Client, expectsContinue: Bool) -> Bool {
        guard let tap = audits[index(of: client)], let lockout = tap.capture.rule.lockout else { return false }
        switch judge(client, tap, lockout) {
        case .passes: return false
        case .waits where expectsContinue && isTooLong(client.pointee.exchange.requestBody.framing):
            refuseLogin(client, .contentTooLarge, retryAfterSeconds: 0)
        case .waits:
            client.pointee.phase = .holding
            if expectsContinue, !inviteBody(client) { return true }
            timers.schedule(
                index(of: client),
                at: state.pointee.clock.monotonic + configuration.timeouts.requestHead.microseconds)
            // What has come already, its end among it, is told by nobody again.
            if client.pointee.flags.contains(.readable) { state.pointee.ready.push(client, in: clients) }
        case .refused(let kind, let seconds): refuseLogin(client, kind, retryAfterSeconds: seconds)
        }
        return true
    }

    /// Whether more is announced than is read of a login.
    private func isTooLong(_ framing: BodyFraming) -> Bool {
        if case .length(let length) = framing { length > LoginCapture.contentLimit } else { false }
    }

    /// Answers 100: the instance, which would, is not asked before the content is there (RFC 9110, section 10.1.1).
    /// False where the consumer has gone.
    private func inviteBody(_ client: Client) -> Bool {
        client.pointee.exchange.flags.insert(.bodyInvited)
        if !client.pointee.output.isHeld { client.pointee.output = buffers.acquire() }
        let end = client.pointee.output.end
        var writer = OctetWriter(
            UnsafeMutableRawBufferPointer(
                start: client.pointee.output.base! + end, count: buffers.bufferSize - end))
        writer.appendContinue()
        client.pointee.output.end = end + (writer.written ?? 0)
        // What is not taken now goes with what follows it.
        _ = sendOutput(client)
        return client.pointee.phase == .holding
    }

    /// Goes on with a login that is held back, with what has come of it.
    func driveHeld(_ client: Client) {
        guard !client.pointee.flags.contains(.broken), let tap = audits[index(of: client)],
            let lockout = tap.capture.rule.lockout
        else {
            heldLeft(client)
            return
        }
        if !client.pointee.output.isEmpty, !sendOutput(client) { return }
        while client.pointee.flags.contains(.readable) {
            switch receive(client) {
            case .some(true): break
            case .some(false):
                heldLeft(client)
                return
            case .none: return
            }
            switch judge(client, tap, lockout) {
            case .passes:
                passHeld(client)
                return
            case .waits: continue
            case .refused(let kind, let seconds):
                refuseLogin(client, kind, retryAfterSeconds: seconds)
                return
            }
        }
    }

    /// Who it named is on record, as far as that had come.
    private func heldLeft(_ client: Client) {
        skipHead(client)
        auditPrefix(client)
        consumerLeft(client)
    }

    /// The rest of its body did not come in time.
    func heldTimedOut(_ client: Client) { refuseLogin(client, .requestTimeout, retryAfterSeconds: 0) }

    private func judge(_ client: Client, _ tap: AuditTap, _ lockout: LoginRule.Lockout) -> LoginJudgement {
        guard tap.capture.isNamedByContent else {
            return judge(client, tap.capture.named(in: .init(start: nil, count: 0)), lockout)
        }
        let head = Int(client.pointee.exchange.bytesIn)
        let body = UnsafeRawBufferPointer(rebasing: client.pointee.input.bytes.dropFirst(head))
        var reader = client.pointee.exchange.requestBody
        let progress = reader.read(body)
        if let fault = progress.fault { return .refused(ProblemKind(fault), retryAfterSeconds: 0) }
        guard reader.isComplete else {
            // The last of these leaves room for a chunk's size beside its content.
            let room = buffers.receiveCapacity - client.pointee.input.count
            let isWithin = body.count < LoginCapture.contentLimit && room > 64
            return isWithin ? .waits : .refused(.contentTooLarge, retryAfterSeconds: 0)
        }
        let content = tap.content(of: UnsafeRawBufferPointer(rebasing: body[..<progress.consumed]))
        defer { content.wipe() }
        guard content.bytes.count <= LoginCapture.contentLimit else {
            return .refused(.contentTooLarge, retryAfterSeconds: 0)
        }
        return judge(client, tap.capture.named(in: content.bytes), lockout)
    }

    private func judge(
        _ client: Client, _ named: LoginCapture.Named, _ lockout: LoginRule.Lockout
    ) -> LoginJudgement {
        let principal: String
        switch named {
        case .nobody: return .passes
        case .uncertain: return .refused(.unreadableLogin, retryAfterSeconds: 0)
        case .principal(let name): principal = name
        }
        guard let service = client.pointee.exchange.service else { return .passes }
        let now = state.pointee.clock.timestamp
        let end = audits.lockouts.lockedUntil(
            principal, of: serviceID(service),
            from: String(decoding: client.pointee.peerAddress, as: UTF8.self), under: lockout, at: now)
        guard let end else { return .passes }
        audits[index(of: client)]?.isLockedOut = true
        return .refused(.lockedOut, retryAfterSeconds: Int(clamping: (end - now).microseconds / 1_000_000 + 1))
    }

    private func refuseLogin(_ client: Client, _ kind: ProblemKind, retryAfterSeconds: Int) {
        skipHead(client)
        takeHeldBody(client)
        let tooLarge: StaticString = "The login is longer than what is read of one before it goes on (16 KiB)."
        var problem = problem(kind, client, detail: kind == .contentTooLarge ? tooLarge : nil)
        problem.retryAfterSeconds = retryAfterSeconds
        refuse(client, problem, .rejected)
    }

    /// What has come of it, for good: a login that is whole is not one that was cut off.
    private func takeHeldBody(_ client: Client) {
        guard !client.pointee.input.isEmpty else { return }
        let bytes = client.pointee.input.bytes
        let consumed = client.pointee.exchange.requestBody.read(bytes).consumed
        audit(client, requestBytes: bytes, consumed)
        client.pointee.exchange.bytesIn += UInt64(consumed)
        client.pointee.input.start += consumed
    }

    /// All of it is there, and it may go on: as if its head had come with its body.
    private func passHeld(_ client: Client) {
        if client.pointee.flags.contains(.peerFinished) { client.pointee.flags.insert(.halfClosed) }
        client.pointee.phase = .idle
        let parser = parsers.request
        defer { parser.pointee.reset() }
        guard case .complete(let length) = parser.pointee.parse(client.pointee.input.bytes) else {
            preconditionFailure("a head that was whole has changed")
        }
        passLogin(client, parser, headLength: length)
    }
}
