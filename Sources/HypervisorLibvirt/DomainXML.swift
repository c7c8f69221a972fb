import CloudModel

/// libvirt's form of a virtual server.
enum DomainXML {
    /// The period over which processor time is shared out. The kernel's default for control groups.
    static let quotaPeriodMicroseconds = 100_000

    /// - Parameter epoch: of the control plane that defines it.
    static func written(_ definition: VirtualServerDefinition, _ facts: HypervisorFacts, epoch: Int64?) -> String {
        let flavor = definition.flavor
        let maximumMemory = max(flavor.maximumMemory ?? flavor.memory, flavor.memory)
        let maximumCPUs = max(flavor.maximumVirtualCPUs ?? flavor.virtualCPUs, flavor.virtualCPUs)
        var children = [
            XMLNode("name", text: definition.name.rawValue),
            XMLNode("uuid", text: definition.uuid),
            XMLNode("metadata", [metadata(definition, epoch).node]),
            XMLNode("memory", [("unit", "b")], text: String(maximumMemory.bytes)),
            XMLNode("currentMemory", [("unit", "b")], text: String(flavor.memory.bytes)),
            XMLNode(
                "vcpu", [("placement", "static"), ("current", String(flavor.virtualCPUs))], text: String(maximumCPUs)),
        ]
        if let millicores = flavor.cpuMillicores, facts.capabilities.features.contains(.cpuQuota) {
            children.append(
                XMLNode(
                    "cputune",
                    [
                        XMLNode("period", text: String(quotaPeriodMicroseconds)),
                        XMLNode("quota", text: String(quota(millicores, virtualCPUs: flavor.virtualCPUs))),
                    ]))
        }
        children.append(system(definition.directBoot, facts))
        if facts.domainType != "test" { children.append(XMLNode("features", [XMLNode("acpi"), XMLNode("apic")])) }
        if let cpu = processor(facts) { children.append(cpu) }
        children += [
            XMLNode("on_poweroff", text: "destroy"), XMLNode("on_reboot", text: "restart"),
            XMLNode("on_crash", text: "destroy"), devices(definition, facts),
        ]
        return XMLNode("domain", [("type", facts.domainType)], children).written
    }

    /// libvirt's quota is that of each virtual processor; the flavor's is that of all together. 1,000 microseconds is
    /// the least that the kernel takes.
    static func quota(_ millicores: Int, virtualCPUs: Int) -> Int {
        max(1_000, millicores * quotaPeriodMicroseconds / 1_000 / max(1, virtualCPUs))
    }

    private static func metadata(_ definition: VirtualServerDefinition, _ epoch: Int64?) -> DomainMetadata {
        let made = definition.disks.filter { $0.image != nil }.map(\.path)
        return DomainMetadata(
            identity: definition.identity,
            overlays: made + (definition.seed == nil ? [] : [seedPath(definition)]),
            hasLocalDisks: definition.disks.contains { !$0.shared }, epoch: epoch)
    }

    static let seedSuffix = ".seed.iso"

    /// Where the seed is: beside the first disk, so that hosts that see the same disks see the same seed. It has the
    /// instance's name, as disks have: the next incarnation's takes its place.
    static func seedPath(_ definition: VirtualServerDefinition) -> String {
        let disk = definition.disks.first?.path ?? "/var/lib/libvirt/images/disk"
        let folder = disk.lastIndex(of: "/").map { disk[..<$0] } ?? ""
        return "\(folder)/\(definition.identity.cloud)-\(definition.identity.instance)\(seedSuffix)"
    }

    private static func system(_ boot: DirectBoot?, _ facts: HypervisorFacts) -> XMLNode {
        var children = [
            XMLNode("type", facts.machine.map { [("machine", $0)] } ?? [], text: "hvm")
        ]
        if let boot {
            children.append(XMLNode("kernel", text: boot.kernel))
            if let ramdisk = boot.initialRamdisk { children.append(XMLNode("initrd", text: ramdisk)) }
            children.append(XMLNode("cmdline", text: boot.commandLine))
        }
        return XMLNode("os", children)
    }

    private static func processor(_ facts: HypervisorFacts) -> XMLNode? {
        if facts.domainType == "kvm" { return XMLNode("cpu", [("mode", "host-model"), ("check", "partial")]) }
        guard let model = facts.cpuModel else { return nil }
        return XMLNode(
            "cpu", [("mode", "custom"), ("match", "exact"), ("check", "none")],
            [XMLNode("model", [("fallback", "forbid")], text: model)])
    }

    private static func devices(_ definition: VirtualServerDefinition, _ facts: HypervisorFacts) -> XMLNode {
        var children: [XMLNode] = []
        if let emulator = facts.emulator { children.append(XMLNode("emulator", text: emulator)) }
        for (index, disk) in definition.disks.enumerated() { children.append(self.disk(disk, index)) }
        if definition.seed != nil { children += seed(seedPath(definition)) }
        children += definition.networks.map(network)
        if facts.domainType != "test" {
            children.append(XMLNode("controller", [("type", "usb"), ("model", "none")]))
            children.append(XMLNode("memballoon", [("model", "virtio")]))
        }
        children += serial(definition, facts)
        if definition.display == .vnc, facts.domainType != "test" {
            // Without an address of its own it listens where the host's qemu.conf says (vnc_listen).
            children.append(
                XMLNode("graphics", [("type", "vnc"), ("autoport", "yes"), ("sharePolicy", "force-shared")]))
            children.append(XMLNode("video", [XMLNode("model", [("type", "vga")])]))
        }
        return XMLNode("devices", children)
    }

    /// On a bus of its own that every guest with virtio drivers has: the kernels of cloud images have no other CD.
    private static func seed(_ path: String) -> [XMLNode] {
        [
            XMLNode("controller", [("type", "scsi"), ("index", "0"), ("model", "virtio-scsi")]),
            XMLNode(
                "disk", [("type", "file"), ("device", "cdrom")],
                [
                    XMLNode("driver", [("name", "qemu"), ("type", "raw")]),
                    XMLNode("source", [("file", path)]),
                    XMLNode("target", [("dev", "sda"), ("bus", "scsi")]),
                    XMLNode("readonly"),
                ]),
        ]
    }

    /// The serial port that consoles are opened on. What the guest writes there goes to the log as well, whether
    /// somebody looks or not.
    private static func serial(_ definition: VirtualServerDefinition, _ facts: HypervisorFacts) -> [XMLNode] {
        guard facts.domainType != "test" else { return [] }
        let log = definition.consoleLog.map { [XMLNode("log", [("file", $0), ("append", "on")])] } ?? []
        return [
            XMLNode("serial", [("type", "pty")], log + [XMLNode("target", [("port", "0")])]),
            XMLNode("console", [("type", "pty")], [XMLNode("target", [("type", "serial"), ("port", "0")])]),
        ]
    }

    /// Without the host's page cache: what a guest has flushed is there for the next host.
    private static func disk(_ disk: VirtualDisk, _ index: Int) -> XMLNode {
        let letters = Array("abcdefghijklmnopqrstuvwxyz")
        let target = index < letters.count ? "vd\(letters[index])" : "vda\(letters[index % letters.count])"
        return XMLNode(
            "disk", [("type", "file"), ("device", "disk")],
            [
                XMLNode("driver", [("name", "qemu"), ("type", disk.format.rawValue), ("cache", "none")]),
                XMLNode("source", [("file", disk.path)]),
                XMLNode("target", [("dev", target), ("bus", "virtio")]),
            ])
    }

    private static func network(_ network: NetworkAttachment) -> XMLNode {
        XMLNode(
            "interface", [("type", "bridge")],
            [
                XMLNode("mac", [("address", network.hardwareAddress)]),
                XMLNode("source", [("bridge", network.bridge)]),
                XMLNode("model", [("type", "virtio")]),
                XMLNode("rom", [("enabled", "no")]),
            ])
    }
}
