/// Another system that is sent each audit event: for security, or for keeping.
public struct AuditForwarding: Codable, Hashable, Sendable {
    public enum Target: Codable, Hashable, Sendable {
        /// RFC 5424 over TCP, each message behind its length (RFC 6587, section 3.4.1), or over TLS (RFC 5425).
        /// `server` is `host:port`.
        case syslog(server: String, tls: SyslogTLS?)
        /// HTTP POST of OCSF events in a JSON list; `tokenFile` holds what is sent as a bearer token.
        case webhook(url: String, tokenFile: String?)
    }

    /// A receiver that has to prove who it is, and that nobody between reads or changes what it is sent.
    public struct SyslogTLS: Codable, Hashable, Sendable {
        /// The name or address that its certificate has to be for; nil for the host that is connected to.
        public var serverName: String?
        /// The authorities (PEM) that its certificate has to be of; nil for those that this machine trusts.
        public var authorityFile: String?
        /// What it is shown where it asks who sends.
        public var certificate: CertificateFiles?

        public init(
            serverName: String? = nil, authorityFile: String? = nil, certificate: CertificateFiles? = nil
        ) {
            self.serverName = serverName
            self.authorityFile = authorityFile
            self.certificate = certificate
        }
    }

    /// Under it is remembered what has been sent: with another name everything is sent again.
    public var name: String
    public var target: Target
    /// The most events that are sent, and held in memory, at once.
    public var batch: Int

    public static let usualBatch = 500

    public init(name: String, target: Target, batch: Int = Self.usualBatch) {
        self.name = name
        self.target = target
        self.batch = batch
    }
}

extension AuditForwarding {
    /// The host and the port of a syslog server; nil where the text is no such thing. IPv6 addresses in brackets.
    public static func server(_ text: String) -> (host: String, port: UInt16)? {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0 else {
            return nil
        }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty, host.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { return nil }
        return (String(host), port)
    }

    func check(_ collector: inout FaultCollector, _ path: String) {
        collector.require(
            Identifier<AuditForwarding>(name).isValidLabel, "\(path).name", "'\(name)' is not a name",
            "use 1 to 63 lower-case letters, digits and hyphens, a letter or digit first and last")
        collector.check(batch, in: 1...5_000, "\(path).batch")
        switch target {
        case .syslog(let server, let tls):
            collector.require(
                Self.server(server) != nil, "\(path).syslog", "'\(server)' is no host with a port",
                "write host:port, as in logs.example.org:601")
            tls?.check(&collector, "\(path).tls")
        case .webhook(let url, let tokenFile):
            collector.checkURL(url, "\(path).webhook.url")
            collector.checkAbsolutePath(tokenFile, "\(path).webhook.tokenFile")
        }
    }
}

extension AuditForwarding.SyslogTLS {
    fileprivate func check(_ collector: inout FaultCollector, _ path: String) {
        if let serverName {
            collector.require(
                !serverName.isEmpty && serverName.utf8.count <= 253
                    && serverName.utf8.allSatisfy { (0x21...0x7E).contains($0) }, "\(path).serverName",
                "'\(serverName)' is no name or address of a server", "write the one that its certificate is for")
        }
        collector.checkAbsolutePath(authorityFile, "\(path).authorityFile")
        certificate?.check(&collector, "\(path).certificate")
    }
}
