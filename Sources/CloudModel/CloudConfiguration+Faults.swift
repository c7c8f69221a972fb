extension CloudConfiguration {
    /// All that makes the configuration impossible, in the order of the resources: values out of range, references to
    /// what is not there, and combinations that contradict each other. Empty: it can be applied.
    ///
    /// `settings` are those of the platform that it is for; nil where they are not known, and what depends on them is
    /// not judged.
    public func faults(of settings: PlatformSettings?) -> [ConfigurationFault] {
        var cloud = FaultCollector(.cloud, settings?.name ?? "")
        let hasMailRelay = settings.map { $0.mailRelay != nil }
        if let settings { settings.check(&cloud) }
        for (index, channel) in administratorChannels.enumerated() {
            cloud.checkChannel(channel, "spec.notifications[\(index)]", hasMailRelay: hasMailRelay)
        }
        rebalancing.check(&cloud)
        return cloud.faults + serviceFaults(settings) + consumerFaults(hasMailRelay: hasMailRelay) + groupFaults()
            + pricePlanFaults() + hostFaults()
    }

    private func serviceFaults(_ settings: PlatformSettings?) -> [ConfigurationFault] {
        let consumers = Set(consumers.map(\.id))
        var names: Set<ServiceID> = []
        var routes: [Route: ServiceID] = [:]
        var listening = settings.map { $0.listeningEndpoints } ?? [:]
        var faults: [ConfigurationFault] = []
        for service in services {
            var collector = FaultCollector(.service, service.id.rawValue)
            collector.require(
                names.insert(service.id).inserted, "metadata.name", "another service has this name", "give it its own")
            if let owner = service.owner, !consumers.contains(owner) {
                collector.fault(
                    "spec.owner", "there is no CloudConsumer '\(owner)'", "declare it, or name one that is declared")
            }
            service.check(&collector)
            if let tcp = service.tcp { checkTCP(of: service.id, tcp, consumers, &listening, &collector) }
            for (index, route) in service.routes.enumerated() {
                guard let key = route.normalForm else { continue }
                if let other = routes[key] {
                    collector.fault(
                        "spec.routes[\(index)]",
                        other == service.id
                            ? "the route is there twice" : "service '\(other)' has the same route",
                        "give the route another host or path, or remove it from one of the two")
                } else {
                    routes[key] = service.id
                }
            }
            faults += collector.faults
        }
        return faults
    }

    private func checkTCP(
        of service: ServiceID, _ tcp: TCPSettings, _ consumers: Set<ConsumerID>, _ listening: inout [Endpoint: String],
        _ collector: inout FaultCollector
    ) {
        let endpoint = tcp.listener.endpoint
        if let other = listening[endpoint] {
            collector.fault("spec.tcp.listen", "\(endpoint) is also that of \(other)", "give each its own port")
        }
        listening[endpoint] = "service '\(service)'"
        for (index, source) in tcp.sources.enumerated() {
            collector.require(
                consumers.contains(source.consumer), "spec.tcp.sources[\(index)].consumer",
                "there is no CloudConsumer '\(source.consumer)'", "declare it, or name one that is declared")
        }
    }

    private func consumerFaults(hasMailRelay: Bool?) -> [ConfigurationFault] {
        let services = Set(services.map(\.id))
        let plans = Set(pricePlans.map(\.id))
        var names: Set<ConsumerID> = []
        var credentials: Set<CredentialID> = []
        var digests: [String: CredentialID] = [:]
        var faults: [ConfigurationFault] = []
        for consumer in consumers {
            var collector = FaultCollector(.consumer, consumer.id.rawValue)
            collector.checkName(consumer.id)
            collector.require(
                names.insert(consumer.id).inserted, "metadata.name", "another consumer has this name", "give it its own"
            )
            if let plan = consumer.pricePlan {
                collector.require(
                    plans.contains(plan), "spec.pricePlan", "there is no PricePlan '\(plan)'",
                    "declare it, or name one that is declared")
            }
            checkBudget(of: consumer, &collector)
            for (index, contact) in consumer.contacts.enumerated() {
                collector.checkChannel(contact, "spec.contacts[\(index)]", hasMailRelay: hasMailRelay)
            }
            var entitled: Set<ServiceID> = []
            for (index, service) in (consumer.entitlements ?? []).enumerated() {
                let path = "spec.entitlements[\(index)]"
                collector.require(
                    services.contains(service), path, "there is no CloudService '\(service)'",
                    "declare it, or remove it from the list")
                collector.require(
                    entitled.insert(service).inserted, path, "'\(service)' is there twice", "remove one of them")
            }
            for (index, credential) in consumer.credentials.enumerated() {
                let path = "spec.credentials[\(index)]"
                credential.check(&collector, path)
                collector.require(
                    credentials.insert(credential.id).inserted, "\(path).id",
                    "another credential has the id '\(credential.id)'", "give it its own")
                if let other = digests[credential.digest] {
                    collector.fault(
                        "\(path).digest", "credential '\(other)' is the same key", "give each credential its own key")
                }
                digests[credential.digest] = credential.id
            }
            faults += collector.faults
        }
        return faults
    }

    private func groupFaults() -> [ConfigurationFault] {
        let services = Dictionary(services.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        var names: Set<FailoverGroupID> = []
        var covered: [ServiceID: FailoverGroupID] = [:]
        var faults: [ConfigurationFault] = []
        for group in failoverGroups {
            var collector = FaultCollector(.failoverGroup, group.id.rawValue)
            collector.checkName(group.id)
            collector.require(
                names.insert(group.id).inserted, "metadata.name", "another failover group has this name",
                "give it its own")
            if let other = covered[group.service] {
                collector.fault(
                    "spec.service", "service '\(group.service)' is in failover group '\(other)' already",
                    "keep one group for a service")
            }
            covered[group.service] = group.id
            collector.check(group.recoveryAttempts, in: 0...100, "spec.recoveryAttempts")
            if let service = services[group.service] {
                group.check(&collector, service)
            } else {
                collector.fault(
                    "spec.service", "there is no CloudService '\(group.service)'",
                    "declare it, or name one that is declared")
            }
            faults += collector.faults
        }
        return faults
    }
}

extension FailoverGroup {
    fileprivate func check(_ collector: inout FaultCollector, _ service: CloudService) {
        let minimum = service.constraints.minimumInstances
        let maximum = service.constraints.maximumInstances
        switch mode {
        case .activeActive:
            collector.require(
                maximum >= 2, "spec.mode", "service '\(self.service)' may have only one instance: nothing can stand in",
                "raise its constraints.maximumInstances to 2 or more")
        case .activePassive:
            collector.check(standbys, in: 1...100, "spec.standbys")
            collector.require(
                service.scaling.warmPool == nil, "spec.mode",
                "service '\(self.service)' has a warm pool, and scale-outs take the standbys of this group as well",
                "remove its scaling.warmPool, or use mode: active-active")
            collector.require(
                minimum >= 1, "spec.mode", "service '\(self.service)' may have no instance that standbys stand by for",
                "raise its constraints.minimumInstances to 1 or more")
            collector.require(
                max(1, minimum) + standbys <= maximum, "spec.standbys",
                "there is no room for \(standbys) standbys: service '\(self.service)' has minimumInstances \(minimum) "
                    + "and maximumInstances \(maximum), and standbys count",
                "raise its constraints.maximumInstances to \(max(1, minimum) + standbys) or more")
        }
    }
}

extension APICredential {
    fileprivate func check(_ collector: inout FaultCollector, _ path: String) {
        collector.require(
            !id.rawValue.isEmpty && id.rawValue.utf8.count <= 128
                && id.rawValue.utf8.allSatisfy { (0x21...0x7E).contains($0) },
            "\(path).id", "'\(id)' is not an id", "use 1 to 128 printable characters without spaces")
        // Whoever pastes the whole key here has disclosed it to everybody who may read the file.
        collector.require(
            !prefix.isEmpty && prefix.utf8.count <= 16, "\(path).prefix",
            "the prefix is empty or longer than 16 characters",
            "give only the key's first characters (cw_3k9d0w2m); if it was the whole key, revoke that key")
        collector.require(
            digest.utf8.count == 64
                && digest.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) },
            "\(path).digest", "the digest is not 64 lower-case hex digits",
            "give the key's SHA-256: printf %s \"$KEY\" | sha256sum")
    }
}

extension Route {
    /// Equal for routes that the same requests match; nil where none can. The route table compiles this form.
    public var normalForm: Route? {
        guard let path = NormalPath.normalise(pathPrefix) else { return nil }
        guard var name = host?.lowercased(), !name.isEmpty, name != "*" else { return Route(pathPrefix: path) }
        if name.hasPrefix("["), name.hasSuffix("]") { name = String(name.dropFirst().dropLast()) }
        if name.hasSuffix(".") { name.removeLast() }
        return Route(host: name, pathPrefix: path)
    }
}
