import CLibvirt
import CloudModel
import Glibc

/// What a connection says of its hypervisor once, when it is made.
struct HypervisorFacts: Sendable {
    /// libvirt's type of domain (`kvm`, `qemu`, `test`).
    var domainType: String
    /// Nil where the hypervisor has none (`test`).
    var emulator: String?
    var machine: String?
    /// The processor that guests are given; nil: the hypervisor's own choice.
    var cpuModel: String?
    var capabilities: HypervisorCapabilities

    var isEmulated: Bool { domainType == "qemu" }

    static func read(_ connection: OpaquePointer) throws(HypervisorError) -> HypervisorFacts {
        guard let typeText = virConnectGetType(connection) else { throw .last("asking for the hypervisor's type") }
        let type = String(cString: typeText)
        guard let text = virConnectGetCapabilities(connection) else { throw .last("asking for capabilities") }
        defer { free(text) }
        guard let host = XMLElements(String(cString: text)) else {
            throw HypervisorError(.failed, "the hypervisor's capabilities are no XML document")
        }
        let domain = domainCapabilities(connection)
        let domainType = domain?.text("domainCapabilities/domain") ?? type.lowercased()
        // Emulation gives every host the same processor; with the hardware's help it is the host's own model.
        let model =
            domainType == "qemu"
            ? "qemu64"
            : domain?.all.first { $0.path == "domainCapabilities/cpu/mode/model" }?.text
                ?? host.text("capabilities/host/cpu/model")
        return HypervisorFacts(
            domainType: domainType, emulator: domain?.text("domainCapabilities/path"),
            machine: domain?.text("domainCapabilities/machine"), cpuModel: domain == nil ? nil : model,
            capabilities: HypervisorCapabilities(
                version: version(connection, type), cpuModel: model ?? "",
                features: features(host, type: type, domainType: domainType)))
    }

    /// Nil where the hypervisor does not tell (older ones, and those without an emulator).
    private static func domainCapabilities(_ connection: OpaquePointer) -> XMLElements? {
        guard let text = virConnectGetDomainCapabilities(connection, nil, nil, nil, nil, 0) else { return nil }
        defer { free(text) }
        return XMLElements(String(cString: text))
    }

    private static func features(
        _ host: XMLElements, type: String, domainType: String
    ) -> Set<HypervisorCapabilities.Feature> {
        var features: Set<HypervisorCapabilities.Feature> = [.addVirtualCPUs, .changeMemory, .saveState]
        // libvirt reports live migration; for the rest there is no question to ask, only the driver's documentation.
        guard type == "QEMU" else { return features }
        if host.first("capabilities/host/migration_features/live") != nil {
            features.formUnion([.liveMigration, .storageMigration, .postCopy, .autoConverge])
        }
        features.insert(.cpuQuota)
        // Taking a processor away is never completed by QEMU's own emulation.
        if domainType == "kvm" { features.insert(.removeVirtualCPUs) }
        return features
    }

    private static func version(_ connection: OpaquePointer, _ type: String) -> String {
        var hypervisor: UInt = 0
        var library: UInt = 0
        func text(_ number: UInt) -> String { "\(number / 1_000_000).\(number / 1_000 % 1_000).\(number % 1_000)" }
        guard virConnectGetVersion(connection, &hypervisor) == 0, virConnectGetLibVersion(connection, &library) == 0
        else { return type }
        return "\(type) \(text(hypervisor)), libvirt \(text(library))"
    }
}
