extension ConfigurationSchema {
    static let tcp = Section(
        title: "CloudService: spec.tcp",
        fields: [
            Field(
                "listen", "`address:port`, or mapping", required,
                "Where consumers connect: a port of the service's own. A mapping as in `spec.gateway.listeners[]`; its "
                    + "certificates are read again with the next change of the cloud."),
            Field("sources", "list of mappings", none, "Whose a connection is by the address that it comes from."),
            Field(
                "recordInterval", "duration", "5m",
                "A connection that lasts longer is booked in stretches of this length, each a usage record."),
        ])

    static let tcpSource = Section(
        title: "CloudService: spec.tcp.sources[]",
        fields: [
            Field("network", "network", required, "As `10.0.0.0/8`, or an address; the longest prefix counts."),
            Field("consumer", "name", required, "The CloudConsumer whose the connections from there are."),
        ])
}
