import CLibvirt
import CloudModel
import CloudPorts
import Synchronization

extension LibvirtHypervisor {
    private static let progressInterval = Duration.milliseconds(250)
    /// libvirt tells the figures of a migration in an event beside the answer to the call.
    private static let figuresTimeout = Duration.seconds(1)

    func migrate(
        _ server: VirtualServerID, to destination: PhysicalServer, settings: MigrationSettings,
        progress: @escaping @Sendable (MigrationProgress) -> Void
    ) async throws(HypervisorError) -> MigrationResult {
        let uuid = try await call { connection, _ throws(HypervisorError) in
            try LibvirtDomain.named(server, connection).uuid
        }
        let isAlone = state.withLock { state in
            guard !state.migrations.keys.contains(uuid) else { return false }
            state.migrations[uuid] = .some(nil)
            return true
        }
        guard isAlone else { throw HypervisorError(.invalidState, "\(server) is being migrated already") }
        defer {
            state.withLock { state in
                state.migrations.removeValue(forKey: uuid)
                state.postCopies.remove(uuid)
            }
        }

        let begun = ContinuousClock.now
        let last = LastProgress()
        let watch = Task { await self.watch(server, settings, last, progress) }
        let address = destination.hypervisor
        let outcome: Result<Bool, HypervisorError>
        do throws(HypervisorError) {
            try await call { [fence] connection, facts throws(HypervisorError) in
                try LibvirtDomain.named(server, connection).migrate(to: address, settings, facts, fence)
            }
            outcome = .success(true)
        } catch {
            outcome = .failure(error)
        }
        watch.cancel()
        let suspended = await watch.value
        switch outcome {
        case .success:
            var result = await figures(uuid, last, since: begun)
            result.isPostCopy = state.withLock { $0.postCopies.contains(uuid) }
            return result
        case .failure(let error):
            if suspended { try? await resume(server) }
            throw await explained(error, server)
        }
    }

    func abortMigration(_ server: VirtualServerID) async throws(HypervisorError) {
        try await call { [fence] connection, _ throws(HypervisorError) in
            guard let domain = try LibvirtDomain.ifAny(server, connection) else { return }
            guard try domain.send(fence, { virDomainAbortJob(domain.handle) }) == 0 else {
                let error = HypervisorError.last("aborting the migration of \(server)")
                // There is none any more: the end has been reached.
                if error.code == .invalidState || error.code == .notFound { return }
                throw error
            }
        }
    }

    /// Reports until it is cancelled, and does what the settings say once it takes too long. True where that left the
    /// virtual server suspended.
    private func watch(
        _ server: VirtualServerID, _ settings: MigrationSettings, _ last: LastProgress,
        _ progress: @Sendable (MigrationProgress) -> Void
    ) async -> Bool {
        let late = ContinuousClock.now + .microseconds(settings.timeout.microseconds)
        var isLate = false
        var suspended = false
        while true {
            do { try await Task.sleep(for: min(Self.progressInterval, isLate ? .seconds(1) : late - .now)) } catch {
                return suspended
            }
            let now = try? await call { connection, _ throws(HypervisorError) in
                try LibvirtDomain.named(server, connection).migrationProgress()
            }
            if let now, !Task.isCancelled {
                last.value.withLock { $0 = now }
                progress(now)
            }
            guard !isLate, ContinuousClock.now >= late, !Task.isCancelled else { continue }
            isLate = true
            switch settings.whenLate {
            case .abort: try? await abortMigration(server)
            case .suspend:
                let done: Void? = try? await suspend(server)
                suspended = done != nil
            case .postCopy:
                try? await call { [fence] connection, _ throws(HypervisorError) in
                    let domain = try LibvirtDomain.named(server, connection)
                    guard try domain.send(fence, { virDomainMigrateStartPostCopy(domain.handle, 0) }) == 0 else {
                        throw .last("switching the migration of \(server) to post-copy")
                    }
                }
            }
        }
    }

    private func figures(
        _ uuid: String, _ last: LastProgress, since begun: ContinuousClock.Instant
    ) async -> MigrationResult {
        let deadline = ContinuousClock.now + Self.figuresTimeout
        let total = ContinuousClock.now - begun
        while ContinuousClock.now < deadline {
            if let result = state.withLock({ $0.migrations[uuid] ?? nil }) { return result }
            try? await Task.sleep(for: .milliseconds(5))
        }
        let seen = last.value.withLock { $0 }
        let microseconds = total.components.seconds * 1_000_000 + total.components.attoseconds / 1_000_000_000_000
        return MigrationResult(
            transferred: seen?.transferred ?? ByteCount(bytes: 0), totalTime: .microseconds(microseconds),
            downtime: nil, rounds: seen?.rounds ?? 0)
    }

    /// Where the source does not know it any more although the migration failed, it is lost.
    private func explained(_ error: HypervisorError, _ server: VirtualServerID) async -> HypervisorError {
        guard error.code != .unreachable else { return error }
        let failed = try? await call { connection, _ throws(HypervisorError) in
            guard let domain = try LibvirtDomain.ifAny(server, connection) else { return true }
            var state: Int32 = 0
            var reason: Int32 = 0
            virDomainGetState(domain.handle, &state, &reason, 0)
            return virDomainState(UInt32(bitPattern: state)) == VIR_DOMAIN_PAUSED
                && UInt32(bitPattern: reason) == VIR_DOMAIN_PAUSED_POSTCOPY_FAILED.rawValue
        }
        return failed == true ? HypervisorError(.lost, error.message) : error
    }

    final class LastProgress: Sendable {
        let value = Mutex<MigrationProgress?>(nil)
    }
}

extension LibvirtDomain {
    fileprivate func migrate(
        to destination: String, _ settings: MigrationSettings, _ facts: HypervisorFacts, _ fence: any ActionFence
    ) throws(HypervisorError) {
        guard facts.capabilities.features.contains(.liveMigration) else {
            throw HypervisorError(.unsupported, "this hypervisor migrates no virtual servers")
        }
        // From libvirtd to libvirtd: it comes to its end, whatever becomes of us.
        var flags =
            VIR_MIGRATE_PEER2PEER.rawValue | VIR_MIGRATE_PERSIST_DEST.rawValue
            | VIR_MIGRATE_UNDEFINE_SOURCE.rawValue
        if let metadata, metadata.hasLocalDisks {
            try OverlayStorage.prepareFolders(of: metadata.overlays, at: destination)
            // libvirt copies what is written to; the seed is not.
            try OverlayStorage.copySeeds(metadata.overlays, from: handle, to: destination)
            flags |= VIR_MIGRATE_NON_SHARED_DISK.rawValue
        } else {
            // libvirt knows the network file systems by name and doubts every other. The disks are declared as seen by
            // every host, and are opened without the page cache.
            flags |= VIR_MIGRATE_UNSAFE.rawValue
        }
        if settings.mode == .live {
            flags |= VIR_MIGRATE_LIVE.rawValue
            if settings.autoConverge { flags |= VIR_MIGRATE_AUTO_CONVERGE.rawValue }
            if settings.whenLate == .postCopy { flags |= VIR_MIGRATE_POSTCOPY.rawValue }
            let downtime = UInt64(clamping: max(1, settings.maximumDowntime.millisecondsRoundedUp))
            guard virDomainMigrateSetMaxDowntime(handle, downtime, 0) == 0 else {
                throw .last("setting the longest pause of \(name)")
            }
        }
        var parameters = TypedParameters()
        if let bandwidth = settings.bandwidthMebibytesPerSecond {
            parameters.add(VIR_MIGRATE_PARAM_BANDWIDTH, unsigned: UInt64(clamping: bandwidth))
        }
        // Its end is not waited for inside the fence: once it is sent, libvirtd brings it to its end.
        try parameters.pass("migrating \(name)") { list, count throws(HypervisorError) in
            try send(fence, noting: true) { virDomainMigrateToURI3(handle, destination, list, UInt32(count), flags) }
        }
    }

    /// Nil where there is nothing to report.
    fileprivate func migrationProgress() throws(HypervisorError) -> MigrationProgress? {
        var type: Int32 = 0
        var values: virTypedParameterPtr?
        var count: Int32 = 0
        guard virDomainGetJobStats(handle, &type, &values, &count, 0) == 0 else {
            throw .last("asking how far the migration of \(name) is")
        }
        defer { virTypedParamsFree(values, count) }
        guard count > 0 else { return nil }
        return MigrationProgress(values, count)
    }
}
