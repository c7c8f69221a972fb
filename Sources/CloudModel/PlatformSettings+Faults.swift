extension PlatformSettings {
    func check(_ collector: inout FaultCollector) {
        collector.require(
            Identifier<PlatformSettings>(name).isValidLabel, "metadata.name", "'\(name)' is not a name",
            "use 1 to 63 lower-case letters, digits and hyphens, a letter or digit first and last")
        collector.checkAbsolutePath(dataDirectory, "spec.dataDirectory")
        if let imageDirectory { collector.checkAbsolutePath(imageDirectory, "spec.imageDirectory") }
        if let witnessFile { collector.checkAbsolutePath(witnessFile, "spec.witnessFile") }
        collector.check(instanceLease, in: .seconds(1)...(.hours(24)), "spec.instanceLease")
        checkListeners(&collector)
        if case .file(let path)? = gateway.accessLog?.target {
            collector.checkAbsolutePath(path, "spec.gateway.accessLog.target")
        }
        mailRelay?.check(&collector)
        audit.check(&collector)
        logDatabase.check(&collector)
        traces?.check(&collector, "spec.telemetry.traces")
    }

    /// What the platform itself listens on, and where the configuration says so.
    var listeningEndpoints: [Endpoint: String] {
        Dictionary(
            gateway.listeners.map { ($0.endpoint, "spec.gateway.listeners") }
                + [(administration, "spec.administration.address")], uniquingKeysWith: { first, _ in first }
        ).filter { $0.key.port != 0 }
    }

    private func checkListeners(_ collector: inout FaultCollector) {
        collector.check(gateway.loops, in: 1...1_024, "spec.gateway.loops")
        collector.check(gateway.http2Streams, in: 0...10_000, "spec.gateway.http2Streams")
        collector.require(
            !gateway.listeners.isEmpty, "spec.gateway.listeners", "the gateway has no address to listen on",
            "give at least one: listeners: [0.0.0.0:80]")
        for (index, listener) in gateway.listeners.enumerated() {
            listener.check(&collector, "spec.gateway.listeners[\(index)]")
        }
        var taken: [Endpoint: String] = [:]
        let all =
            gateway.listeners.enumerated().map { ("spec.gateway.listeners[\($0.offset)]", $0.element.endpoint) }
            + [("spec.administration.address", administration)]
        for (path, endpoint) in all {
            collector.require(
                AddressText.isAddress(endpoint.address), path, "'\(endpoint.address)' is not an IP address",
                "write an address of this machine, 0.0.0.0 or [::] for all")
            // Each port 0 becomes a port of its own.
            guard endpoint.port != 0 else { continue }
            if let other = taken[endpoint] {
                collector.fault(path, "\(endpoint) is also \(other)", "give each its own port")
            }
            taken[endpoint] = path
        }
    }
}

extension MailRelay {
    fileprivate func check(_ collector: inout FaultCollector) {
        collector.require(
            !host.isEmpty && host.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "/") },
            "spec.smtp.host", "'\(host)' is not a host", "write a name or an address, without scheme and port")
        collector.require(port != 0, "spec.smtp.port", "0 is not a port", "give 587, 465 or the relay's own")
        collector.checkMailAddress(from, "spec.smtp.from")
        collector.checkAbsolutePath(passwordFile, "spec.smtp.passwordFile")
        collector.require(
            (user == nil) == (passwordFile == nil), "spec.smtp.user", "only one of user and passwordFile is given",
            "give both, or neither where the relay asks for no login")
        collector.require(
            encryption != .none || user == nil || AddressText.isLoopback(host) || host == "localhost",
            "spec.smtp.encryption", "the password would go over the network in clear", "use starttls or tls")
    }
}
