import ConfigurationFile
import Testing

/// What is refused of a service of TCP.
@Suite struct TCPFaultTests {
    @Test(arguments: [
        ("tcp: {listen: \"0.0.0.0:5432\"}\naccess: anonymous", ""),
        ("tcp: {}", "'spec.tcp.listen' is missing"),
        ("tcp: {listen: \"0.0.0.0:0\"}\naccess: anonymous", "0 is not a port"),
        ("tcp: {listen: \"db:5432\"}\naccess: anonymous", "'db' is not an IP address"),
        ("tcp: {listen: \"0.0.0.0:5432\"}", "nothing says whose a connection is"),
        ("tcp: {listen: \"0.0.0.0:5432\"}\naccess: anonymous\nroutes: [{path: /}]", "have no host and no path"),
        (
            "tcp: {listen: \"0.0.0.0:5432\", sources: [{network: 10.0.0.0/33, consumer: acme}]}",
            "'10.0.0.0/33' is not a network"
        ),
        (
            "tcp: {listen: \"0.0.0.0:5432\", sources: [{network: 10.0.0.0/8, consumer: nobody}]}",
            "there is no CloudConsumer 'nobody'"
        ),
        (
            "tcp: {listen: \"0.0.0.0:5432\", recordInterval: 0s}\naccess: anonymous",
            "0s is out of range; give 1s to 24h"
        ),
        (
            "tcp: {listen: \"0.0.0.0:5432\"}\naccess: anonymous\nrequests: {instanceProtocol: http2}",
            "the service's connections are passed on"
        ),
    ])
    func itsSettings(_ spec: String, _ message: String) {
        let text =
            Sample.cloud + Sample.document("CloudConsumer", "acme", "displayName: Acme")
            + Sample.document("CloudService", "database", "\(spec)\nendpoints: [\"10.0.0.1:5432\"]")
        let faults = Sample.faults(text)
        if message.isEmpty {
            #expect(faults.isEmpty, "\(faults)")
        } else {
            #expect(faults.contains { $0.contains(message) }, "\(faults)")
        }
    }

    @Test func twoServicesOnOnePort() {
        let spec = "tcp: {listen: \"0.0.0.0:5432\"}\naccess: anonymous\nendpoints: [\"10.0.0.1:5432\"]"
        let text =
            Sample.cloud + Sample.document("CloudService", "a", spec) + Sample.document("CloudService", "b", spec)
        let faults = Sample.faults(text)
        #expect(faults.count == 1)
        #expect(faults.first?.contains("0.0.0.0:5432 is also that of service 'a'") == true, "\(faults)")
    }
}
