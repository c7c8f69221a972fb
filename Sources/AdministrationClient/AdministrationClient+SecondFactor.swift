public import AdministrationAPI

extension AdministrationClient {
    /// Begins a session with a name and a password: a login to the platform, which is recorded. The answer has the
    /// session's token. Not sent twice: each one is recorded, and a code works once.
    public func logIn(name: String, password: String, code: String?) async throws(ClientError) -> API.Session {
        let body = Self.body(API.SessionRequest(name: name, password: password, code: code))
        let answer = try await send(request("POST", path("sessions"), body: body), isRepeatable: false)
        return try value(API.Session.self, of: answer)
    }

    public func secondFactor(of name: String) async throws(ClientError) -> API.SecondFactor {
        try await get(API.SecondFactor.self, path("administrators", name, "second-factor"))
    }

    /// Begins to make an authenticator app the second factor.
    public func enrolSecondFactor(
        of name: String, currentPassword: String?
    ) async throws(ClientError) -> API.SecondFactorEnrolment {
        let body = Self.body(API.SecondFactorRequest(currentPassword: currentPassword))
        let answer = try await send(
            request("POST", path("administrators", name, "second-factor"), body: body), isRepeatable: false)
        return try value(API.SecondFactorEnrolment.self, of: answer)
    }

    /// Makes the second factor active; gives back the recovery codes.
    public func confirmSecondFactor(of name: String, code: String) async throws(ClientError) -> API.RecoveryCodes {
        let body = Self.body(API.SecondFactorCode(code: code))
        let answer = try await send(
            request("POST", path("administrators", name, "second-factor", "confirmation"), body: body),
            isRepeatable: false)
        return try value(API.RecoveryCodes.self, of: answer)
    }

    /// Removes a second factor: one's own with a code of it.
    public func removeSecondFactor(of name: String, code: String?) async throws(ClientError) {
        let body = Self.body(API.SecondFactorCode(code: code))
        _ = try await send(
            request("POST", path("administrators", name, "second-factor", "removal"), body: body), isRepeatable: false)
    }
}
