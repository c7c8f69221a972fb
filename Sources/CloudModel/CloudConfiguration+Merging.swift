extension CloudConfiguration {
    /// This configuration as it is applied over the `current` one: credentials that were made by a command, and that a
    /// file therefore does not name, stay. A key that was revoked stays revoked, whatever an older file says. A
    /// consumer that is no longer declared goes with all of its credentials.
    public func keepingCredentials(of current: CloudConfiguration) -> CloudConfiguration {
        let known = Dictionary(
            current.consumers.map { ($0.id, $0.credentials) }, uniquingKeysWith: { first, _ in first })
        var merged = self
        for index in merged.consumers.indices {
            let existing = known[merged.consumers[index].id] ?? []
            var credentials = merged.consumers[index].credentials
            for credential in existing {
                if let declared = credentials.firstIndex(where: { $0.id == credential.id }) {
                    credentials[declared].revoked = credentials[declared].revoked || credential.revoked
                } else if let same = credentials.firstIndex(where: { $0.digest == credential.digest }) {
                    credentials[same].revoked = credentials[same].revoked || credential.revoked
                } else {
                    credentials.append(credential)
                }
            }
            merged.consumers[index].credentials = credentials.sorted { $0.id < $1.id }
        }
        return merged
    }

    /// A physical server that an administrator has drained stays closed, whatever a file says, until it is activated.
    public func keepingClosed(of current: CloudConfiguration) -> CloudConfiguration {
        let closed = Set(current.physicalServers.filter(\.closed).map(\.id))
        var merged = self
        for index in merged.physicalServers.indices {
            merged.physicalServers[index].closed = closed.contains(merged.physicalServers[index].id)
        }
        return merged
    }
}
