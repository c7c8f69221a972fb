import CGateway
import Synchronization

/// What one loop counts. Only the loop writes, anybody may read: an increment is a load and a store, without the bus
/// lock that an atomic addition takes.
struct LoopCounters: @unchecked Sendable {
    enum Event: Int, CaseIterable {
        case connectionsAccepted, connectionsClosed, acceptPauses
        case requests, malformedRequests, unroutedRequests, unidentifiedRequests, unmeteredRefusals
        case upstreamConnections, upstreamReuses, upstreamFailures, staleRetries, retries, retriesRefused
        case consumerAborts, instanceAborts, tunnels, timeouts
        case http2Connections, http2Streams, http2StreamsRefused, http2Floods, http2InstanceStreams
        case bytesIn, bytesOut
        /// Of tunnels and bodies: what went through a pipe and was not copied.
        case splicedBytes
        case recordsRefused
        /// Handshakes that were completed, and how many of them took up an earlier session.
        case tlsHandshakes, tlsResumptions
        /// Handshakes that came to nothing: by a fault, by their time, and because newer ones needed their place.
        case tlsFailures, handshakeTimeouts, handshakesDisplaced
        /// Connections that were closed because their PROXY header was missing or malformed.
        case proxyHeaderFaults
        /// Handshakes with instances that failed.
        case instanceTLSFailures
        case userMicroseconds
        /// Not totals: what is held at the moment, written once a second and with each snapshot.
        case buffersInUse, upstreamsOpen
    }

    enum ServiceEvent: Int, CaseIterable {
        case informational, successful, redirected, clientErrors, serverErrors
        /// Of the errors: refused by the scaling listener.
        case rejected
        case retries
        /// Of the errors: answered by the gateway for an instance that failed.
        case failed
    }

    /// Numbers of services that have counters of their own; more services than this are summed up in the last one.
    static let serviceCapacity = 65_536

    private let events: UnsafeMutablePointer<Atomic<UInt64>>
    private let services: UnsafeMutablePointer<Atomic<UInt64>>

    init() throws(GatewayError) {
        guard let memory = cgateway_reserve(Self.bytes) else {
            throw GatewayError(.exhausted, "cannot reserve \(Self.bytes) bytes for counters")
        }
        // Fresh pages are zero, which is what an `Atomic` of 0 looks like.
        events = memory.bindMemory(
            to: Atomic<UInt64>.self, capacity: Self.bytes / MemoryLayout<Atomic<UInt64>>.stride)
        services = events + Event.allCases.count
    }

    func deallocate() { cgateway_unreserve(events, Self.bytes) }

    private static var bytes: Int {
        (Event.allCases.count + serviceCapacity * ServiceEvent.allCases.count) * MemoryLayout<Atomic<UInt64>>.stride
    }

    @inline(__always)
    func add(_ event: Event, _ amount: UInt64 = 1) { Self.bump(events + event.rawValue, amount) }

    @inline(__always)
    func set(_ event: Event, _ value: UInt64) { events[event.rawValue].store(value, ordering: .relaxed) }

    @inline(__always)
    func add(_ event: ServiceEvent, service: Int) {
        let number = min(service, Self.serviceCapacity - 1)
        Self.bump(services + (number &* ServiceEvent.allCases.count &+ event.rawValue), 1)
    }

    func value(_ event: Event) -> UInt64 { events[event.rawValue].load(ordering: .relaxed) }

    func value(_ event: ServiceEvent, service: Int) -> UInt64 {
        let number = min(service, Self.serviceCapacity - 1)
        return services[number * ServiceEvent.allCases.count + event.rawValue].load(ordering: .relaxed)
    }

    @inline(__always)
    private static func bump(_ cell: UnsafeMutablePointer<Atomic<UInt64>>, _ amount: UInt64) {
        cell.pointee.store(cell.pointee.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
    }
}
