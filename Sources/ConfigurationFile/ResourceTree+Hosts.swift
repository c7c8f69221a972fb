import CloudModel

extension ResourceTree {
    static func spec(of server: PhysicalServer) -> ResourceTree {
        var spec = MappingBuilder()
        spec.add("hypervisor", text: server.hypervisor)
        spec.add("capacity") { capacity in
            capacity.add("cpuMillicores", number: server.capacity.cpuMillicores)
            capacity.add("memory", size: server.capacity.memory)
        }
        spec.add("labels") { add(texts: server.labels, to: &$0) }
        spec.add("maintenance", server.maintenance, default: false) { .plain($0 ? "true" : "false") }
        spec.add("fencing") { fencing in
            switch server.fencing {
            case .manual: break
            case .command(let words): fencing.add("command", .list(words.map { .text($0) }))
            case .lease(let span): fencing.add("lease", .plain(span.text))
            }
        }
        spec.add("silentAfter", server.silentAfter, default: PhysicalServer.usualSilentAfter)
        return spec.tree
    }

    static func add(_ rebalancing: RebalancingSettings, to mapping: inout MappingBuilder) {
        let usual = RebalancingSettings()
        mapping.add("automation", rebalancing.automation, default: usual.automation)
        mapping.add("interval", rebalancing.interval, default: usual.interval)
        mapping.add("imbalancePercent", rebalancing.imbalancePercent, default: usual.imbalancePercent)
        mapping.add("cooldown", rebalancing.cooldown, default: usual.cooldown)
        mapping.add("migrationsPerHost", rebalancing.migrationsPerHost, default: usual.migrationsPerHost)
        mapping.add("migrationsPerCluster", rebalancing.migrationsPerCluster, default: usual.migrationsPerCluster)
    }

    private static func add(texts: [String: String], to mapping: inout MappingBuilder) {
        for name in texts.keys.sorted() { mapping.add(name, text: texts[name]) }
    }

    static func add(_ template: VirtualServerTemplate, to mapping: inout MappingBuilder) {
        mapping.add("virtualCPUs", template.flavor.virtualCPUs, default: 1)
        mapping.add("cpuMillicores", number: template.flavor.cpuMillicores)
        mapping.add("maximumCpuMillicores", number: template.flavor.maximumCpuMillicores)
        mapping.add("memory", size: template.flavor.memory)
        mapping.add("kernel", text: template.directBoot?.kernel)
        mapping.add("initialRamdisk", text: template.directBoot?.initialRamdisk)
        if let line = template.directBoot?.commandLine, !line.isEmpty { mapping.add("commandLine", text: line) }
        mapping.add("disks", list: template.disks.map(disk))
        mapping.add("bridge", text: template.bridge)
        mapping.add("userData", text: template.seed?.userData)
        mapping.add("metaData", text: template.seed?.metaData)
        mapping.add("networkConfig", text: template.seed?.networkConfig)
        mapping.add("display", text: template.display?.rawValue)
        mapping.add("addresses", text: template.addresses.text)
        mapping.add("prefixLength", template.addresses.prefixLength, default: 24)
        mapping.add("port", .plain(String(template.port)))
        mapping.add("placement") { placement in
            let usual = PlacementRule()
            placement.add("strategy", template.placement.strategy, default: usual.strategy)
            placement.add("affinity", template.placement.affinity, default: usual.affinity)
            placement.add("hostLabels") { add(texts: template.placement.hostLabels, to: &$0) }
        }
        mapping.add("stopGrace", template.stopGrace, default: .seconds(10))
    }

    private static func disk(_ disk: VirtualDisk) -> ResourceTree {
        var builder = MappingBuilder()
        builder.add("path", text: disk.path)
        builder.add("format", disk.format, default: .qcow2)
        builder.add("image", text: disk.image)
        builder.add("imageFormat", text: disk.imageFormat?.rawValue)
        builder.add("size", size: disk.size)
        builder.add("shared", disk.shared, default: true) { .plain($0 ? "true" : "false") }
        return builder.tree
    }
}
