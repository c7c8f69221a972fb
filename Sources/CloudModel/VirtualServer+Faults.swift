extension CloudConfiguration {
    func hostFaults() -> [ConfigurationFault] {
        var names: Set<PhysicalServerID> = []
        var addresses: [String: PhysicalServerID] = [:]
        var faults: [ConfigurationFault] = []
        for server in physicalServers {
            var collector = FaultCollector(.physicalServer, server.id.rawValue)
            collector.checkName(server.id)
            collector.require(
                names.insert(server.id).inserted, "metadata.name", "another physical server has this name",
                "give it its own")
            // One machine under two names would be promised twice, and fenced while it is in use.
            if let other = addresses[server.hypervisor] {
                collector.fault(
                    "spec.hypervisor", "physical server '\(other)' has the same hypervisor", "remove one of the two")
            }
            addresses[server.hypervisor] = server.id
            server.check(&collector)
            faults += collector.faults
        }
        return faults
    }
}

extension RebalancingSettings {
    func check(_ collector: inout FaultCollector) {
        let path = "spec.rebalancing"
        collector.check(interval, in: .seconds(10)...(.hours(24)), "\(path).interval")
        collector.check(imbalancePercent, in: 1...100, "\(path).imbalancePercent")
        collector.check(cooldown, in: .zero...(.hours(24)), "\(path).cooldown")
        collector.check(migrationsPerHost, in: 1...64, "\(path).migrationsPerHost")
        collector.check(migrationsPerCluster, in: 1...1_000, "\(path).migrationsPerCluster")
    }
}

extension PhysicalServer {
    fileprivate func check(_ collector: inout FaultCollector) {
        collector.require(
            hypervisor.contains("://") || hypervisor.contains(":/"), "spec.hypervisor",
            "'\(hypervisor)' is not the address of a hypervisor", "write it as qemu+ssh://root@host/system")
        collector.check(capacity.cpuMillicores, in: 100...10_000_000, "spec.capacity.cpuMillicores")
        collector.check(capacity.memory, in: .mebibytes(16)...(.mebibytes(64 << 20)), "spec.capacity.memory")
        switch fencing {
        case .manual: break
        case .command(let words):
            collector.checkAbsolutePath(words.first ?? "", "spec.fencing.command[0]")
        case .lease(let span):
            collector.check(span, in: .seconds(5)...(.hours(1)), "spec.fencing.lease")
        }
        collector.check(silentAfter, in: .seconds(2)...(.minutes(1)), "spec.silentAfter")
    }
}

extension VirtualServerTemplate {
    func check(_ collector: inout FaultCollector, _ constraints: WorkloadConstraints) {
        let path = "spec.virtualServer"
        collector.check(flavor.virtualCPUs, in: 1...512, "\(path).virtualCPUs")
        collector.check(flavor.cpuMillicores, in: 10...512_000, "\(path).cpuMillicores")
        collector.check(flavor.memory, in: .mebibytes(16)...(.mebibytes(16 << 20)), "\(path).memory")
        if let maximum = flavor.maximumCpuMillicores {
            let key = "\(path).maximumCpuMillicores"
            collector.require(
                flavor.cpuMillicores.map { $0 < maximum } ?? false, key,
                "it is raised from cpuMillicores to \(maximum)", "give a cpuMillicores below that")
            collector.require(
                maximum <= flavor.virtualCPUs * 1_000, key,
                "\(flavor.virtualCPUs) virtual processors cannot use \(maximum) millicores",
                "raise virtualCPUs, or lower it")
            // A limit for each instance lets no more requests into a larger one.
            collector.require(
                constraints.concurrentRequestsPerInstance == nil && constraints.activeConsumersPerInstance == nil,
                key, "constraints limit each instance, whatever its size",
                "scale by scaling.targetConcurrency instead of limits per instance")
        }
        collector.require(port != 0, "\(path).port", "0 is not a port", "give the port that the service listens on")
        collector.require(
            directBoot != nil || !disks.isEmpty, path, "there is nothing to boot from",
            "give a disk (image: /path/image.qcow2), or kernel: /path/vmlinuz")
        collector.checkAbsolutePath(directBoot?.kernel, "\(path).kernel")
        collector.checkAbsolutePath(directBoot?.initialRamdisk, "\(path).initialRamdisk")
        for (index, disk) in disks.enumerated() {
            collector.checkAbsolutePath(disk.path, "\(path).disks[\(index)].path")
            collector.checkAbsolutePath(disk.image, "\(path).disks[\(index)].image")
            collector.require(
                disk.path.hasPlaceholder("{instance}") || constraints.maximumInstances == 1,
                "\(path).disks[\(index)].path", "all instances would write to the same file",
                "put {instance} into it")
        }
        // A restarted instance is given its address only once its predecessor's is free again.
        collector.require(
            addresses.count >= constraints.maximumInstances, "\(path).addresses",
            "there are \(addresses.count) addresses for up to \(constraints.maximumInstances) instances",
            "give a longer range, or lower constraints.maximumInstances")
        collector.check(addresses.prefixLength, in: 1...32, "\(path).prefixLength")
        collector.check(stopGrace, in: .zero...(.hours(1)), "\(path).stopGrace")
    }
}

extension String {
    fileprivate func hasPlaceholder(_ name: String) -> Bool {
        indices.contains { self[$0...].hasPrefix(name) }
    }
}
