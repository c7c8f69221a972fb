import CGateway
import CloudModel
import LoadBalancing

/// A service as one loop knows it: at a stable address for the loop's whole life, so that requests in flight can point
/// to it across snapshots. Only its own loop reads and writes it.
struct LoopService {
    /// The same in all loops and snapshots.
    let number: Int
    /// Kept alive by `LoopState.gates`.
    let gate: Unmanaged<ServiceGate>
    /// UTF-8; lives as long as the gateway.
    let name: UnsafeRawBufferPointer
    /// Kept alive by the traffic book, as services are.
    let traffic: TrafficRow.Cells
    /// Index in the current snapshot; -1 where it is not in it.
    var index: Int32
    var settings: LoopServiceSettings
    /// What connections over TLS are made with, kept alive by `LoopState.instanceContexts`; nil where there is none, or
    /// it could not be made.
    var tlsContext: OpaquePointer?
    /// By `BackendSlot.index`.
    var backends: UnsafeMutablePointer<LoopBackend>
    var backendCapacity: Int

    func deallocate() {
        for index in 0..<backendCapacity { backends[index].name.deallocate() }
        backends.deinitialize(count: backendCapacity)
        backends.deallocate()
    }
}

/// `RequestSettings` in the units that the loop counts in: microseconds.
struct LoopServiceSettings {
    var connectTimeout: Int64
    var responseTimeout: Int64
    var idleTimeout: Int64
    var tunnelTimeout: Int64
    var maximumRetries: Int
    /// `UInt64.max` for no limit.
    var maximumBodySize: UInt64
    var servesUnmetered: Bool
    var hasLoginRules: Bool
    /// Some of its logins are refused while the log database takes no records.
    var refusesUnaudited: Bool
    var maximumWait: Int64
    /// One of so many requests is in the access log; 0 for none.
    var accessLogOneIn: UInt32
    /// Instances are spoken with over TLS.
    var speaksTLS: Bool
    var proxyProtocol: ProxyProtocol?
    var speaksHTTP2: Bool
    var isTCP: Bool
    /// After how long the usage of a connection of TCP is booked for the time being.
    var recordInterval: Int64

    init(_ service: CloudService) {
        let settings = service.gateway
        connectTimeout = settings.connectTimeout.microseconds
        responseTimeout = settings.responseTimeout.microseconds
        idleTimeout = settings.idleTimeout.microseconds
        tunnelTimeout = settings.tunnelTimeout.microseconds
        maximumRetries = settings.maximumRetries
        maximumBodySize = settings.maximumBodySize.map { UInt64(max(0, $0.bytes)) } ?? .max
        servesUnmetered = settings.whenUnmeterable == .serve
        hasLoginRules = !service.loginRules.isEmpty
        refusesUnaudited = service.loginRules.contains { $0.whenUnauditable == .refuse }
        speaksHTTP2 = settings.instanceProtocol == .http2
        maximumWait = service.constraints.maximumWait.microseconds
        accessLogOneIn = UInt32(clamping: settings.accessLogOneIn ?? 1)
        speaksTLS = settings.tls != nil
        proxyProtocol = settings.proxyProtocol
        isTCP = service.tcp != nil
        recordInterval = service.tcp?.recordInterval.microseconds ?? .max
    }
}

/// A backend as one loop knows it: where to connect, what to write into the books, and the idle connections there.
struct LoopBackend {
    /// Of the slot; valid where `isKnown`.
    var generation: UInt32
    var isKnown: Bool
    /// Out of the balance: what it still has ends, and no connection to it is kept.
    var isRemoved: Bool
    /// When its last failure was reported, in monotonic microseconds.
    var failureReportedAt: Int64
    /// Newest first; indices of upstream connections.
    var newestIdle: UInt32
    var oldestIdle: UInt32
    /// Connections of HTTP/2 that take requests; indices of upstream connections.
    var firstSession: UInt32
    var speaksHTTP2: Bool
    /// UTF-8, owned.
    var name: UnsafeMutableRawBufferPointer
    var address: cgateway_address
    /// Keeps alive what `traffic` points to, also when the book has forgotten the instance.
    var trafficRow: TrafficRow?
    var traffic: TrafficRow.Cells?

    static var unknown: LoopBackend {
        LoopBackend(
            generation: 0, isKnown: false, isRemoved: false, failureReportedAt: .min,
            newestIdle: UpstreamConnection.none, oldestIdle: UpstreamConnection.none,
            firstSession: HTTP2Session.none, speaksHTTP2: false,
            name: UnsafeMutableRawBufferPointer(start: nil, count: 0),
            address: cgateway_address())
    }
}
