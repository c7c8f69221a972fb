import CloudModel
import Yams

/// Reads `spec.gateway.listeners` of a `Cloud`, and `spec.tcp.listen` of a `CloudService`: each listener an address
/// alone, or a mapping.
struct ListenerReader {
    let section: SectionReader

    func listeners() -> [GatewayListener]? {
        section.items("listeners")?.compactMap { listener($0.node, $0.path) }
    }

    func listener(_ field: String) -> GatewayListener? {
        section.value(field).flatMap { listener($0, section.pathOf(field)) }
    }

    private func listener(_ node: Node, _ path: String) -> GatewayListener? {
        if case .scalar = node { return section.endpoint(node, path: path).map { GatewayListener($0) } }
        return SectionReader(node, ConfigurationSchema.listener, path: path, context: section.context)
            .flatMap(listener)
    }

    private func listener(_ section: SectionReader) -> GatewayListener? {
        _ = section.requiredValue("address", remedy: "say where to listen: address: 0.0.0.0:443")
        guard let endpoint = section.endpoint("address") else { return nil }
        return GatewayListener(
            endpoint, tls: section.subsection("tls", ConfigurationSchema.listenerTLS).flatMap(tls),
            proxyProtocolFrom: section.texts("proxyProtocolFrom") ?? [])
    }

    private func tls(_ section: SectionReader) -> ListenerTLS? {
        let remedy =
            "name the files: certificates: [{certificateFile: /etc/cloud/web.pem, keyFile: /etc/cloud/web.key}]"
        guard section.requiredValue("certificates", remedy: remedy) != nil else { return nil }
        let certificates = (section.items("certificates") ?? []).compactMap { node, path in
            SectionReader(node, ConfigurationSchema.certificate, path: path, context: section.context)
                .flatMap(CertificateFiles.init(reading:))
        }
        return ListenerTLS(
            certificates: certificates,
            minimumVersion: section.choice(
                "minimumVersion", TLSVersion.self,
                remedy: "write \"1.2\" or \"1.3\"; older versions are broken (RFC 8996) and not spoken") ?? .v12,
            clientCertificates: clientCertificates(section))
    }

    private func clientCertificates(_ section: SectionReader) -> ClientCertificates? {
        guard let clients = section.subsection("clientCertificates", ConfigurationSchema.clientCertificates),
            let file = clients.requiredText(
                "authorityFile", remedy: "name the authorities: authorityFile: /etc/cloud/consumers.pem")
        else { return nil }
        return ClientCertificates(
            authorityFile: file, isOptional: clients.boolean("optional") ?? false)
    }
}

extension CertificateFiles {
    init?(reading section: SectionReader) {
        let certificate = section.requiredText("certificateFile", remedy: "name the certificate with its chain, in PEM")
        let key = section.requiredText("keyFile", remedy: "name the private key, in PEM")
        guard let certificate, let key else { return nil }
        self.init(certificateFile: certificate, keyFile: key)
    }
}

extension InstanceTLS {
    init?(reading section: SectionReader) {
        guard
            let name = section.requiredText(
                "serverName", remedy: "say whom the instances' certificates are for: serverName: db.example.org")
        else { return nil }
        self.init(
            serverName: name, authorityFile: section.text("authorityFile"),
            certificate: section.subsection("certificate", ConfigurationSchema.instanceCertificate)
                .flatMap(CertificateFiles.init(reading:)))
    }
}

extension AuditForwarding.SyslogTLS {
    init(reading section: SectionReader) {
        self.init(
            serverName: section.text("serverName"), authorityFile: section.text("authorityFile"),
            certificate: section.subsection("certificate", ConfigurationSchema.syslogCertificate)
                .flatMap(CertificateFiles.init(reading:)))
    }
}
