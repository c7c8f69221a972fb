import AdministrationAPI
package import CloudModel
package import CloudPorts
package import Credentials

/// Who is logged in to the web console. Sessions are kept in memory: a restart of the platform ends them all.
///
/// The browser has a secret of 256 random bits in a cookie; here is its digest. A session speaks for an administrator
/// as the log database has it at each request, so that a removed one is out at once.
package struct ConsoleSessions: Sendable {
    package struct Session: Hashable, Sendable {
        package var administrator: String
        /// Tells an administrator from a later one of the same name.
        package var administratorSince: Timestamp
        package var begunAt: Timestamp
        package var usedAt: Timestamp

        /// When it ends, whatever happens.
        package var endsAt: Timestamp { begunAt + ConsoleSessions.longest }
    }

    /// A session ends so long after it was last used; a page that is open uses it all the time.
    package static let longestIdle = TimeSpan.hours(1)
    /// And so long after the login in any case: a working day.
    package static let longest = TimeSpan.hours(12)
    /// Sessions at once; beyond, the one that was used the longest time ago ends.
    package static let maximum = 1_000

    private var sessions: [KeyDigest: Session] = [:]

    package init() {}

    package var count: Int { sessions.count }

    /// Begins a session and gives back the secret for its cookie.
    package mutating func begin(
        _ administrator: Administrator, at now: Timestamp, using random: inout some RandomNumberGenerator
    ) -> String {
        sessions = sessions.filter { Self.isAlive($0.value, at: now) }
        if sessions.count >= Self.maximum, let oldest = sessions.min(by: { $0.value.usedAt < $1.value.usedAt }) {
            sessions[oldest.key] = nil
        }
        let secret = (0..<2).map { _ in RequestID(high: random.next(), low: random.next()).description }.joined()
        sessions[KeyDigest(of: secret)] = Session(
            administrator: administrator.name, administratorSince: administrator.createdAt, begunAt: now, usedAt: now)
        return secret
    }

    /// The session of a cookie, which counts as used now; nil where there is none or it has ended.
    package mutating func use(_ digest: KeyDigest, at now: Timestamp) -> Session? {
        guard let session = session(digest, at: now) else {
            sessions[digest] = nil
            return nil
        }
        sessions[digest]?.usedAt = max(session.usedAt, now)
        return session
    }

    package func session(_ digest: KeyDigest, at now: Timestamp) -> Session? {
        sessions[digest].flatMap { Self.isAlive($0, at: now) ? $0 : nil }
    }

    package mutating func end(_ digest: KeyDigest) { sessions[digest] = nil }

    /// Ends all sessions of an administrator but one.
    package mutating func endAll(of administrator: String, except kept: KeyDigest?) {
        sessions = sessions.filter { $0.value.administrator != administrator || $0.key == kept }
    }

    private static func isAlive(_ session: Session, at now: Timestamp) -> Bool {
        now < session.endsAt && now - session.usedAt < longestIdle
    }

    /// What a page has to send along with a change: known to who may read the platform's answers, which no other site
    /// may. It is made of the cookie's secret, so that nothing more has to be kept.
    package static func csrfToken(ofSecret secret: String) -> String {
        KeyDigest(of: "cloudwright console csrf \(secret)").description
    }
}

/// The cookie that carries a session's secret. It is sent to the API only: other services of the same host name, the
/// gateway's among them, see cookies of all ports.
enum ConsoleCookie {
    static let name = "cloudwright_session"
    private static let path = API.root

    static func secret(in header: String?) -> String? {
        for pair in (header ?? "").split(separator: ";") {
            let halves = pair.drop { $0 == " " }.split(separator: "=", maxSplits: 1)
            if halves.count == 2, halves[0] == name { return String(halves[1]) }
        }
        return nil
    }

    /// - Parameter isSecure: whether the browser speaks TLS; then it is to keep the cookie for TLS.
    static func setting(_ secret: String, isSecure: Bool) -> String {
        let seconds = ConsoleSessions.longest.microseconds / 1_000_000
        return "\(name)=\(secret); Path=\(path); Max-Age=\(seconds); HttpOnly; SameSite=Strict"
            + (isSecure ? "; Secure" : "")
    }

    static let clearing = "\(name)=; Path=\(path); Max-Age=0; HttpOnly; SameSite=Strict"
}
