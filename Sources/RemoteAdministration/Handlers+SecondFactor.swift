import AdministrationAPI
import CloudModel
import CloudPorts
import Credentials

extension RouteTable {
    private static let path = "/api/v1/administrators/{administrator}/second-factor"

    static let secondFactor: [Route] = [
        Route(
            name: "getSecondFactor", method: .get, path: path, right: .own,
            summary: "Shows whether an administrator's logins by password need a code: one's own, or with the role "
                + "administrator anybody's.",
            answer: .json(API.SecondFactor.self, "The second factor."), refusals: [403]
        ) { try await $0.getSecondFactor($1) },
        Route(
            name: "enrolSecondFactor", method: .post, path: path, right: .own,
            summary: "Begins to make an authenticator app (RFC 6238) the second factor of one's own logins by "
                + "password. Nothing changes until a first code confirms it.",
            body: .json(API.SecondFactorRequest.self),
            answer: .json(API.SecondFactorEnrolment.self, "What the app has to know.", status: 201),
            hasWeakSecret: true, refusals: [403, 409]
        ) { try await $0.enrolSecondFactor($1) },
        Route(
            name: "confirmSecondFactor", method: .post, path: path + "/confirmation", right: .own,
            summary: "Makes the second factor active with a first code of the app. Other sessions end; the recovery "
                + "codes are shown this once.",
            body: .json(API.SecondFactorCode.self), answer: .json(API.RecoveryCodes.self, "It is active."),
            hasWeakSecret: true, refusals: [403, 409]
        ) { try await $0.confirmSecondFactor($1) },
        Route(
            name: "removeSecondFactor", method: .post, path: path + "/removal", right: .own,
            summary: "Removes a second factor: one's own with a code of it, or with the role administrator somebody "
                + "else's, who lost it.",
            body: .json(API.SecondFactorCode.self), answer: .noContent("Logins by password need no code any more."),
            hasWeakSecret: true, refusals: [403, 409]
        ) { try await $0.removeSecondFactor($1) },
    ]
}

extension Handlers {
    func getSecondFactor(_ call: Call) async throws -> Reply {
        .json(try await authenticator.secondFactor(of: try await ownOrAdministered(call).administrator))
    }

    func enrolSecondFactor(_ call: Call) async throws -> Reply {
        let request = try JSON.read(API.SecondFactorRequest.self, from: call.body)
        let (administrator, identity) = try await own(call)
        // An open console that somebody else finds must not be a way to keep its owner out.
        if identity.session != nil, try await authenticator.hasPassword(administrator) {
            try await authenticator.confirm(request.currentPassword, of: administrator, Authenticator.Attempt(call))
        }
        let code = try await authenticator.enrolSecondFactor(administrator)
        return .json(
            API.SecondFactorEnrolment(
                secret: code.base32,
                address: code.address(issuer: settings.platform.name, account: administrator.name)), status: 201)
    }

    func confirmSecondFactor(_ call: Call) async throws -> Reply {
        let request = try JSON.read(API.SecondFactorCode.self, from: call.body)
        let (administrator, identity) = try await own(call)
        let codes = try await authenticator.confirmSecondFactor(
            request.code ?? "", of: administrator, keeping: identity.session, Authenticator.Attempt(call)
        ) {
            try await record(
                "administrator.second-factor-set",
                "Logins of administrator \(administrator.name) by password need a second factor", call,
                ["administrator": administrator.name])
        }
        return .json(API.RecoveryCodes(codes: codes))
    }

    func removeSecondFactor(_ call: Call) async throws -> Reply {
        let request = try JSON.read(API.SecondFactorCode.self, from: call.body)
        let (administrator, isOwn) = try await ownOrAdministered(call)
        try await authenticator.removeSecondFactor(
            of: administrator, code: request.code, isOwn: isOwn, Authenticator.Attempt(call)
        ) {
            try await record(
                "administrator.second-factor-removed",
                "The second factor of administrator \(administrator.name) was removed", call,
                ["administrator": administrator.name])
        }
        return .noContent
    }

    /// The administrator of the path, who must be the caller: nobody gets to see somebody else's secret.
    private func own(_ call: Call) async throws -> (administrator: Administrator, identity: Identity) {
        let (administrator, isOwn) = try await ownOrAdministered(call)
        guard isOwn, let identity = call.identity else {
            throw API.Problem.forbidden(
                "A second factor is enrolled by whose it is; log in as '\(administrator.name)'.")
        }
        return (administrator, identity)
    }

    private func ownOrAdministered(_ call: Call) async throws -> (administrator: Administrator, isOwn: Bool) {
        let name = call.placeholder("administrator")
        guard let identity = call.identity, identity.role == .administrator || identity.name == name else {
            throw API.Problem.forbidden("Only the role administrator sees and removes the second factor of others.")
        }
        guard let administrator = try await database.administrators().first(where: { $0.name == name }) else {
            throw API.Problem.notFound("There is no administrator '\(name)'; see `cloudwright administrator list`.")
        }
        return (administrator, identity.name == name)
    }
}
