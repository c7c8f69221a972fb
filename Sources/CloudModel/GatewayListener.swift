/// An address that the gateway listens on, and how consumers speak there.
public struct GatewayListener: Codable, Hashable, Sendable {
    /// Port 0 takes a free one.
    public var endpoint: Endpoint
    /// Nil: plain TCP.
    public var tls: ListenerTLS?
    /// Networks of load balancers in front, as `10.0.0.0/8`: whoever connects from there begins with a PROXY header
    /// (version 1 or 2) that says who the consumer is, and nobody else is believed one.
    public var proxyProtocolFrom: [String]

    public init(_ endpoint: Endpoint, tls: ListenerTLS? = nil, proxyProtocolFrom: [String] = []) {
        self.endpoint = endpoint
        self.tls = tls
        self.proxyProtocolFrom = proxyProtocolFrom
    }
}

/// How consumers are spoken with over TLS. The files are read again when they change.
public struct ListenerTLS: Codable, Hashable, Sendable {
    /// Each answers for the names that it is for; the first one where no name matches.
    public var certificates: [CertificateFiles]
    public var minimumVersion: TLSVersion
    public var clientCertificates: ClientCertificates?

    public init(
        certificates: [CertificateFiles], minimumVersion: TLSVersion = .v12,
        clientCertificates: ClientCertificates? = nil
    ) {
        self.certificates = certificates
        self.minimumVersion = minimumVersion
        self.clientCertificates = clientCertificates
    }
}

/// A certificate with its chain, and its private key, both in PEM.
public struct CertificateFiles: Codable, Hashable, Sendable {
    public var certificateFile: String
    /// Not readable by everybody.
    public var keyFile: String

    public init(certificateFile: String, keyFile: String) {
        self.certificateFile = certificateFile
        self.keyFile = keyFile
    }
}

/// Versions older than these are broken (RFC 8996) and cannot be had.
public enum TLSVersion: String, Codable, Hashable, Sendable, CaseIterable {
    case v12 = "1.2"
    case v13 = "1.3"
}

/// Which certificates of clients are taken.
public struct ClientCertificates: Codable, Hashable, Sendable {
    /// The authorities (PEM) that certificates have to be of.
    public var authorityFile: String
    /// Whoever has none is let in, to be known by an API key or not at all.
    public var isOptional: Bool

    public init(authorityFile: String, isOptional: Bool = false) {
        self.authorityFile = authorityFile
        self.isOptional = isOptional
    }
}

/// How instances are spoken with over TLS. Their certificates are always verified.
public struct InstanceTLS: Codable, Hashable, Sendable {
    /// The name or address that the certificates have to be for.
    public var serverName: String
    /// The authorities (PEM) that certificates have to be of; nil for those that this machine trusts.
    public var authorityFile: String?
    /// What the gateway shows to instances that ask who it is.
    public var certificate: CertificateFiles?

    public init(serverName: String, authorityFile: String? = nil, certificate: CertificateFiles? = nil) {
        self.serverName = serverName
        self.authorityFile = authorityFile
        self.certificate = certificate
    }
}

/// Versions of the PROXY protocol (HAProxy, "The PROXY protocol, versions 1 & 2").
public enum ProxyProtocol: String, Codable, Hashable, Sendable, CaseIterable {
    case v1, v2
}
