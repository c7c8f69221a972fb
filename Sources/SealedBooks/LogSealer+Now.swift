public import CloudPorts

extension LogSealer {
    /// Seals what has come and gives back the newest seal of each log that has one: every record that is in the books
    /// when this is called is sealed when it returns. Throws where the books cannot be sealed.
    public func sealNow() async throws(LogDatabaseError) -> [StoredSeal] {
        await seal()
        guard health == "ok" else { throw LogDatabaseError(.unavailable, "the books cannot be sealed: \(health)") }
        var seals: [StoredSeal] = []
        for log in try await SealedLog.all(of: database) {
            if let seal = try await database.newestSeal(ofLog: log.name) { seals.append(seal) }
        }
        return seals
    }
}
