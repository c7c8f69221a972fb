import CGateway
import CloudModel
import Glibc
import Logging

// Between the connection to an instance and its first request: the PROXY header and the TLS handshake, as far as the
// service asks for them. The time for connecting counts until all is done.

extension EventLoop {
    /// Whether the service's instances can be reached as it asks for: never in clear where it wants TLS.
    @inline(__always)
    func mayBeSpokenTo(_ client: Client) -> Bool {
        guard let service = client.pointee.exchange.service else { return true }
        return !service.pointee.settings.speaksTLS || service.pointee.tlsContext != nil
    }

    /// False where there is no memory.
    func prepareOpening(_ upstream: Upstream, _ service: UnsafeMutablePointer<LoopService>) -> Bool {
        if service.pointee.settings.proxyProtocol != nil {
            upstream.pointee.flags.formUnion([.owesProxyHeader, .isProxied])
        }
        guard service.pointee.settings.speaksTLS else { return true }
        guard let context = service.pointee.tlsContext,
            let tls = cgateway_tls_open(context, upstream.pointee.descriptor)
        else { return false }
        upstream.pointee.transport = .tls
        upstream.pointee.tls = tls
        return true
    }

    /// Says who the consumer is. A fresh connection takes these few bytes at once, or is of no use.
    func sendProxyHeader(_ client: Client, _ upstream: Upstream) -> Bool {
        upstream.pointee.flags.remove(.owesProxyHeader)
        guard let version = upstream.pointee.service.pointee.settings.proxyProtocol else { return true }
        var local = cgateway_address_text()
        guard cgateway_local_address(client.pointee.descriptor, &local),
            let source = peer(client.pointee.peer), let destination = peer(local)
        else { return false }
        let count = ProxyHeader.write(version, source: source, destination: destination, to: scratch)
        return cgateway_send(upstream.pointee.descriptor, scratch.baseAddress!, count) == count
    }

    private func peer(_ text: cgateway_address_text) -> ProxyHeader.Peer? {
        withUnsafeBytes(of: text.bytes) { bytes in
            IPAddressBits(String(decoding: bytes.prefix(Int(text.length)), as: UTF8.self))
        }.map { ProxyHeader.Peer(address: $0, port: text.port) }
    }

    /// True where nothing is left to do before the first request, nil where more is awaited, false where the instance
    /// is not who it should be.
    func shakeHands(_ upstream: Upstream) -> Bool? {
        guard let tls = upstream.pointee.tls else { return true }
        let result = cgateway_tls_handshake(tls)
        if result == 0 { return true }
        if result == -EAGAIN, !upstream.pointee.flags.contains(.broken) { return nil }
        counters.add(.instanceTLSFailures)
        let now = state.pointee.clock.monotonic
        if now >= state.pointee.nextWarning {
            state.pointee.nextWarning = now + 1_000_000
            logger.warning(
                "a TLS handshake with an instance failed",
                metadata: [
                    "service": "\(serviceID(upstream.pointee.service))", "error": "\(-result)",
                    "reason": "\(String(cString: cgateway_tls_reason(tls)))",
                ])
        }
        return false
    }
}
