import AuditMonitor
import CloudModel
import Credentials
import HTTP1
import Spool

/// The logins that pass through one loop at the moment: what the audit monitor captures of them, by the place of their
/// connection. Only requests that a login rule names come here, so it may allocate.
final class AuditTaps {
    let observer: String
    let tagger: SecretTagger
    let spool: SpoolDirectory
    let lockouts: GatewayLockouts
    private var taps: [Int: AuditTap] = [:]

    init(observer: String, tagger: SecretTagger, spool: SpoolDirectory, lockouts: GatewayLockouts) {
        self.spool = spool
        self.lockouts = lockouts
        self.observer = observer
        self.tagger = tagger
    }

    func add(_ tap: AuditTap, at place: Int) { taps[place] = tap }
    func remove(at place: Int) -> AuditTap? { taps.removeValue(forKey: place) }
    subscript(place: Int) -> AuditTap? { taps[place] }
}

/// One login on its way.
final class AuditTap {
    let capture: LoginCapture
    let method: String
    let path: String
    let userAgent: String
    /// Refused, since who tried is locked out.
    var isLockedOut = false
    private var requestChunks: ChunkedDecoder?
    private var responseChunks: ChunkedDecoder?

    init(_ capture: LoginCapture, method: String, path: String, userAgent: String, requestIsChunked: Bool) {
        self.capture = capture
        self.method = method
        self.path = path
        self.userAgent = userAgent
        if requestIsChunked { requestChunks = ChunkedDecoder() }
    }

    func beginResponse(isChunked: Bool) { responseChunks = isChunked ? ChunkedDecoder() : nil }

    /// Body bytes as they came, with their chunk framing.
    func takeRequest(_ bytes: UnsafeRawBufferPointer) {
        Self.pass(bytes, through: &requestChunks) { capture.takeRequestBody($0) }
    }

    func takeResponse(_ bytes: UnsafeRawBufferPointer) {
        guard capture.wantsResponseBody else { return }
        Self.pass(bytes, through: &responseChunks) { capture.takeResponseBody($0) }
    }

    /// The content of a body that is whole, with its chunk framing; nothing that comes later is different for it.
    func content(of body: UnsafeRawBufferPointer) -> SecretBuffer {
        var chunks = requestChunks.map { _ in ChunkedDecoder() }
        let content = SecretBuffer(capacity: body.count)
        Self.pass(body, through: &chunks) { content.append($0) }
        return content
    }

    private static func pass(
        _ bytes: UnsafeRawBufferPointer, through chunks: inout ChunkedDecoder?,
        to body: (UnsafeRawBufferPointer) -> Void
    ) {
        guard chunks != nil else {
            body(bytes)
            return
        }
        var offset = 0
        while case .payload(let start, let count)? = chunks?.next(in: bytes, from: &offset) {
            body(UnsafeRawBufferPointer(rebasing: bytes[start..<(start + count)]))
        }
    }
}

extension EventLoop {
    /// Begins to capture the request if a login rule names it.
    func beginAudit(
        _ client: Client, _ service: UnsafeMutablePointer<LoopService>, _ parser: UnsafeMutablePointer<RequestHead>,
        _ head: UnsafeRawBufferPointer, _ path: UnsafeRawBufferPointer
    ) {
        let rules = state.pointee.snapshot.services[Int(service.pointee.index)].loginRules
        guard let index = rules.match(method: parser.pointee.methodRange.octets(in: head), path: path) else { return }
        let capture = LoginCapture(rule: rules.rules[index], tagger: audits.tagger)
        let fields = AuditFields(parser, head)
        capture.takeRequestHead(authorization: fields.authorization, contentEncoding: fields.contentEncoding)
        audits.add(
            AuditTap(
                capture, method: parser.pointee.methodRange.string(in: head),
                path: parser.pointee.path.string(in: head), userAgent: fields.userAgent,
                requestIsChunked: parser.pointee.body == .chunked),
            at: self.index(of: client))
        client.pointee.exchange.flags.insert(.tapped)
    }

    /// Whether the request is a login that must not be served, since its event could not be stored now.
    func mustBeAudited(_ client: Client) -> Bool {
        guard client.pointee.exchange.flags.contains(.tapped), let tap = audits[index(of: client)],
            tap.capture.rule.whenUnauditable == .refuse
        else { return false }
        return audits.spool.isStoreAway || !spool.hasRoom(forBytes: LoginCapture.contentLimit)
    }

    /// The first `count` of `requestBytes` are body.
    @inline(__always)
    func audit(_ client: Client, requestBytes: UnsafeRawBufferPointer, _ count: Int) {
        guard client.pointee.exchange.flags.contains(.tapped) else { return }
        audits[index(of: client)]?.takeRequest(UnsafeRawBufferPointer(rebasing: requestBytes[..<count]))
    }

    func audit(_ client: Client, responseBytes: UnsafeRawBufferPointer, _ count: Int) {
        audits[index(of: client)]?.takeResponse(UnsafeRawBufferPointer(rebasing: responseBytes[..<count]))
    }

    /// Who tries to log in is to be known where the attempt is refused as well, as far as the body has come.
    func auditPrefix(_ client: Client) {
        guard !client.pointee.exchange.hasWholeRequest, !client.pointee.input.isEmpty else { return }
        let bytes = client.pointee.input.bytes
        var reader = client.pointee.exchange.requestBody
        audit(client, requestBytes: bytes, reader.read(bytes).consumed)
    }

    func auditHead(_ client: Client, _ parser: UnsafeMutablePointer<ResponseHead>, _ head: UnsafeRawBufferPointer) {
        guard let tap = audits[index(of: client)] else { return }
        tap.beginResponse(isChunked: parser.pointee.body == .chunked)
        tap.capture.takeResponseStatus(client.pointee.exchange.status)
        for index in 0..<parser.pointee.fields.count {
            let field = parser.pointee.fields[index]
            tap.capture.takeResponseField(name: field.name.octets(in: head), value: field.value.octets(in: head))
        }
    }

    /// The event goes into the spool beside the usage record, before the consumer has its answer.
    func finishAudit(_ client: Client, outcome: RequestOutcome, at now: Timestamp) {
        client.pointee.exchange.flags.remove(.tapped)
        guard let tap = audits.remove(at: index(of: client)), let service = client.pointee.exchange.service else {
            return
        }
        tap.capture.endRequest(complete: client.pointee.exchange.hasWholeRequest)
        let consumer = client.pointee.exchange.consumer
        let forwardedAt = client.pointee.exchange.forwardedAt
        let context = LoginContext(
            requestID: client.pointee.exchange.requestID, observer: audits.observer, service: serviceID(service),
            consumer: consumer == ConsumerRegistry.anonymous ? nil : consumerID(consumer),
            sourceAddress: String(decoding: client.pointee.peerAddress, as: UTF8.self), userAgent: tap.userAgent,
            method: tap.method, path: tap.path, receivedAt: client.pointee.exchange.receivedAt,
            forwardedAt: forwardedAt == .epoch ? nil : forwardedAt, respondedAt: now)
        let event = tap.capture.event(context, ending(client, outcome, tap))
        audits.lockouts.take(event, under: tap.capture.rule)
        if !spool.append(.audit(event)) { counters.add(.recordsRefused) }
    }

    private func ending(_ client: Client, _ outcome: RequestOutcome, _ tap: AuditTap) -> LoginCapture.Ending {
        let status = client.pointee.exchange.status
        if tap.isLockedOut { return .lockedOut(status: status) }
        if client.pointee.exchange.flags.contains(.refused) {
            let wasForwarded = client.pointee.exchange.forwardedAt != .epoch
            return wasForwarded ? .noResponse(status: status) : .refused(status: status)
        }
        guard client.pointee.exchange.flags.contains(.responseBegun) else { return .noResponse(status: 0) }
        return .responded(complete: outcome == .completed)
    }
}

/// The fields of a login's head that the audit monitor reads.
private struct AuditFields {
    var authorization: UnsafeRawBufferPointer?
    var contentEncoding: UnsafeRawBufferPointer?
    var userAgent: String

    init(_ parser: UnsafeMutablePointer<RequestHead>, _ head: UnsafeRawBufferPointer) {
        authorization = parser.pointee.fields.firstValue(.authorization).map { $0.octets(in: head) }
        contentEncoding = parser.pointee.fields.firstValue(.contentEncoding).map { $0.octets(in: head) }
        userAgent = parser.pointee.fields.firstValue(.userAgent).map { $0.string(in: head) } ?? ""
    }
}
