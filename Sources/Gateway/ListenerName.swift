import CloudModel

/// Gives a listening socket that another process opened, by its name; nil where there is none. The descriptor becomes
/// the caller's.
public typealias SocketSource = @Sendable (_ name: String) -> Int32?

/// How two processes of one gateway mean the same listening socket: by what is configured, also where the port is any
/// free one.
enum ListenerName {
    static func of(_ endpoint: Endpoint) -> String { "gateway \(endpoint)" }

    static func of(_ service: ServiceID, _ endpoint: Endpoint) -> String { "service \(service) \(endpoint)" }
}

extension GatewayConfiguration {
    /// The spool's source of one loop, the same after every restart.
    public func source(ofLoop loop: Int) -> String { "\(recordSource ?? name)/\(loop)" }
}
