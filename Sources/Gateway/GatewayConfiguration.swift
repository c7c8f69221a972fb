public import CloudModel
public import Spool

/// How a gateway is set up for its whole life; what changes while it runs comes in snapshots.
public struct GatewayConfiguration: Sendable {
    /// Names the gateway in audit events and in the spool's sources; the same after every restart.
    public var name: String
    /// Where consumers connect. Port 0 takes any free one (`Gateway.boundEndpoints` says which).
    public var listeners: [GatewayListener]
    /// Event loops, each with its own thread, listeners, connections and spool.
    public var loops: Int
    public var limits: GatewayLimits
    public var timeouts: GatewayTimeouts
    public var http2: HTTP2Settings
    /// Where usage and audit records wait for the log database.
    public var spoolDirectory: String
    public var spool: SpoolSettings
    /// The key of the tags that stand for presented secrets in audit events; at least 16 bytes, kept secret.
    public var auditTagKey: [UInt8]
    /// Where a consumer asks for a limit to be changed, named in problem documents.
    public var changeRequestContact: String?
    /// Names the spool's sources; nil for `name`. While two processes of one gateway serve, each has a name of its own.
    public var recordSource: String?
    /// A line for each request; nil for none.
    public var accessLog: AccessLogSettings?
    /// Spans of sampled requests, for `Gateway.spans`; nil for none.
    public var traces: TraceSettings?

    public init(
        name: String, listeners: [GatewayListener], loops: Int, spoolDirectory: String, spool: SpoolSettings = .init(),
        auditTagKey: [UInt8], limits: GatewayLimits = .init(), timeouts: GatewayTimeouts = .init(),
        http2: HTTP2Settings = .init(), changeRequestContact: String? = nil, accessLog: AccessLogSettings? = nil,
        traces: TraceSettings? = nil, recordSource: String? = nil
    ) {
        self.name = name
        self.recordSource = recordSource
        self.listeners = listeners
        self.loops = loops
        self.spoolDirectory = spoolDirectory
        self.spool = spool
        self.auditTagKey = auditTagKey
        self.limits = limits
        self.timeouts = timeouts
        self.http2 = http2
        self.changeRequestContact = changeRequestContact
        self.accessLog = accessLog
        self.traces = traces
    }
}

public struct GatewayLimits: Hashable, Sendable {
    /// Client connections that one loop holds; at the limit it stops accepting until one ends. Fewer where the process
    /// may not open as many files. A connection's memory is bounded by four buffers, of which an idle one holds none.
    public var connectionsPerLoop: Int
    /// Files that one loop has open for connections, to clients and to instances together; fewer where the process may
    /// not open as many. An eighth is kept for connections to instances: a client that only holds its connection needs
    /// none, so more of them are held than half of the files.
    public var filesPerLoop: Int
    /// Idle connections to instances that one loop keeps, over all instances.
    public var idleUpstreamConnectionsPerLoop: Int
    /// What is received at once, and the most of one message that is held; at least 8 KiB more than a head may have.
    public var bufferSize: ByteCount
    /// Octets of a request's or response's head.
    public var headSize: ByteCount
    /// Octets of a request line.
    public var requestLineSize: ByteCount
    public var headFields: Int
    /// Requests on one connection after which it is closed, so that memory and load spread out again.
    public var requestsPerConnection: Int
    /// Connections that the kernel holds for a loop until it accepts them.
    public var acceptBacklog: Int32
    /// Connections of one loop that have not finished their TLS handshake. One more displaces the oldest of them.
    public var openingsPerLoop: Int

    public init(
        connectionsPerLoop: Int = 16_384, filesPerLoop: Int = 65_536, idleUpstreamConnectionsPerLoop: Int = 1_024,
        bufferSize: ByteCount = .kibibytes(32), headSize: ByteCount = .kibibytes(24),
        requestLineSize: ByteCount = .kibibytes(16), headFields: Int = 100, requestsPerConnection: Int = 100_000,
        acceptBacklog: Int32 = 4_096, openingsPerLoop: Int = 2_048
    ) {
        self.connectionsPerLoop = connectionsPerLoop
        self.filesPerLoop = filesPerLoop
        self.idleUpstreamConnectionsPerLoop = idleUpstreamConnectionsPerLoop
        self.bufferSize = bufferSize
        self.headSize = headSize
        self.requestLineSize = requestLineSize
        self.headFields = headFields
        self.requestsPerConnection = requestsPerConnection
        self.acceptBacklog = acceptBacklog
        self.openingsPerLoop = openingsPerLoop
    }
}

extension GatewayLimits {
    /// Places for connections to instances: one for each client's request, one for the connection that may have to be
    /// made to carry it, and the idle ones.
    var upstreamsPerLoop: Int { 2 * connectionsPerLoop + idleUpstreamConnectionsPerLoop }

    /// Files in use from which on no client is accepted: what is left is for connections to instances.
    var filesWhileAccepting: Int { filesPerLoop - max(1, filesPerLoop / 8) }
}

public struct GatewayTimeouts: Hashable, Sendable {
    /// From the first byte of a request (or the connection's beginning) to the end of its head.
    public var requestHead: TimeSpan
    /// How long a connection may stay without a request.
    public var keepAliveIdle: TimeSpan
    /// How long an idle connection to an instance is kept; shorter than the instances keep theirs.
    public var upstreamIdle: TimeSpan
    /// How long a connection that is being closed is read on, so that the peer gets to read the answer.
    public var linger: TimeSpan
    /// From the connection's beginning to the end of its TLS handshake.
    public var handshake: TimeSpan

    public init(
        requestHead: TimeSpan = .seconds(20), keepAliveIdle: TimeSpan = .seconds(75),
        upstreamIdle: TimeSpan = .seconds(30), linger: TimeSpan = .seconds(2),
        handshake: TimeSpan = .seconds(10)
    ) {
        self.requestHead = requestHead
        self.keepAliveIdle = keepAliveIdle
        self.upstreamIdle = upstreamIdle
        self.linger = linger
        self.handshake = handshake
    }
}

/// HTTP/2 with consumers.
public struct HTTP2Settings: Hashable, Sendable {
    /// Whether a consumer may speak HTTP/2: in clear with prior knowledge, or as agreed on in TLS.
    public var isEnabled: Bool
    /// Requests that one connection may have at a time. Each takes a place of `connectionsPerLoop`.
    public var maximumStreams: Int

    public init(isEnabled: Bool = true, maximumStreams: Int = 100) {
        self.isEnabled = isEnabled
        self.maximumStreams = maximumStreams
    }
}

/// Why a gateway could not be started.
public struct GatewayError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable {
        case invalidConfiguration = "invalid-configuration"
        /// The address cannot be listened on.
        case cannotListen = "cannot-listen"
        /// The operating system refused threads, descriptors or memory.
        case exhausted
        case spool
    }

    public var code: Code
    /// What, where, and how to mend it.
    public var message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { "gateway: \(code.rawValue): \(message)" }
}

extension GatewayConfiguration {
    /// Files that the rest of the process needs: databases, logs, the control plane's own connections.
    private static let reservedDescriptors: Int64 = 256

    /// With as many connections as the process may have files for.
    package func fitted(toDescriptors limit: Int64) -> Self {
        let perLoop = max(0, limit - min(Self.reservedDescriptors, limit / 4)) / Int64(loops)
        var fitted = self
        fitted.limits.filesPerLoop = max(2, min(limits.filesPerLoop, Int(perLoop)))
        fitted.limits.idleUpstreamConnectionsPerLoop = min(
            limits.idleUpstreamConnectionsPerLoop, fitted.limits.filesPerLoop / 4)
        fitted.limits.connectionsPerLoop = min(limits.connectionsPerLoop, fitted.limits.filesWhileAccepting)
        return fitted
    }

    func validated() throws(GatewayError) -> Self {
        func refuse(_ message: String) -> GatewayError { GatewayError(.invalidConfiguration, message) }
        guard !name.isEmpty else { throw refuse("the gateway has no name; give it one that lasts") }
        guard !listeners.isEmpty else { throw refuse("there is no address to listen on; give at least one") }
        guard (1...1_024).contains(loops) else { throw refuse("loops is \(loops); give 1 to 1024") }
        guard (1...1_000_000).contains(limits.connectionsPerLoop) else {
            throw refuse("connectionsPerLoop is \(limits.connectionsPerLoop); give 1 to 1000000")
        }
        guard (2...4_000_000).contains(limits.filesPerLoop) else {
            throw refuse("filesPerLoop is \(limits.filesPerLoop); give 2 to 4000000")
        }
        guard (0...1_000_000).contains(limits.idleUpstreamConnectionsPerLoop) else {
            throw refuse("idleUpstreamConnectionsPerLoop is negative or beyond 1000000")
        }
        guard limits.headSize >= .kibibytes(1), limits.headSize <= .mebibytes(1) else {
            throw refuse("headSize is \(limits.headSize.bytes) bytes; give 1 KiB to 1 MiB")
        }
        guard limits.bufferSize.bytes >= limits.headSize.bytes + 8_192, limits.bufferSize <= .mebibytes(4) else {
            throw refuse("bufferSize is \(limits.bufferSize.bytes) bytes; give headSize + 8 KiB to 4 MiB")
        }
        guard limits.requestLineSize.bytes >= 64, (1...1_000).contains(limits.headFields),
            limits.requestsPerConnection >= 1, limits.acceptBacklog >= 1, limits.openingsPerLoop >= 1
        else {
            throw refuse(
                "requestLineSize, headFields, requestsPerConnection, acceptBacklog or openingsPerLoop is out of range")
        }
        guard timeouts.requestHead > .zero, timeouts.keepAliveIdle > .zero, timeouts.upstreamIdle > .zero,
            timeouts.linger > .zero, timeouts.handshake > .zero
        else { throw refuse("a timeout is zero or negative") }
        guard (1...10_000).contains(http2.maximumStreams) else {
            throw refuse("maximumStreams is \(http2.maximumStreams); give 1 to 10000")
        }
        guard auditTagKey.count >= 16 else {
            throw refuse("auditTagKey has \(auditTagKey.count) bytes; give at least 16 random ones")
        }
        return self
    }
}
