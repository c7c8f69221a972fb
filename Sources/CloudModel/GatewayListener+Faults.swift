extension GatewayListener {
    func check(_ collector: inout FaultCollector, _ path: String) {
        tls?.check(&collector, "\(path).tls")
        for (index, network) in proxyProtocolFrom.enumerated() {
            collector.require(
                NetworkPrefix(network) != nil, "\(path).proxyProtocolFrom[\(index)]", "'\(network)' is not a network",
                "write an address and the length of its prefix: 10.0.0.0/8, 192.0.2.7/32 or fd00::/8")
        }
    }
}

extension ListenerTLS {
    fileprivate func check(_ collector: inout FaultCollector, _ path: String) {
        collector.require(
            !certificates.isEmpty, "\(path).certificates", "there is no certificate", "name at least one with its key")
        for (index, files) in certificates.enumerated() { files.check(&collector, "\(path).certificates[\(index)]") }
        collector.checkAbsolutePath(clientCertificates?.authorityFile, "\(path).clientCertificates.authorityFile")
    }
}

extension CertificateFiles {
    func check(_ collector: inout FaultCollector, _ path: String) {
        collector.checkAbsolutePath(certificateFile, "\(path).certificateFile")
        collector.checkAbsolutePath(keyFile, "\(path).keyFile")
    }
}

extension InstanceTLS {
    func check(_ collector: inout FaultCollector, _ path: String) {
        let isName =
            !serverName.isEmpty && serverName.utf8.count <= 253
            && serverName.utf8.allSatisfy {
                ($0 | 0x20) &- 0x61 < 26 || $0 &- 0x30 < 10 || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".")
            }
        collector.require(
            isName || AddressText.isAddress(serverName), "\(path).serverName",
            "'\(serverName)' is neither a host name nor an address", "write it as in the instances' certificates")
        collector.checkAbsolutePath(authorityFile, "\(path).authorityFile")
        certificate?.check(&collector, "\(path).certificate")
    }
}
