import CGateway
import CloudModel
import Synchronization

/// Where consumers connect to one service of TCP: a listening socket for each loop, from the snapshot that brings it to
/// the one that takes it away.
final class ServiceListener: Sendable {
    let settings: GatewayListener
    /// By which the next process of the gateway finds it.
    let name: String
    /// The port that was taken where 0 was asked for.
    let port: UInt16
    let trustedProxies: [NetworkPrefix]
    /// By loop; -1 where it is closed.
    private let descriptors: Mutex<[Int32]>

    /// - Parameter isOurs: whether this process listens there already; another one must not.
    init(
        _ settings: GatewayListener, name: String, loops: Int, backlog: Int32, isOurs: Bool,
        inherited: SocketSource
    ) throws(GatewayError) {
        self.name = name
        self.settings = settings
        trustedProxies = settings.proxyProtocolFrom.compactMap { NetworkPrefix($0) }
        var opened: [LoopListener] = []
        do throws(GatewayError) {
            for loop in 0..<loops {
                let endpoint = Endpoint(
                    address: settings.endpoint.address, port: opened.first?.port ?? settings.endpoint.port)
                opened.append(
                    try LoopListener(
                        on: endpoint, backlog: backlog, isFirst: opened.isEmpty && !isOurs, inherited: inherited(name)))
            }
        } catch {
            for listener in opened { cgateway_close(listener.descriptor) }
            throw error
        }
        port = opened.first?.port ?? settings.endpoint.port
        descriptors = Mutex(opened.map(\.descriptor))
    }

    deinit { for descriptor in descriptors.withLock({ $0 }) where descriptor >= 0 { cgateway_close(descriptor) } }

    func descriptor(ofLoop loop: Int) -> Int32 { descriptors.withLock { $0[loop] } }

    var sockets: [(name: String, descriptor: Int32)] {
        descriptors.withLock { $0.filter { $0 >= 0 }.map { (name: name, descriptor: $0) } }
    }

    /// The loop accepts no more.
    func close(loop: Int) {
        descriptors.withLock { descriptors in
            if descriptors[loop] >= 0 { cgateway_close(descriptors[loop]) }
            descriptors[loop] = -1
        }
    }
}

extension LoopListener {
    /// - Parameters:
    ///   - isFirst: nobody may listen there yet; the sockets of other loops share the port with the first.
    ///   - inherited: a socket that listens there already, from the process before this one.
    init(on endpoint: Endpoint, backlog: Int32, isFirst: Bool, inherited: Int32?) throws(GatewayError) {
        if let inherited {
            let port = cgateway_bound_port(inherited)
            guard port > 0 else {
                cgateway_close(inherited)
                throw GatewayError(.cannotListen, "the socket handed over for \(endpoint) is none: error \(-port)")
            }
            self.init(descriptor: inherited, port: UInt16(truncatingIfNeeded: port))
            return
        }
        var address = cgateway_address()
        guard cgateway_parse_address(endpoint.address, endpoint.port, &address) == 0 else {
            throw GatewayError(
                .invalidConfiguration, "'\(endpoint.address)' is not an IP address; give one, 0.0.0.0 or :: for all")
        }
        if isFirst, endpoint.port != 0, !cgateway_is_free(&address) {
            throw GatewayError(
                .cannotListen, "\(endpoint) is in use by another process; stop that one, or give another port")
        }
        let descriptor = cgateway_listen(&address, backlog)
        guard descriptor >= 0 else {
            throw GatewayError(.cannotListen, "cannot listen on \(endpoint): error \(-descriptor)")
        }
        let port = cgateway_bound_port(descriptor)
        guard port > 0 else {
            cgateway_close(descriptor)
            throw GatewayError(.cannotListen, "cannot listen on \(endpoint): error \(-port)")
        }
        self.init(descriptor: descriptor, port: UInt16(truncatingIfNeeded: port))
    }
}

/// How one service accepts connections of TCP, from one snapshot to the next.
struct ServiceAccepting: Sendable {
    private(set) var listener: ServiceListener?
    /// Nil where consumers connect without TLS.
    private(set) var context: TLSContext?
    private var ticketKeys: TicketKeys?
    private var tls: ListenerTLS?
    private var tried: [FileStamp] = []
    /// What was told last: the same is not told with every snapshot.
    private var fault: GatewayError?

    /// Opens, keeps or closes the listener. What cannot be had is told to `warn`, once, and tried again with the next
    /// snapshot; a listener whose certificates cannot be used does not listen.
    mutating func update(
        to wanted: GatewayListener?, of service: ServiceID, loops: Int, backlog: Int32, isOurs: (Endpoint) -> Bool,
        inherited: SocketSource, warn: (GatewayError) -> Void
    ) {
        guard let wanted else {
            self = ServiceAccepting()
            return
        }
        do throws(GatewayError) {
            try updateContext(wanted.tls)
            guard wanted.tls == nil || context != nil else {
                // Told already; in clear it is not to be had.
                listener = nil
                return
            }
            if listener?.settings != wanted {
                let isOurs = isOurs(wanted.endpoint)
                listener = nil
                listener = try ServiceListener(
                    wanted, name: ListenerName.of(service, wanted.endpoint), loops: loops, backlog: backlog,
                    isOurs: isOurs, inherited: inherited)
            }
            fault = nil
        } catch {
            if context == nil, wanted.tls != nil { listener = nil }
            if fault != error { warn(error) }
            fault = error
        }
    }

    private mutating func updateContext(_ wanted: ListenerTLS?) throws(GatewayError) {
        let stamps = FileStamp.stamps(of: wanted)
        guard wanted != tls || stamps != tried else { return }
        if wanted != tls { context = nil }
        tls = wanted
        tried = stamps
        guard let wanted else { return }
        if ticketKeys == nil { ticketKeys = try TicketKeys() }
        guard let keys = ticketKeys else { return }
        context = try TLSContext.accepting(wanted, keys: keys, protocols: [])
    }
}
