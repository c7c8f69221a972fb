import CLibvirt
import CloudModel
import CloudPorts
import Glibc

extension LibvirtHypervisor {
    func list() async throws(HypervisorError) -> [ObservedVirtualServer] {
        try await call { connection, _ throws(HypervisorError) in
            var handles: UnsafeMutablePointer<virDomainPtr?>?
            let count = virConnectListAllDomains(connection, &handles, 0)
            guard count >= 0, let handles else { throw .last("listing virtual servers") }
            let domains = (0..<Int(count)).compactMap { handles[$0].map(LibvirtDomain.init(owning:)) }
            free(handles)
            var observed: [ObservedVirtualServer] = []
            for domain in domains {
                // One that has gone meanwhile is not there.
                do throws(HypervisorError) {
                    observed.append(try domain.observed())
                } catch {
                    guard error.code == .notFound else { throw error }
                }
            }
            return observed.sorted { $0.name < $1.name }
        }
    }

    func define(_ definition: VirtualServerDefinition) async throws(HypervisorError) {
        try await call { [fence] connection, facts throws(HypervisorError) in
            guard definition.seed == nil || facts.domainType != "test" else {
                throw HypervisorError(.unsupported, "this hypervisor has no CD drive to give a cloud-init seed by")
            }
            var isRunning = false
            let known = try LibvirtDomain.ifAny(definition.name, connection)
            if let known {
                guard known.uuid.lowercased() == definition.uuid.lowercased(),
                    known.metadata?.identity == definition.identity
                else {
                    throw HypervisorError(.conflict, "the name \(definition.name) is that of another virtual server")
                }
                isRunning = try known.isActive("defining \(definition.name)")
            } else if let other = virDomainLookupByUUIDString(connection, definition.uuid) {
                throw HypervisorError(
                    .conflict, "the uuid \(definition.uuid) is that of \(LibvirtDomain(owning: other).name)")
            }
            let make = { () throws(HypervisorError) in
                try OverlayStorage.make(definition.disks, connection)
                // Whoever runs reads from it.
                if let seed = definition.seed, !isRunning {
                    try OverlayStorage.write(SeedImage.made(seed), to: DomainXML.seedPath(definition), connection)
                }
            }
            if let known {
                try known.send(fence, noting: true, make)
            } else {
                try fence.send { _ throws(HypervisorError) in try make() }
            }
            try fence.send { epoch throws(HypervisorError) in
                let text = DomainXML.written(definition, facts, epoch: epoch)
                guard let defined = virDomainDefineXML(connection, text) else {
                    throw .last("defining \(definition.name)")
                }
                virDomainFree(defined)
            }
        }
    }

    func start(_ server: VirtualServerID, paused: Bool) async throws(HypervisorError) {
        try await call { [fence] connection, _ throws(HypervisorError) in
            let domain = try LibvirtDomain.named(server, connection)
            if try domain.isActive("starting \(server)") {
                guard try domain.state("starting \(server)") != VIR_DOMAIN_PAUSED || paused else {
                    throw HypervisorError(.invalidState, "\(server) is paused; resume it")
                }
                return
            }
            let flags = paused ? VIR_DOMAIN_START_PAUSED.rawValue : 0
            guard try domain.send(fence, noting: true, { virDomainCreateWithFlags(domain.handle, flags) }) == 0 else {
                throw .last("starting \(server)")
            }
        }
    }

    func shutDown(_ server: VirtualServerID) async throws(HypervisorError) {
        try await call { [fence] connection, _ throws(HypervisorError) in
            let domain = try LibvirtDomain.named(server, connection)
            guard try domain.isActive("shutting down \(server)") else { return }
            guard try domain.send(fence, { virDomainShutdown(domain.handle) }) == 0 else {
                throw .last("shutting down \(server)")
            }
        }
    }

    func destroy(_ server: VirtualServerID) async throws(HypervisorError) {
        try await call { [fence] connection, _ throws(HypervisorError) in
            guard let domain = try LibvirtDomain.ifAny(server, connection) else { return }
            try domain.destroy(fence)
        }
    }

    func suspend(_ server: VirtualServerID) async throws(HypervisorError) {
        try await call { [fence] connection, _ throws(HypervisorError) in
            let domain = try LibvirtDomain.named(server, connection)
            guard try domain.state("suspending \(server)") != VIR_DOMAIN_PAUSED else { return }
            guard try domain.send(fence, { virDomainSuspend(domain.handle) }) == 0 else {
                throw .last("suspending \(server)")
            }
        }
    }

    func resume(_ server: VirtualServerID) async throws(HypervisorError) {
        try await call { [fence] connection, _ throws(HypervisorError) in
            let domain = try LibvirtDomain.named(server, connection)
            guard try domain.state("resuming \(server)") != VIR_DOMAIN_RUNNING else { return }
            guard try domain.send(fence, noting: true, { virDomainResume(domain.handle) }) == 0 else {
                throw .last("resuming \(server)")
            }
        }
    }

    func save(_ server: VirtualServerID) async throws(HypervisorError) {
        try await call { [fence] connection, _ throws(HypervisorError) in
            let domain = try LibvirtDomain.named(server, connection)
            if try !domain.isActive("saving \(server)"), virDomainHasManagedSaveImage(domain.handle, 0) == 1 { return }
            guard try domain.send(fence, noting: true, { virDomainManagedSave(domain.handle, 0) }) == 0 else {
                throw .last("saving \(server)")
            }
        }
    }

    func undefine(_ server: VirtualServerID, removingDisks: Bool) async throws(HypervisorError) {
        try await call { [fence] connection, _ throws(HypervisorError) in
            guard let domain = try LibvirtDomain.ifAny(server, connection) else { return }
            guard try !domain.isActive("removing \(server)") else {
                throw HypervisorError(.invalidState, "\(server) runs; stop it first")
            }
            // Disks first: were this to end in between, the definition still says what there is to remove.
            if removingDisks, let metadata = domain.metadata {
                try domain.send(fence) { () throws(HypervisorError) in
                    try OverlayStorage.remove(metadata.overlays, connection)
                }
            }
            let flags = VIR_DOMAIN_UNDEFINE_MANAGED_SAVE.rawValue | VIR_DOMAIN_UNDEFINE_NVRAM.rawValue
            // A driver without firmware variables refuses the flag of theirs.
            let isRemoved = try domain.send(fence) {
                virDomainUndefineFlags(domain.handle, flags) == 0
                    || virDomainUndefineFlags(domain.handle, VIR_DOMAIN_UNDEFINE_MANAGED_SAVE.rawValue) == 0
            }
            guard isRemoved else { throw .last("removing \(server)") }
        }
    }

    func statistics() async throws(HypervisorError) -> HypervisorStatistics {
        try await call { connection, _ throws(HypervisorError) in
            var records: UnsafeMutablePointer<virDomainStatsRecordPtr?>?
            let wanted = VIR_DOMAIN_STATS_CPU_TOTAL.rawValue | VIR_DOMAIN_STATS_BALLOON.rawValue
            let count = virConnectGetAllDomainStats(
                connection, wanted, &records, VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE.rawValue)
            guard count >= 0, let records else { throw .last("reading statistics") }
            defer { virDomainStatsRecordListFree(records) }
            var all: [VirtualServerID: VirtualServerStatistics] = [:]
            for index in 0..<Int(count) {
                guard let record = records[index]?.pointee, let name = virDomainGetName(record.dom) else { continue }
                // No data is not zero: one without a reading is left out.
                guard let nanoseconds = TypedParameters.number("cpu.time", record.params, record.nparams) else {
                    continue
                }
                let resident = TypedParameters.number("balloon.rss", record.params, record.nparams)
                all[VirtualServerID(String(cString: name))] = VirtualServerStatistics(
                    cpuTime: .microseconds(nanoseconds / 1_000), residentMemory: resident.map { .kibibytes($0) })
            }
            return HypervisorStatistics(virtualServers: all)
        }
    }
}

extension LibvirtDomain {
    func destroy(_ fence: any ActionFence) throws(HypervisorError) {
        guard try isActive("ending \(name)") else { return }
        guard try send(fence, { virDomainDestroy(handle) }) == 0 else {
            let error = HypervisorError.last("ending \(name)")
            // It ended by itself meanwhile.
            if virDomainIsActive(handle) == 0 || error.code == .notFound { return }
            throw error
        }
    }

    func observed() throws(HypervisorError) -> ObservedVirtualServer {
        var info = virDomainInfo()
        var state: Int32 = 0
        var reason: Int32 = 0
        guard virDomainGetInfo(handle, &info) == 0, virDomainGetState(handle, &state, &reason, 0) == 0 else {
            throw .last("reading the state of \(name)")
        }
        return ObservedVirtualServer(
            name: name, uuid: uuid, identity: metadata?.identity,
            state: observedState(virDomainState(UInt32(bitPattern: state)), UInt32(bitPattern: reason)),
            virtualCPUs: Int(info.nrVirtCpu), memory: .kibibytes(Int64(clamping: info.memory)),
            isInTransit: isInTransit(virDomainState(UInt32(bitPattern: state)), UInt32(bitPattern: reason)))
    }

    /// The side that it comes to stands still for the migration; the side that it leaves has a job under way.
    private func isInTransit(_ state: virDomainState, _ reason: UInt32) -> Bool {
        if state == VIR_DOMAIN_PAUSED && reason == VIR_DOMAIN_PAUSED_MIGRATION.rawValue { return true }
        guard state == VIR_DOMAIN_RUNNING || state == VIR_DOMAIN_PAUSED else { return false }
        var job = virDomainJobInfo()
        // A driver without jobs has no migrations either.
        guard virDomainGetJobInfo(handle, &job) == 0 else { return false }
        let type = virDomainJobType(UInt32(bitPattern: job.type))
        return type == VIR_DOMAIN_JOB_UNBOUNDED || type == VIR_DOMAIN_JOB_BOUNDED
    }

    private func observedState(_ state: virDomainState, _ reason: UInt32) -> VirtualServerState {
        switch state {
        case VIR_DOMAIN_RUNNING, VIR_DOMAIN_BLOCKED: return .running
        case VIR_DOMAIN_PAUSED, VIR_DOMAIN_PMSUSPENDED: return .paused
        case VIR_DOMAIN_SHUTDOWN: return .stopping
        case VIR_DOMAIN_CRASHED: return .crashed
        default:
            if virDomainHasManagedSaveImage(handle, 0) == 1 { return .saved }
            let failures = [VIR_DOMAIN_SHUTOFF_CRASHED.rawValue, VIR_DOMAIN_SHUTOFF_FAILED.rawValue]
            return failures.contains(reason) ? .crashed : .defined
        }
    }
}
