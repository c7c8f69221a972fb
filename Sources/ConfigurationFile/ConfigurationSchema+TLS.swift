extension ConfigurationSchema {
    static let listener = Section(
        title: "Cloud: spec.gateway.listeners[]",
        fields: [
            Field("address", "`address:port`", required, "Where consumers connect."),
            Field("tls", "mapping", none, "Consumers connect over TLS; without it they do not."),
            Field(
                "proxyProtocolFrom", "list of networks", "[]",
                "Load balancers in front, as `10.0.0.0/8`: who connects from there begins with a PROXY header (version "
                    + "1 or 2) that says who the consumer is. Nobody else is believed one."),
        ])

    static let listenerTLS = Section(
        title: "Cloud: spec.gateway.listeners[].tls",
        fields: [
            Field(
                "certificates", "list of mappings", required,
                "Each answers for the names that it is for (SNI); the first one where no name matches."),
            Field(
                "minimumVersion", "`1.2`, `1.3`", "1.2",
                "The oldest version that is spoken. Those before 1.2 are broken (RFC 8996) and cannot be had."),
            Field("clientCertificates", "mapping", none, "Consumers are asked for a certificate."),
        ])

    static let certificate = Section(
        title: "Cloud: spec.gateway.listeners[].tls.certificates[]",
        fields: certificateFields(read: "Read again when it changes, and at SIGHUP."))

    static let instanceCertificate = Section(
        title: "CloudService: spec.requests.tls.certificate",
        fields: certificateFields(read: "Read again with the next change of the cloud after it has changed."))

    private static func certificateFields(read: String) -> [Field] {
        [
            Field(
                "certificateFile", "absolute path", required, "The certificate and behind it its chain (PEM). \(read)"),
            Field("keyFile", "absolute path", required, "The private key (PEM); not readable by everybody."),
        ]
    }

    static let clientCertificates = Section(
        title: "Cloud: spec.gateway.listeners[].tls.clientCertificates",
        fields: [
            Field(
                "authorityFile", "absolute path", required, "The authorities (PEM) that certificates have to be of."),
            Field(
                "optional", "`true`, `false`", "false",
                "Whether a consumer without a certificate is let in, to be known by an API key or not at all."),
        ])

    static let syslogTLS = Section(
        title: "Cloud: spec.audit.forward[].tls",
        fields: [
            Field(
                "serverName", "host name or address", none,
                "Whom the receiver's certificate has to be for; without it the host of `syslog`."),
            Field(
                "authorityFile", "absolute path", none,
                "The authorities (PEM) that the certificate has to be of; without it this machine's own."),
            Field("certificate", "mapping", none, "What the platform shows to a receiver that asks who it is."),
        ])

    static let syslogCertificate = Section(
        title: "Cloud: spec.audit.forward[].tls.certificate",
        fields: certificateFields(read: "Read again for each connection."))

    static let instanceTLS = Section(
        title: "CloudService: spec.requests.tls",
        fields: [
            Field(
                "serverName", "host name or address", required,
                "Whom the instances' certificates have to be for; also sent to them (SNI)."),
            Field(
                "authorityFile", "absolute path", none,
                "The authorities (PEM) that the certificates have to be of; without it this machine's own."),
            Field("certificate", "mapping", none, "What the gateway shows to instances that ask who it is."),
        ])
}
