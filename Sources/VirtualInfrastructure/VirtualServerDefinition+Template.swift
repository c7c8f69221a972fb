import CloudModel

extension VirtualServerDefinition {
    /// What a hypervisor is to make of a template for one instance.
    init(_ template: VirtualServerTemplate, _ identity: VirtualServerIdentity, address: String) {
        let uuid = identity.uuid
        let replacements = [
            ("{instance}", identity.instance.rawValue), ("{service}", identity.service.rawValue),
            ("{address}", address), ("{prefix}", String(template.addresses.prefixLength)),
            ("{port}", String(template.port)),
        ]
        func filled(_ text: String) -> String {
            replacements.reduce(text) { Self.replacing($1.0, with: $1.1, in: $0) }
        }
        let boot = template.directBoot.map {
            DirectBoot(
                kernel: $0.kernel, initialRamdisk: $0.initialRamdisk, commandLine: filled($0.commandLine))
        }
        let seed = template.seed.map {
            CloudInitSeed(
                userData: filled($0.userData), metaData: filled($0.metaData),
                networkConfig: $0.networkConfig.map(filled))
        }
        let disks = template.disks.map { disk in
            var disk = disk
            disk.path = filled(disk.path)
            return disk
        }
        let networks = template.bridge.map {
            [NetworkAttachment(bridge: $0, hardwareAddress: identity.hardwareAddress)]
        }
        self.init(
            name: identity.name, uuid: uuid, identity: identity, flavor: template.flavor, disks: disks,
            networks: networks ?? [], directBoot: boot, seed: seed, display: template.display)
    }

    private static func replacing(_ pattern: String, with value: String, in text: String) -> String {
        var result = ""
        var rest = Substring(text)
        while let first = rest.first {
            if rest.hasPrefix(pattern) {
                result += value
                rest = rest.dropFirst(pattern.count)
            } else {
                result.append(first)
                rest = rest.dropFirst()
            }
        }
        return result
    }
}

extension VirtualServerIdentity {
    /// A name of its own for every incarnation: one that is being taken away is never in the way of the next.
    var name: VirtualServerID { VirtualServerID("\(cloud)-\(instance)-\(incarnation)") }

    /// The same for the same identity, on every machine: version 8 of RFC 9562 over two FNV-1a hashes.
    var uuid: String {
        let high = (hash(seed: FNV1a.offsetBasis) & 0xFFFF_FFFF_FFFF_0FFF) | 0x8000
        let low = (hash(seed: 0x9AE1_6A3B_2F90_404F) & 0x3FFF_FFFF_FFFF_FFFF) | 0x8000_0000_0000_0000
        let digits = Self.hex(high) + Self.hex(low)
        var text = ""
        for (index, digit) in digits.enumerated() {
            if [8, 12, 16, 20].contains(index) { text += "-" }
            text.append(digit)
        }
        return text
    }

    /// Locally administered, in the range that QEMU's guests commonly have (52:54:00). The same for every incarnation,
    /// as the IP address is: neighbours who know both reach the next one at once, and not when their memory of the one
    /// before has run out (half a minute in Linux).
    var hardwareAddress: String {
        let digits = Self.hex(Self.hash([cloud, service.rawValue, instance.rawValue], seed: 0x1000_0000_01B3)).suffix(6)
        var text = "52:54:00"
        for (index, digit) in digits.enumerated() {
            if index.isMultiple(of: 2) { text += ":" }
            text.append(digit)
        }
        return text
    }

    private func hash(seed: UInt64) -> UInt64 {
        Self.hash([cloud, service.rawValue, instance.rawValue, String(incarnation)], seed: seed)
    }

    private static func hash(_ parts: [String], seed: UInt64) -> UInt64 {
        var hash = FNV1a(offset: seed)
        for part in parts { hash.add(part: part) }
        // The low bits of FNV spread less than the high ones.
        return hash.value ^ (hash.value >> 29)
    }

    private static func hex(_ value: UInt64) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: 16 - text.utf8.count) + text
    }
}
