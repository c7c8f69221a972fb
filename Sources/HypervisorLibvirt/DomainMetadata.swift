import CLibvirt
package import CloudModel
import CloudPorts
import Glibc

/// Our element of a definition's metadata: how a virtual server is known as ours, by a control plane that has lost its
/// memory as well.
package struct DomainMetadata: Hashable {
    package var identity: VirtualServerIdentity
    /// What the adapter made itself, so that it removes nothing else.
    package var overlays: [String]
    /// A migration has to copy them.
    package var hasLocalDisks: Bool
    /// Of the control plane that acted on it last (`ActionFence`); nil where those that did took no turns.
    package var epoch: Int64?

    package static let namespace = "urn:cloudwright:virtual-server:1"
    package static let prefix = "cloudwright"

    package init(identity: VirtualServerIdentity, overlays: [String], hasLocalDisks: Bool, epoch: Int64?) {
        self.identity = identity
        self.overlays = overlays
        self.hasLocalDisks = hasLocalDisks
        self.epoch = epoch
    }

    /// Nil where it is not ours.
    package init?(_ text: String) {
        guard let elements = XMLElements(text), let root = elements.first("instance"),
            let cloud = root.attributes["cloud"], let service = root.attributes["service"],
            let instance = root.attributes["instance"],
            let incarnation = root.attributes["incarnation"].flatMap({ Int($0) })
        else { return nil }
        identity = VirtualServerIdentity(
            cloud: cloud, service: ServiceID(service), instance: InstanceID(instance), incarnation: incarnation)
        overlays = elements.all.filter { $0.path == "instance/overlay" }.compactMap { $0.attributes["path"] }
        hasLocalDisks = root.attributes["disks"] == "local"
        epoch = root.attributes["epoch"].flatMap { Int64($0) }
    }

    /// Why a control plane of this epoch may not act on it: a later one has. Nil where it may, which is always where
    /// nobody takes turns.
    package func refusal(of server: VirtualServerID, under own: Int64?) -> HypervisorError? {
        guard let own, let epoch, epoch > own else { return nil }
        return HypervisorError(
            .superseded,
            """
            a later platform has acted on \(server): its epoch is \(epoch), ours is \(own); where the log database was \
            restored from a backup, raise its epoch (UPDATE control_lease SET epoch = \(epoch)) and start the platform
            """)
    }

    /// As it stands in a definition.
    var node: XMLNode { node(prefix: "\(Self.prefix):", head: [("xmlns:\(Self.prefix)", Self.namespace)]) }

    /// As libvirt takes it beside a definition: it adds the name space by itself.
    package var text: String { node(prefix: "", head: []).written }

    private func node(prefix: String, head: [(String, String)]) -> XMLNode {
        var attributes = head
        attributes += [
            ("cloud", identity.cloud), ("service", identity.service.rawValue),
            ("instance", identity.instance.rawValue), ("incarnation", String(identity.incarnation)),
            ("disks", hasLocalDisks ? "local" : "shared"),
        ]
        if let epoch { attributes.append(("epoch", String(epoch))) }
        return XMLNode("\(prefix)instance", attributes, overlays.map { XMLNode("\(prefix)overlay", [("path", $0)]) })
    }
}

extension LibvirtDomain {
    /// Nil where it is not ours.
    var metadata: DomainMetadata? { metadata(VIR_DOMAIN_AFFECT_CURRENT) }

    private func metadata(_ scope: virDomainModificationImpact) -> DomainMetadata? {
        guard
            let text = virDomainGetMetadata(
                handle, Int32(VIR_DOMAIN_METADATA_ELEMENT.rawValue), DomainMetadata.namespace, scope.rawValue)
        else { return nil }
        defer { free(text) }
        return DomainMetadata(String(cString: text))
    }

    /// A call that changes the virtual server, and may take long once it has been sent. Throws `notPermitted` where
    /// this control plane's turn is over, and `superseded` where a later one has acted on it; then nothing was sent.
    /// - Parameter noting: whether the epoch is written down with it first. Not for what is done while a migration is
    ///   under way, which keeps the hypervisor from changing anything else.
    func send<Value>(
        _ fence: any ActionFence, noting: Bool = false, _ call: () throws(HypervisorError) -> Value
    ) throws(HypervisorError) -> Value {
        try fence.send { epoch throws(HypervisorError) in
            if let epoch, var known = metadata {
                // What went on from a saved state has the metadata of when it was saved.
                let next = metadata(VIR_DOMAIN_AFFECT_CONFIG)?.epoch
                known.epoch = [known.epoch, next].compactMap { $0 }.max()
                if let refusal = known.refusal(of: name, under: epoch) { throw refusal }
                if noting, known.epoch != epoch { try note(epoch, in: known) }
            }
            return try call()
        }
    }

    /// In what runs and in what the next start finds.
    private func note(_ epoch: Int64, in known: DomainMetadata) throws(HypervisorError) {
        var noted = known
        noted.epoch = epoch
        let isActive = try isActive("noting who acts on \(name)")
        let scope = VIR_DOMAIN_AFFECT_CONFIG.rawValue | (isActive ? VIR_DOMAIN_AFFECT_LIVE.rawValue : 0)
        guard
            virDomainSetMetadata(
                handle, Int32(VIR_DOMAIN_METADATA_ELEMENT.rawValue), noted.text, DomainMetadata.prefix,
                DomainMetadata.namespace, scope) == 0
        else { throw .last("noting who acts on \(name)") }
    }
}
