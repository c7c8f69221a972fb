/// How one Cloudwright process runs: what is fixed from its start to its end. A change needs a restart, unlike a change
/// of `CloudConfiguration`.
public struct PlatformSettings: Codable, Hashable, Sendable {
    /// The cloud's name: names the gateway as observer in audit events and as source of usage records.
    public var name: String
    /// Where the spools, the key files and, unless it is on a server, the log database are; made with mode 0700 where
    /// it is missing.
    public var dataDirectory: String
    public var gateway: GatewaySettings
    /// Where the REST API, the console and the metrics are served.
    public var administration: Endpoint
    /// The relay that mail goes through; nil: notifications by mail fail and say so.
    public var mailRelay: MailRelay?
    /// How long an instance is taken to run after its last heartbeat: the bound of a lost stop in the books.
    public var instanceLease: TimeSpan
    /// A file that each seal of the books is appended to; nil for none.
    public var witnessFile: String?
    public var audit: AuditSettings
    public var logDatabase: LogDatabaseSettings
    /// Where imported images are kept, which the hosts see under the same path; nil: none are imported.
    public var imageDirectory: String?
    /// Spans of requests and operations; nil for none.
    public var traces: TraceSettings?

    public init(
        name: String, dataDirectory: String = "/var/lib/cloudwright", gateway: GatewaySettings = .init(),
        administration: Endpoint = Endpoint(address: "127.0.0.1", port: 8081), mailRelay: MailRelay? = nil,
        instanceLease: TimeSpan = .seconds(60), witnessFile: String? = nil,
        audit: AuditSettings = AuditSettings(), logDatabase: LogDatabaseSettings = .sqlite,
        imageDirectory: String? = nil,
        traces: TraceSettings? = nil
    ) {
        self.name = name
        self.dataDirectory = dataDirectory
        self.gateway = gateway
        self.administration = administration
        self.mailRelay = mailRelay
        self.instanceLease = instanceLease
        self.witnessFile = witnessFile
        self.audit = audit
        self.logDatabase = logDatabase
        self.imageDirectory = imageDirectory
        self.traces = traces
    }
}

/// Where the gateway listens, and with how many event loops.
public struct GatewaySettings: Codable, Hashable, Sendable {
    public var listeners: [GatewayListener]
    /// Event loops; nil for one per processor.
    public var loops: Int?
    /// Requests that one connection of HTTP/2 may have at a time; 0 where HTTP/2 is not spoken.
    public var http2Streams: Int
    /// A line for each request; nil for none.
    public var accessLog: AccessLogSettings?

    public init(
        listeners: [GatewayListener] = [GatewayListener(Endpoint(address: "127.0.0.1", port: 8080))],
        loops: Int? = nil, http2Streams: Int = 100, accessLog: AccessLogSettings? = nil
    ) {
        self.listeners = listeners
        self.loops = loops
        self.http2Streams = http2Streams
        self.accessLog = accessLog
    }
}

/// An SMTP server that takes mail for delivery.
public struct MailRelay: Codable, Hashable, Sendable {
    /// Name or address.
    public var host: String
    public var port: UInt16
    public var encryption: Encryption
    public var user: String?
    /// The file that holds the password: one line, mode 0600.
    public var passwordFile: String?
    /// The address that mail is sent from.
    public var from: String

    public enum Encryption: String, Codable, Hashable, Sendable, CaseIterable {
        /// RFC 3207 STARTTLS; mail is not sent where the relay does not offer it.
        case startTLS = "starttls"
        /// TLS from the first byte (RFC 8314, port 465).
        case tls
        /// None: for a relay on this machine.
        case none
    }

    public init(
        host: String, port: UInt16 = 587, encryption: Encryption = .startTLS, user: String? = nil,
        passwordFile: String? = nil, from: String
    ) {
        self.host = host
        self.port = port
        self.encryption = encryption
        self.user = user
        self.passwordFile = passwordFile
        self.from = from
    }
}
