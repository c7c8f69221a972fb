public import CloudModel
public import CloudPorts

extension PostgresLogDatabase: ControlLease {
    /// The server's clock, in microseconds since 1970: clocks of platforms may differ.
    private static let serverTime = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"

    public func acquireLease(
        holder: String, succeeding predecessor: String?, for duration: TimeSpan
    ) async throws(LogDatabaseError) -> LeaseAttempt {
        let attempt = try await write("taking the lease", isFenced: false) { connection -> LeaseAttempt in
            let row = try connection.run(
                "SELECT epoch, holder, expires_at - \(Self.serverTime) AS remaining FROM control_lease FOR UPDATE"
            ).first
            guard let row else { throw LogDatabaseError(.corrupted, "the log database has no lease") }
            let remaining: Int64 = try row.number("remaining")
            let former = try row.text("holder")
            guard remaining <= 0 || former == predecessor else {
                return .heldByAnother(holder: former, remaining: .microseconds(remaining))
            }
            let epoch = try row.number("epoch", Int64.self) + 1
            try connection.run(
                "UPDATE control_lease SET epoch = $1, holder = $2, expires_at = \(Self.serverTime) + $3::bigint", epoch,
                holder, duration.microseconds)
            return .held(epoch: epoch)
        }
        if case .held(let epoch) = attempt { self.epoch.withLock { $0 = epoch } }
        return attempt
    }

    public func renewLease(for duration: TimeSpan) async throws(LogDatabaseError) {
        let held = epoch.withLock { $0 }
        try await write("prolonging the lease", isFenced: false) { connection in
            let renewed = try connection.run(
                "UPDATE control_lease SET expires_at = \(Self.serverTime) + $2::bigint WHERE epoch = $1", held,
                duration.microseconds)
            guard renewed.affected == 1 else { throw Self.superseded(held) }
        }
    }

    public func releaseLease() async throws(LogDatabaseError) {
        let held = epoch.withLock { $0 }
        try await write("giving up the lease", isFenced: false) { connection in
            _ = try connection.run("UPDATE control_lease SET expires_at = 0 WHERE epoch = $1", held)
        }
    }

    /// Holds the lease's row until the transaction ends: whoever wants the lease waits for what is being written.
    static func requireEpoch(_ epoch: Int64, on connection: Connection) throws {
        let row = try connection.run("SELECT epoch FROM control_lease FOR SHARE").first
        guard try row?.number("epoch") == epoch else { throw superseded(epoch) }
    }

    private static func superseded(_ epoch: Int64?) -> LogDatabaseError {
        LogDatabaseError(
            .superseded,
            "another control plane has taken the lease after epoch \(epoch ?? 0); this one must stop"
        )
    }
}
