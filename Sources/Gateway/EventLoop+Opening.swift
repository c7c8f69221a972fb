import CGateway
import CloudModel
import Glibc
import Logging

// Before a connection's first request: the PROXY header of a load balancer in front, and the TLS handshake. Who is slow
// at it can hold little: its time is limited, and where too many are at it, the one that began first has to go.

/// The connections that are not open yet, in the order in which they began: a list through the slab.
struct OpeningList {
    static let none = UInt32.max

    private(set) var count = 0
    private(set) var oldest = none
    private var newest = none

    mutating func append(_ client: Client, in clients: Slab<ClientConnection>) {
        let index = UInt32(truncatingIfNeeded: client - clients.base)
        client.pointee.previousOpening = newest
        client.pointee.nextOpening = Self.none
        if newest == Self.none { oldest = index } else { clients[Int(newest)].pointee.nextOpening = index }
        newest = index
        count += 1
    }

    mutating func remove(_ client: Client, in clients: Slab<ClientConnection>) {
        let (previous, next) = (client.pointee.previousOpening, client.pointee.nextOpening)
        if previous == Self.none { oldest = next } else { clients[Int(previous)].pointee.nextOpening = next }
        if next == Self.none { newest = previous } else { clients[Int(next)].pointee.previousOpening = previous }
        count -= 1
    }
}

extension EventLoop {
    /// A connection that may have to be opened before it can be used: then it is `opening`.
    func beginOpening(_ client: Client) {
        if isTrustedProxy(client) { client.pointee.flags.insert(.awaitsProxyHeader) }
        guard acceptingContext(client) != nil || client.pointee.flags.contains(.awaitsProxyHeader) else {
            return
        }
        client.pointee.phase = .opening
        state.pointee.openings.append(client, in: clients)
        timers.schedule(
            index(of: client), at: state.pointee.clock.monotonic + configuration.timeouts.handshake.microseconds)
        if state.pointee.openings.count > configuration.limits.openingsPerLoop {
            counters.add(.handshakesDisplaced)
            close(clients[Int(state.pointee.openings.oldest)])
        }
    }

    private func isTrustedProxy(_ client: Client) -> Bool {
        let trusted = trustedProxies(client)
        guard !trusted.isEmpty,
            let address = IPAddressBits(String(decoding: client.pointee.peerAddress, as: UTF8.self))
        else { return false }
        return trusted.contains { $0.contains(address) }
    }

    /// Goes on with what comes before the first request as far as what has come allows.
    func continueOpening(_ client: Client) {
        if client.pointee.flags.contains(.awaitsProxyHeader), !readProxyHeader(client) { return }
        if client.pointee.tls == nil {
            guard let context = acceptingContext(client) else {
                opened(client)
                return
            }
            guard let tls = cgateway_tls_open(context.pointer, client.pointee.descriptor) else {
                warn("no memory for a TLS connection", error: ENOMEM)
                close(client)
                return
            }
            client.pointee.transport = .tls
            client.pointee.tls = tls
        }
        shakeHands(client)
    }

    private func shakeHands(_ client: Client) {
        guard let tls = client.pointee.tls else { return }
        let result = cgateway_tls_handshake(tls)
        if result == -EAGAIN {
            if client.pointee.flags.contains(.broken) { openingFailed(client, error: ECONNRESET) }
            return
        }
        guard result == 0 else {
            openingFailed(client, error: -result)
            return
        }
        counters.add(.tlsHandshakes)
        if cgateway_tls_is_resumed(tls) { counters.add(.tlsResumptions) }
        client.pointee.isSecure = true
        client.pointee.certificate = cgateway_tls_peer(tls)
        opened(client)
    }

    private func opened(_ client: Client) {
        state.pointee.openings.remove(client, in: clients)
        client.pointee.phase = .idle
        // The first request may have come with what was before it.
        client.pointee.flags.insert(.readable)
        if isTCP(client) {
            beginConnection(client)
            return
        }
        timers.schedule(
            index(of: client), at: state.pointee.clock.monotonic + configuration.timeouts.requestHead.microseconds)
        receiveHead(client)
    }

    /// Who the consumer is, from the load balancer in front. False where it has not wholly come, or was none and the
    /// connection was closed.
    private func readProxyHeader(_ client: Client) -> Bool {
        let room = min(ProxyHeader.maximumLength, scratch.count)
        let count = cgateway_peek(client.pointee.descriptor, scratch.baseAddress!, room)
        if count == -Int(EAGAIN) { return false }
        var outcome = ProxyHeader.Outcome.malformed
        if count > 0 { outcome = ProxyHeader.parse(UnsafeRawBufferPointer(rebasing: scratch[..<count])) }
        switch outcome {
        case .incomplete where client.pointee.flags.isDisjoint(with: [.peerFinished, .broken]): return false
        case .complete(let length, let source):
            // What was looked at is there: this takes it out.
            guard cgateway_receive(client.pointee.descriptor, scratch.baseAddress!, length) == length else { break }
            client.pointee.flags.remove(.awaitsProxyHeader)
            if let source {
                withUnsafeBytes(of: source.address.bits.bigEndian) { bytes in
                    cgateway_format_address(
                        bytes.baseAddress!.assumingMemoryBound(to: UInt8.self), source.port, &client.pointee.peer)
                }
            }
            return true
        case .incomplete, .malformed: break
        }
        counters.add(.proxyHeaderFaults)
        close(client)
        return false
    }

    /// OpenSSL has told the peer what is wrong; that it can read it, the rest of its bytes are read before closing.
    private func openingFailed(_ client: Client, error: Int32) {
        counters.add(.tlsFailures)
        if logger.logLevel <= .debug, let tls = client.pointee.tls {
            let address = client.pointee.peerAddress
            logger.debug(
                "a TLS handshake failed",
                metadata: [
                    "peer": "\(String(decoding: address, as: UTF8.self))", "error": "\(error)",
                    "reason": "\(String(cString: cgateway_tls_reason(tls)))",
                ])
        }
        let isAnswered = error == EPROTO || error == EKEYREJECTED
        guard isAnswered, client.pointee.flags.isDisjoint(with: [.peerFinished, .broken]) else {
            close(client)
            return
        }
        state.pointee.openings.remove(client, in: clients)
        client.pointee.flags.insert(.readable)
        linger(client)
    }
}
