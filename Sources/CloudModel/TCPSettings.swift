/// What makes a service one of TCP connections instead of HTTP requests: bytes pass both ways, counted but not read. A
/// connection takes the place that a request takes elsewhere: it is admitted, balanced, metered and limited like one.
public struct TCPSettings: Codable, Hashable, Sendable {
    /// Where consumers connect: an address and port of the service's own.
    public var listener: GatewayListener
    /// Whose a connection is by the address that it comes from; the longest prefix counts. A client certificate that is
    /// a consumer's counts first.
    public var sources: [TCPSource]
    /// A connection that lasts longer is booked in stretches of this length, each of them a usage record of its own:
    /// no more than one stretch is lost where the gateway's machine is.
    public var recordInterval: TimeSpan

    public init(listener: GatewayListener, sources: [TCPSource] = [], recordInterval: TimeSpan = .minutes(5)) {
        self.listener = listener
        self.sources = sources
        self.recordInterval = recordInterval
    }
}

/// A network whose connections are a consumer's.
public struct TCPSource: Codable, Hashable, Sendable {
    /// As `10.0.0.0/8`, or an address alone.
    public var network: String
    public var consumer: ConsumerID

    public init(network: String, consumer: ConsumerID) {
        self.network = network
        self.consumer = consumer
    }
}

extension CloudService {
    /// What a service of TCP connections cannot have, and what it has to have.
    func checkTCP(_ tcp: TCPSettings, _ collector: inout FaultCollector) {
        let path = "spec.tcp"
        collector.require(
            routes.isEmpty, "spec.routes", "connections of TCP have no host and no path",
            "leave routes out: tcp.listen says what is for the service")
        collector.require(
            loginRules.isEmpty, "spec.loginRules", "what passes over a TCP connection is not read",
            "leave them out, or make it a service of HTTP with routes")
        collector.require(
            gateway.instanceProtocol == nil, "spec.requests.instanceProtocol",
            "the service's connections are passed on",
            "leave it out: the instances speak what the consumers speak")
        let endpoint = tcp.listener.endpoint
        collector.require(
            AddressText.isAddress(endpoint.address), "\(path).listen", "'\(endpoint.address)' is not an IP address",
            "write an address of this machine, 0.0.0.0 or [::] for all")
        collector.require(
            endpoint.port != 0, "\(path).listen", "0 is not a port", "give the port that consumers connect to")
        tcp.listener.check(&collector, "\(path).listen")
        collector.check(tcp.recordInterval, in: .seconds(1)...(.hours(24)), "\(path).recordInterval")
        var seen: Set<NetworkPrefix> = []
        for (index, source) in tcp.sources.enumerated() {
            let place = "\(path).sources[\(index)].network"
            guard let network = NetworkPrefix(source.network) else {
                collector.fault(
                    place, "'\(source.network)' is not a network",
                    "write an address and the length of its prefix: 10.0.0.0/8, 192.0.2.7/32 or fd00::/8")
                continue
            }
            collector.require(
                seen.insert(network).inserted, place, "the network is there twice", "keep one of the two")
        }
        let showsCertificates = tcp.listener.tls?.clientCertificates != nil
        collector.require(
            access == .anonymous || !tcp.sources.isEmpty || showsCertificates, path,
            "nothing says whose a connection is, and the service asks for it: all would be refused",
            "give sources or listen.tls.clientCertificates, or set access: anonymous")
    }
}
