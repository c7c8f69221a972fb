public import CloudModel

/// What the gateway counted since its start, over all loops: the source of `/metrics`.
public struct GatewayStatistics: Sendable {
    public struct Service: Sendable {
        public var id: ServiceID
        /// Answers by the hundreds digit of their status: 1 to 5.
        public var answersByClass: [Int: UInt64]
        public var rejected: UInt64
        public var retries: UInt64
        public var failed: UInt64
    }

    public var connectionsOpen: UInt64
    /// As of the last second or snapshot.
    public var buffersInUse: UInt64
    /// Connections to instances, idle ones included; as of the last second or snapshot.
    public var upstreamConnectionsOpen: UInt64
    /// By name in snake case, as a metric's name has it; totals.
    public var totals: [(name: String, value: UInt64)]
    /// Processor time in user mode of each loop, in microseconds.
    public var loopUserMicroseconds: [UInt64]
    public var services: [Service]
    /// Events that the control plane was too slow to take.
    public var droppedEvents: UInt64
    /// Lines of the access log, and requests that it should have had and has not; nil where there is none.
    public var accessLog: (written: UInt64, dropped: UInt64)?

    init(
        _ loops: [LoopCounters], services: [(id: ServiceID, number: Int)], droppedEvents: UInt64,
        accessLog: (written: UInt64, dropped: UInt64)?
    ) {
        func sum(_ event: LoopCounters.Event) -> UInt64 { loops.reduce(0) { $0 + $1.value(event) } }
        let accepted = sum(.connectionsAccepted)
        connectionsOpen = accepted - min(accepted, sum(.connectionsClosed))
        buffersInUse = sum(.buffersInUse)
        upstreamConnectionsOpen = sum(.upstreamsOpen)
        let others: Set<LoopCounters.Event> = [.userMicroseconds, .buffersInUse, .upstreamsOpen]
        totals = LoopCounters.Event.allCases.filter { !others.contains($0) }.map { ($0.metricName, sum($0)) }
        loopUserMicroseconds = loops.map { $0.value(.userMicroseconds) }
        self.droppedEvents = droppedEvents
        self.accessLog = accessLog
        self.services = services.map { service in
            func sum(_ event: LoopCounters.ServiceEvent) -> UInt64 {
                loops.reduce(0) { $0 + $1.value(event, service: service.number) }
            }
            return Service(
                id: service.id,
                answersByClass: [
                    1: sum(.informational), 2: sum(.successful), 3: sum(.redirected), 4: sum(.clientErrors),
                    5: sum(.serverErrors),
                ],
                rejected: sum(.rejected), retries: sum(.retries), failed: sum(.failed))
        }
    }

    /// The total of that name; 0 where there is none.
    public func total(_ name: String) -> UInt64 { totals.first { $0.name == name }?.value ?? 0 }
}

extension LoopCounters.Event {
    var metricName: String {
        switch self {
        case .connectionsAccepted: "connections_accepted"
        case .connectionsClosed: "connections_closed"
        case .acceptPauses: "accept_pauses"
        case .requests: "requests"
        case .malformedRequests: "malformed_requests"
        case .unroutedRequests: "unrouted_requests"
        case .unidentifiedRequests: "unidentified_requests"
        case .unmeteredRefusals: "unmetered_refusals"
        case .upstreamConnections: "upstream_connections"
        case .upstreamReuses: "upstream_reuses"
        case .upstreamFailures: "upstream_failures"
        case .staleRetries: "stale_retries"
        case .retries: "retries"
        case .retriesRefused: "retries_refused"
        case .consumerAborts: "consumer_aborts"
        case .instanceAborts: "instance_aborts"
        case .tunnels: "tunnels"
        case .timeouts: "timeouts"
        case .http2Connections: "http2_connections"
        case .http2Streams: "http2_streams"
        case .http2StreamsRefused: "http2_streams_refused"
        case .http2Floods: "http2_floods"
        case .http2InstanceStreams: "http2_instance_streams"
        case .bytesIn: "bytes_in"
        case .bytesOut: "bytes_out"
        case .splicedBytes: "spliced_bytes"
        case .recordsRefused: "records_refused"
        case .tlsHandshakes: "tls_handshakes"
        case .tlsResumptions: "tls_resumptions"
        case .tlsFailures: "tls_failures"
        case .handshakeTimeouts: "handshake_timeouts"
        case .handshakesDisplaced: "handshakes_displaced"
        case .proxyHeaderFaults: "proxy_header_faults"
        case .instanceTLSFailures: "instance_tls_failures"
        case .userMicroseconds: "user_microseconds"
        case .buffersInUse: "buffers_in_use"
        case .upstreamsOpen: "upstreams_open"
        }
    }
}
