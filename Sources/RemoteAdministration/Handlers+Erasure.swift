import AdministrationAPI
import CloudModel
import CloudPorts
import MerkleLog

extension RouteTable {
    static let erasure: [Route] = [
        Route(
            name: "eraseLogins", method: .post, path: "/api/v1/audit/erasures", right: .administer,
            summary: "Takes what tells of a person out of all stored logins of a name: the name, addresses, clients, "
                + "paths and tags of secrets. The log still proves to be as it was sealed. It cannot be undone.",
            body: .json(API.ErasureRequest.self),
            answer: .json(API.Erasure.self, "What was done."),
            // Not a secret, but not to be kept either.
            hasWeakSecret: true
        ) { try await $0.eraseLogins($1) }
    ]
}

extension Handlers {
    func eraseLogins(_ call: Call) async throws -> Reply {
        let request = try JSON.read(API.ErasureRequest.self, from: call.body)
        guard !request.principal.isEmpty else {
            throw API.Problem.invalid("Name the principal whose logins are to be erased; an empty one is nobody.")
        }
        let (at, actor) = (now(), call.actor)
        let outcome = try await database.eraseLogins(
            of: request.principal, commitment: { LeafContent.commitment(to: $0, salt: $1) },
            event: { outcome in
                PlatformEvent(
                    at: at, kind: "audit.erased", actor: actor,
                    summary: "the personal data of \(outcome.erased) logins was erased",
                    details: ["erased": "\(outcome.erased)", "kept": "\(outcome.kept)"])
            })
        return .json(API.Erasure(erased: outcome.erased, kept: outcome.kept))
    }
}
