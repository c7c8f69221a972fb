package import AdministrationAPI
import CloudPorts
package import SealedBooks

extension RouteTable {
    static let integrity: [Route] = [
        Route(
            name: "verifyLogs", method: .get, path: "/api/v1/integrity", right: .read,
            summary: "Reads the append-only logs anew and compares them with their seals; takes long where they are.",
            answer: .json(API.Page<API.LogIntegrity>.self, "What was found of each log.")
        ) { handlers, _ in try await handlers.verifyLogs() },
        Route(
            name: "showVerificationKey", method: .get, path: "/api/v1/integrity/key", right: .read,
            summary: "Gives the public key of the seals, which an auditor keeps.",
            answer: .json(API.VerificationKey.self, "The key.")
        ) { handlers, _ in .json(API.VerificationKey(key: handlers.seals.description)) },
    ]
}

extension Handlers {
    func verifyLogs() async throws -> Reply {
        let findings = try await LogVerification(of: database, verifier: seals).run()
        return .json(API.Page(items: findings.map(API.LogIntegrity.init), nextCursor: nil))
    }
}

extension API.LogIntegrity {
    package init(_ finding: LogVerification.Finding) {
        self.init(
            log: finding.log, records: finding.records, sealed: finding.sealed, seals: finding.seals,
            lastSealedAt: finding.lastSealedAt.map { Moment($0) }, fault: finding.fault)
    }
}
