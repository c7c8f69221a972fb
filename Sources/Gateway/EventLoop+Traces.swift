import CGateway
import CloudModel
import HTTP1

// What a loop does for traces: nothing where there are none, and little for a request that is not sampled.

/// A loop's way to the traces.
struct LoopTraces {
    /// Keeps the ring.
    let traces: GatewayTraces
    let ring: AccessLogRing
    let contexts: TraceContexts
    /// Room for a `traceparent`.
    let text: UnsafeMutableRawPointer

    init(_ traces: GatewayTraces, loop: Int, connections: Int) throws(GatewayError) {
        self.traces = traces
        ring = traces.rings[loop]
        contexts = try TraceContexts(connections: connections)
        text = .allocate(byteCount: TraceContext.textLength, alignment: 8)
    }

    func deallocate() {
        contexts.deallocate()
        text.deallocate()
    }
}

extension EventLoop {
    /// Finds out which trace the request belongs to, and whether it is recorded.
    func beginTrace(_ client: Client, _ parser: UnsafeMutablePointer<RequestHead>, _ head: UnsafeRawBufferPointer) {
        guard let traces else { return }
        let request = client.pointee.exchange.requestID
        let context: TraceContext
        if let field = parser.pointee.fields.firstValue(.traceparent), !parser.pointee.fields.isRepeated(.traceparent),
            let continued = TraceContext(traceParent: field.octets(in: head), seed: request.low)
        {
            context = continued
        } else {
            context = TraceContext(beginning: request, threshold: traces.traces.threshold)
        }
        traces.contexts[index(of: client)] = context
        client.pointee.exchange.flags.insert(context.isSampled ? [.hasTrace, .sampled] : .hasTrace)
    }

    /// What the instance is told of the trace.
    func propagateTrace(_ client: Client, _ forwarding: inout RequestForwarding) {
        guard let traces else { return }
        let context = traces.contexts[index(of: client)]
        context.write(to: traces.text)
        forwarding.traceParent = UnsafeRawBufferPointer(start: traces.text, count: TraceContext.textLength)
        forwarding.removesTraceState = context.parent == 0
    }

    /// Keeps what the request's spans will say.
    func recordTrace(_ client: Client, _ outcome: RequestOutcome, bytesOut: UInt64) {
        guard let traces else { return }
        let exchange = client.pointee.exchange
        var figures = TraceFigures(
            context: traces.contexts[index(of: client)], backend: (0, 0, 0, 0), peerPort: client.pointee.peer.port,
            attempts: exchange.attempts, isSecure: client.pointee.isSecure,
            isHTTP2: client.pointee.transport == .stream, backendSpeaksHTTP2: false)
        if let service = exchange.service, let instance = servingInstance(client, service) {
            figures.backendSpeaksHTTP2 = instance.pointee.speaksHTTP2
            // All that an address of IPv4 or IPv6 says is in the first 32 bytes.
            withUnsafeBytes(of: &instance.pointee.address.storage) { bytes in
                figures.backend = bytes.loadUnaligned(as: (UInt64, UInt64, UInt64, UInt64).self)
            }
        }
        traces.ring.append(atMost: TraceFigures.size + AccessRecord.limit) { place in
            place.storeBytes(of: figures, as: TraceFigures.self)
            return TraceFigures.size
                + writeRecord(client, outcome, bytesOut: bytesOut, sampledOneIn: 1, to: place + TraceFigures.size)
        }
    }
}
