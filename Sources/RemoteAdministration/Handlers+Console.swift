import AdministrationAPI
import CloudModel
import CloudPorts
import Credentials
import Passwords

extension RouteTable {
    static let console: [Route] = [
        Route(
            name: "createConsoleSession", method: .post, path: "/api/v1/console/session", right: .open,
            summary: "Logs in to the web console, which the audit monitor records; the session is in a cookie.",
            body: .json(API.ConsoleLogin.self),
            answer: .json(
                API.ConsoleSession.self, "Who is logged in.",
                headers: ["Set-Cookie": "The session's secret, for the browser alone (HttpOnly, SameSite=Strict)."]),
            refusals: [401, 429, 503]
        ) { try await $0.createConsoleSession($1) },
        Route(
            name: "getConsoleSession", method: .get, path: "/api/v1/console/session", right: .open,
            summary: "Shows who is logged in to the web console with the request's cookie, if anybody.",
            answer: .json(API.ConsoleSession.self, "Who is logged in."), refusals: [503]
        ) { try await $0.getConsoleSession($1) },
        Route(
            name: "endConsoleSession", method: .delete, path: "/api/v1/console/session", right: .own,
            summary: "Logs out of the web console.", answer: .noContent("The session has ended."), refusals: [403]
        ) { handlers, call in
            if let session = call.identity?.session { await handlers.authenticator.endSession(session) }
            return Reply(status: 204, headers: ["set-cookie": ConsoleCookie.clearing], body: .none)
        },
    ]
}

extension Handlers {
    /// Characters that a password has at least: what NIST SP 800-63B asks for where there is no second factor is 15,
    /// where attempts are limited as they are here, and a token is the first factor of whoever sets it, 12 will do.
    private static let minimumPasswordLength = 12

    func createConsoleSession(_ call: Call) async throws -> Reply {
        let request = try JSON.read(API.ConsoleLogin.self, from: call.body)
        let attempt = Authenticator.Attempt(call)
        let begun: Authenticator.BegunSession
        switch (request.name, request.password, request.token) {
        case (let name?, let password?, nil):
            begun = try await authenticator.beginSession(
                name: name, password: password, code: request.code, attempt)
        case (nil, nil, let token?): begun = try await authenticator.beginSession(token: token, attempt)
        default:
            throw API.Problem.invalid(
                "The body is not as documented.",
                faults: [API.Fault(detail: "give a name and a password, or a token alone")])
        }
        // A session that the browser had before is not left behind.
        if let former = ConsoleCookie.secret(in: call.headers["cookie"]) {
            await authenticator.endSession(KeyDigest(of: former))
        }
        let isSecure = call.headers["x-forwarded-proto"] == "https"
        return .json(
            consoleSession(begun.identity, secret: begun.secret, endsAt: begun.endsAt),
            headers: ["set-cookie": ConsoleCookie.setting(begun.secret, isSecure: isSecure)])
    }

    func getConsoleSession(_ call: Call) async throws -> Reply {
        guard let secret = ConsoleCookie.secret(in: call.headers["cookie"]),
            let found = try await authenticator.session(ofSecret: secret)
        else { return .json(API.ConsoleSession()) }
        return .json(consoleSession(found.identity, secret: secret, endsAt: found.endsAt))
    }

    private func consoleSession(_ identity: Identity, secret: String, endsAt: Timestamp) -> API.ConsoleSession {
        API.ConsoleSession(
            session: API.Session(identity), csrfToken: ConsoleSessions.csrfToken(ofSecret: secret),
            platform: settings.platform.name, version: settings.version, endsAt: Moment(endsAt))
    }

    func setPassword(_ call: Call) async throws -> Reply {
        let name = call.placeholder("administrator")
        guard let identity = call.identity, identity.role == .administrator || identity.name == name else {
            throw API.Problem.forbidden("Only the role administrator sets the passwords of others.")
        }
        let change = try JSON.read(API.PasswordChange.self, from: call.body)
        guard let administrator = try await database.administrators().first(where: { $0.name == name }) else {
            throw API.Problem.notFound("There is no administrator '\(name)'; see `cloudwright administrator list`.")
        }
        guard change.password.count >= Self.minimumPasswordLength,
            change.password.utf8.count <= PasswordHash.maximumPasswordLength
        else {
            throw API.Problem.invalid(
                "The body is not as documented.",
                faults: [
                    API.Fault(
                        detail: "the password must have \(Self.minimumPasswordLength) characters or more, and "
                            + "\(PasswordHash.maximumPasswordLength) bytes at most", pointer: "/password")
                ])
        }
        // An open console that somebody else finds must not be a way to take the account over for good.
        if identity.session != nil, identity.name == name, try await authenticator.hasPassword(administrator) {
            try await authenticator.confirm(change.currentPassword, of: administrator, Authenticator.Attempt(call))
        }
        try await lane.run {
            try await record(
                "administrator.password-set", "The password of administrator \(name) was set", call,
                ["administrator": name])
            try await authenticator.setPassword(change.password, of: administrator, keeping: identity.session)
        }
        return .noContent
    }
}

extension Call {
    /// Refuses a change that another site could have made the browser send: the page has to show that it could read
    /// the session, and the browser, where it says so, that the page is our own.
    func requireOwnPage(sessionSecret: String) throws(API.Problem) {
        let wanted = KeyDigest(of: ConsoleSessions.csrfToken(ofSecret: sessionSecret))
        let given = KeyDigest(of: headers[API.csrfHeader] ?? "")
        let site = headers["sec-fetch-site"] ?? "same-origin"
        guard given == wanted, site == "same-origin" else {
            throw .forbidden("The request does not come from the console's own page; load the console again.")
        }
    }
}
