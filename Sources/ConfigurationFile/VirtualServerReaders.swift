import CloudModel

/// Reads the `spec` of a `PhysicalServer`.
struct PhysicalServerReader {
    let name: PhysicalServerID
    let spec: SectionReader

    func read() -> PhysicalServer? {
        let hypervisor = spec.requiredText("hypervisor", remedy: "say where it answers: qemu+ssh://root@host/system")
        _ = spec.requiredValue("capacity", remedy: "write capacity: {cpuMillicores: 4000, memory: 8GiB}")
        guard let hypervisor, let section = spec.subsection("capacity", ConfigurationSchema.capacity) else {
            return nil
        }
        _ = section.requiredValue("cpuMillicores", remedy: "write cpuMillicores: 4000 for four processors")
        _ = section.requiredValue("memory", remedy: "write memory: 8GiB")
        guard let cpuMillicores = section.integer("cpuMillicores"), let memory = section.size("memory") else {
            return nil
        }
        return PhysicalServer(
            id: name, hypervisor: hypervisor,
            capacity: ServerResources(cpuMillicores: cpuMillicores, memory: memory),
            labels: spec.textMapping("labels") ?? [:], maintenance: spec.boolean("maintenance") ?? false,
            fencing: fencing(), silentAfter: spec.duration("silentAfter") ?? PhysicalServer.usualSilentAfter)
    }

    private func fencing() -> FencingMethod {
        guard let section = spec.subsection("fencing", ConfigurationSchema.fencing) else { return .manual }
        switch (section.texts("command"), section.duration("lease")) {
        case (let words?, nil): return .command(words)
        case (nil, let span?): return .lease(span)
        case (nil, nil), (_?, _?):
            spec.context.fault(
                "\(section.path) is not one way of fencing", at: section.node, path: section.path,
                remedy: "write command: [program, ...], or lease: 30s")
            return .manual
        }
    }
}

/// Reads the `virtualServer` of a `CloudService`.
struct VirtualServerReader {
    let section: SectionReader

    func read() -> VirtualServerTemplate {
        let defaults = PlacementRule()
        _ = section.requiredValue("memory", remedy: "write memory: 512MiB")
        _ = section.requiredValue("port", remedy: "say where the service listens: port: 8080")
        let placement = section.subsection("placement", ConfigurationSchema.placement)
        return VirtualServerTemplate(
            flavor: VirtualServerFlavor(
                virtualCPUs: section.integer("virtualCPUs") ?? 1, cpuMillicores: section.integer("cpuMillicores"),
                memory: section.size("memory") ?? .mebibytes(16),
                maximumCpuMillicores: section.integer("maximumCpuMillicores")),
            disks: disks(), bridge: section.text("bridge"), directBoot: directBoot(), seed: seed(),
            display: section.choice("display", VirtualDisplay.self), addresses: addresses(),
            port: section.port("port") ?? 1,
            placement: PlacementRule(
                strategy: placement?.choice("strategy", PlacementRule.Strategy.self) ?? defaults.strategy,
                affinity: placement?.choice("affinity", PlacementRule.Affinity.self) ?? defaults.affinity,
                hostLabels: placement?.textMapping("hostLabels") ?? [:]),
            stopGrace: section.duration("stopGrace") ?? .seconds(10))
    }

    private func disks() -> [VirtualDisk] {
        (section.items("disks") ?? []).compactMap { node, path in
            guard
                let disk = SectionReader(
                    node, ConfigurationSchema.virtualDisk, path: path, context: section.context),
                let file = disk.requiredText("path", remedy: "name its file: path: /var/lib/disks/{instance}.qcow2")
            else { return nil }
            return VirtualDisk(
                path: file, format: disk.choice("format", VirtualDisk.Format.self) ?? .qcow2,
                image: disk.text("image"), imageFormat: disk.choice("imageFormat", VirtualDisk.Format.self),
                size: disk.size("size"), shared: disk.boolean("shared") ?? true)
        }
    }

    private func directBoot() -> DirectBoot? {
        guard let kernel = section.text("kernel") else { return nil }
        return DirectBoot(
            kernel: kernel, initialRamdisk: section.text("initialRamdisk"),
            commandLine: section.text("commandLine") ?? "")
    }

    private func seed() -> CloudInitSeed? {
        guard let userData = section.text("userData") else { return nil }
        return CloudInitSeed(
            userData: userData,
            metaData: section.text("metaData") ?? "instance-id: {instance}\nlocal-hostname: {instance}\n",
            networkConfig: section.text("networkConfig"))
    }

    private func addresses() -> AddressRange {
        let none = AddressRange(first: 1, last: 0, prefixLength: 24)
        let remedy = "write the first and the last: 10.0.0.10-10.0.0.29"
        guard let node = section.requiredValue("addresses", remedy: remedy), let text = section.text("addresses")
        else { return none }
        guard let range = AddressRange(parsing: text, prefixLength: section.integer("prefixLength") ?? 24) else {
            section.context.fault(
                "'\(text)' is not a range of IPv4 addresses", at: node, path: section.pathOf("addresses"),
                remedy: remedy)
            return none
        }
        return range
    }
}
