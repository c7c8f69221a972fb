import AdministrationAPI
import CloudModel
import CloudPorts
import Credentials

extension RouteTable {
    static let consumerList = NamedList<CloudConsumer>(
        name: { $0.id.rawValue }, words: { [$0.id.rawValue, $0.displayName] },
        columns: [
            "displayName": { .text($0.displayName) }, "credentials": { SortValue($0.credentials.count) },
        ])

    static let administratorList = NamedList<Administrator>(
        name: \.name, words: { [$0.name, $0.role.rawValue, $0.consumer?.rawValue ?? ""] },
        columns: [
            "role": { .text($0.role.rawValue) }, "consumer": { SortValue($0.consumer) },
            "createdAt": { SortValue($0.createdAt) },
        ])

    static let consumers: [Route] = [
        Route(
            name: "listConsumers", method: .get, path: "/api/v1/consumers", right: .read,
            summary: "Lists the cloud consumers with what is kept of their API keys.",
            query: consumerList.parameters,
            answer: .json(API.Page<API.Consumer>.self, "Consumers, by name if no other order is asked for.")
        ) { try await $0.listConsumers($1) },
        Route(
            name: "getConsumer", method: .get, path: "/api/v1/consumers/{consumer}", right: .read,
            summary: "Shows one cloud consumer.", answer: .json(API.Consumer.self, "The consumer.")
        ) { try await $0.getConsumer($1) },
        Route(
            name: "createCredential", method: .post, path: "/api/v1/consumers/{consumer}/credentials",
            right: .administer, summary: "Makes an API key for a consumer; the key is shown this once.",
            body: .json(API.CredentialRequest.self),
            answer: .json(API.CreatedCredential.self, "The new key.", status: 201)
        ) { try await $0.createCredential($1) },
        Route(
            name: "revokeCredential", method: .delete,
            path: "/api/v1/consumers/{consumer}/credentials/{credential}", right: .administer,
            summary: "Revokes an API key at once.", answer: .noContent("The key admits nobody any more.")
        ) { try await $0.revokeCredential($1) },
    ]

    static let administrators: [Route] = [
        Route(
            name: "listAdministrators", method: .get, path: "/api/v1/administrators", right: .administer,
            summary: "Lists who may use this API.", query: administratorList.parameters,
            answer: .json(API.Page<API.Administrator>.self, "Administrators, by name if no other order is asked for.")
        ) { try await $0.listAdministrators($1) },
        Route(
            name: "createAdministrator", method: .post, path: "/api/v1/administrators", right: .administer,
            summary: "Makes an administrator; its token is shown this once.",
            body: .json(API.AdministratorRequest.self),
            answer: .json(API.CreatedAdministrator.self, "The new administrator.", status: 201)
        ) { try await $0.createAdministrator($1) },
        Route(
            name: "setPassword", method: .put, path: "/api/v1/administrators/{administrator}/password", right: .own,
            summary: "Sets the password with which an administrator logs in to the web console: one's own, or with "
                + "the role administrator anybody's. Other sessions of that administrator end.",
            body: .json(API.PasswordChange.self), answer: .noContent("It is set."), hasWeakSecret: true,
            refusals: [403]
        ) { try await $0.setPassword($1) },
        Route(
            name: "removeAdministrator", method: .delete, path: "/api/v1/administrators/{administrator}",
            right: .administer, summary: "Removes an administrator; its token is worth nothing from now on.",
            answer: .noContent("It is removed.")
        ) { try await $0.removeAdministrator($1) },
        Route(
            name: "createSession", method: .post, path: "/api/v1/sessions", right: .open,
            summary: "Checks a token, or begins a session with a name and a password: a login to the platform, which "
                + "the audit monitor records.",
            body: .json(API.SessionRequest.self), answer: .json(API.Session.self, "Whose token it is."),
            refusals: [401, 429, 503]
        ) { try await $0.createSession($1) },
        Route(
            name: "whoAmI", method: .get, path: "/api/v1/whoami", right: .own,
            summary: "Shows whose token the request has.", answer: .json(API.Session.self, "Whose token it is.")
        ) { _, call in
            guard let identity = call.identity else { throw API.Problem.unauthenticated("Send a token.") }
            return .json(API.Session(identity))
        },
    ]
}

extension Handlers {
    func listConsumers(_ call: Call) async throws -> Reply {
        let all = await administration.configuration().consumers
        let (items, next) = try RouteTable.consumerList.part(of: all, call.query)
        return .json(API.Page(items: items.map(API.Consumer.init), nextCursor: next))
    }

    func getConsumer(_ call: Call) async throws -> Reply {
        let id = ConsumerID(call.placeholder("consumer"))
        guard let consumer = await administration.configuration().consumers.first(where: { $0.id == id }) else {
            throw API.Problem.notFound("There is no consumer '\(id)'; see `cloudwright consumer list`.")
        }
        return .json(API.Consumer(consumer))
    }

    func createCredential(_ call: Call) async throws -> Reply {
        let request = try JSON.read(API.CredentialRequest.self, from: call.body)
        let expiresAt = try Timestamp(request.expiresAt, field: "expiresAt")
        try requireFuture(expiresAt)
        let consumer = ConsumerID(call.placeholder("consumer"))
        let made = try await lane.run {
            try await administration.createCredential(for: consumer, expiresAt: expiresAt, actor: call.actor)
        }
        var answer = API.CreatedCredential(
            consumer: consumer.rawValue, credential: API.Credential(made.credential), key: made.key)
        var reply = Reply.json(answer, status: 201)
        answer.key = nil
        reply.repeatableBody = JSON.bytes(of: answer)
        return reply
    }

    func revokeCredential(_ call: Call) async throws -> Reply {
        try await lane.run {
            try await administration.revokeCredential(
                CredentialID(call.placeholder("credential")), of: ConsumerID(call.placeholder("consumer")),
                actor: call.actor)
        }
        return .noContent
    }

    func listAdministrators(_ call: Call) async throws -> Reply {
        let (items, next) = try RouteTable.administratorList.part(of: try await database.administrators(), call.query)
        return .json(API.Page(items: items.map(API.Administrator.init), nextCursor: next))
    }

    func createAdministrator(_ call: Call) async throws -> Reply {
        let request = try JSON.read(API.AdministratorRequest.self, from: call.body)
        var random = SystemRandomNumberGenerator()
        let token = APIKey(.administrator, using: &random)
        let administrator = try await administrator(from: request, digest: token.digest)
        try await lane.run {
            guard try await database.administrators().allSatisfy({ $0.name != administrator.name }) else {
                throw API.Problem.conflict(
                    "There is an administrator '\(administrator.name)'; remove it first, or choose another name.")
            }
            try await record(
                "administrator.created", "Administrator \(administrator.name) was created", call,
                ["administrator": administrator.name, "role": administrator.role.rawValue])
            try await database.store(administrator)
            await authenticator.invalidate()
        }
        var answer = API.CreatedAdministrator(administrator: API.Administrator(administrator), token: token.text)
        var reply = Reply.json(answer, status: 201)
        answer.token = nil
        reply.repeatableBody = JSON.bytes(of: answer)
        return reply
    }

    private func administrator(from request: API.AdministratorRequest, digest: String) async throws -> Administrator {
        guard ServiceID(request.name).isValidLabel else {
            throw API.Problem.invalid(
                "The body is not as documented.",
                faults: [
                    API.Fault(
                        detail: "the name '\(request.name)' must be lower-case letters, digits and hyphens, 63 at most",
                        pointer: "/name")
                ])
        }
        guard (request.role == .consumer) == (request.consumer != nil) else {
            throw API.Problem.invalid(
                "The body is not as documented.",
                faults: [
                    API.Fault(
                        detail: "give a consumer with the role consumer, and with no other role", pointer: "/consumer")
                ])
        }
        if let consumer = request.consumer {
            guard await administration.configuration().consumers.contains(where: { $0.id.rawValue == consumer }) else {
                throw API.Problem.invalid(
                    "There is no consumer '\(consumer)'; see `cloudwright consumer list`.",
                    faults: [API.Fault(detail: "there is no consumer '\(consumer)'", pointer: "/consumer")])
            }
        }
        let expiresAt = try Timestamp(request.expiresAt, field: "expiresAt")
        try requireFuture(expiresAt)
        guard let role = Administrator.Role(rawValue: request.role.rawValue) else {
            throw API.Problem.invalid("The role '\(request.role.rawValue)' is not known.")
        }
        return Administrator(
            name: request.name, role: role, consumer: request.consumer.map { ConsumerID($0) }, tokenDigest: digest,
            createdAt: now(), expiresAt: expiresAt)
    }

    func removeAdministrator(_ call: Call) async throws -> Reply {
        let name = call.placeholder("administrator")
        try await lane.run {
            let all = try await database.administrators()
            guard all.contains(where: { $0.name == name }) else {
                throw API.Problem.notFound("There is no administrator '\(name)'; see `cloudwright administrator list`.")
            }
            let time = now()
            guard
                all.contains(where: { other in
                    other.name != name && other.role == .administrator && (other.expiresAt.map { $0 > time } ?? true)
                })
            else {
                throw API.Problem.conflict(
                    "'\(name)' is the last one with the role administrator; make another one first.")
            }
            try await record(
                "administrator.removed", "Administrator \(name) was removed", call, ["administrator": name])
            try await database.removeAdministrator(named: name)
            try await authenticator.removePassword(of: name)
            try await authenticator.forgetSecondFactor(of: name)
            await authenticator.invalidate()
        }
        return .noContent
    }

    func createSession(_ call: Call) async throws -> Reply {
        let request = try JSON.read(API.SessionRequest.self, from: call.body)
        let attempt = Authenticator.Attempt(call)
        switch (request.token, request.name, request.password) {
        case (let token?, nil, nil):
            return .json(API.Session(try await authenticator.logIn(token: token, attempt)))
        case (nil, let name?, let password?):
            let begun = try await authenticator.beginSession(
                name: name, password: password, code: request.code, attempt)
            var session = API.Session(begun.identity)
            session.expiresAt = Moment(begun.endsAt)
            session.token = begun.secret
            return .json(session)
        default:
            throw API.Problem.invalid(
                "The body is not as documented.",
                faults: [API.Fault(detail: "give a token alone, or a name and a password")])
        }
    }

    private func requireFuture(_ time: Timestamp?) throws(API.Problem) {
        guard let time, time <= now() else { return }
        throw .invalid(
            "The body is not as documented.",
            faults: [API.Fault(detail: "\(time.rfc3339) is past; give a later time", pointer: "/expiresAt")])
    }

    /// Intent before action: what is about to be done is in the event log first.
    func record(_ kind: String, _ summary: String, _ call: Call, _ details: [String: String]) async throws {
        var transaction = ControlTransaction()
        transaction.events = [
            PlatformEvent(at: now(), kind: kind, actor: call.actor, summary: summary, details: details)
        ]
        await hub.announce(try await database.commit(transaction))
    }
}

extension Authenticator.Attempt {
    init(_ call: Call) {
        self.init(
            source: call.source, userAgent: call.headers["user-agent"] ?? "", method: call.route.method.rawValue,
            path: call.path, receivedAt: call.receivedAt)
    }
}
