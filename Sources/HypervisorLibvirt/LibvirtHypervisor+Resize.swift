import CLibvirt
import CloudModel
import CloudPorts

extension LibvirtHypervisor {
    func resize(_ server: VirtualServerID, to change: ResizeRequest) async throws(HypervisorError) {
        try await call { [fence] connection, facts throws(HypervisorError) in
            let domain = try LibvirtDomain.named(server, connection)
            let before = try domain.observed()
            let isActive = try domain.isActive("resizing \(server)")
            let features = facts.capabilities.features
            let removesCPUs = change.virtualCPUs.map { $0 < before.virtualCPUs } ?? false
            // All that can be refused is refused before anything is changed.
            guard !removesCPUs || !isActive || features.contains(.removeVirtualCPUs) else {
                throw HypervisorError(
                    .unsupported, "this hypervisor takes no virtual processors away from \(server) while it runs")
            }
            guard change.cpuMillicores == nil || features.contains(.cpuQuota) else {
                throw HypervisorError(.unsupported, "this hypervisor limits no processor time")
            }
            if let count = change.virtualCPUs, count != before.virtualCPUs {
                try domain.send(fence, noting: true) { () throws(HypervisorError) in
                    try domain.setVirtualCPUs(count, isActive: isActive)
                }
            }
            if let millicores = change.cpuMillicores {
                let count = change.virtualCPUs ?? before.virtualCPUs
                try domain.send(fence, noting: true) { () throws(HypervisorError) in
                    try domain.setQuota(DomainXML.quota(millicores, virtualCPUs: count), isActive: isActive)
                }
            }
            if let memory = change.memory, memory != before.memory {
                try domain.send(fence, noting: true) { () throws(HypervisorError) in
                    try domain.setMemory(memory, isActive: isActive)
                }
            }
        }
    }
}

extension LibvirtDomain {
    /// What runs is changed, and what the next start finds.
    private func scope(_ isActive: Bool) -> UInt32 {
        VIR_DOMAIN_AFFECT_CONFIG.rawValue | (isActive ? VIR_DOMAIN_AFFECT_LIVE.rawValue : 0)
    }

    fileprivate func setVirtualCPUs(_ count: Int, isActive: Bool) throws(HypervisorError) {
        guard virDomainSetVcpusFlags(handle, UInt32(clamping: count), scope(isActive)) == 0 else {
            throw .last("giving \(name) \(count) virtual processors")
        }
    }

    fileprivate func setMemory(_ memory: ByteCount, isActive: Bool) throws(HypervisorError) {
        guard virDomainSetMemoryFlags(handle, UInt(clamping: memory.bytes >> 10), scope(isActive)) == 0 else {
            throw .last("giving \(name) \(memory.bytes) bytes of memory")
        }
    }

    fileprivate func setQuota(_ microseconds: Int, isActive: Bool) throws(HypervisorError) {
        var parameters = TypedParameters()
        parameters.add(VIR_DOMAIN_SCHEDULER_VCPU_PERIOD, unsigned: UInt64(DomainXML.quotaPeriodMicroseconds))
        parameters.add(VIR_DOMAIN_SCHEDULER_VCPU_QUOTA, signed: Int64(microseconds))
        try parameters.pass("limiting the processor time of \(name)") {
            virDomainSetSchedulerParametersFlags(handle, $0, $1, scope(isActive))
        }
    }
}
