import AdministrationAPI
import CloudModel

/// Who has which virtual server's console open: one at a time for each.
actor ConsoleDesk {
    /// Consoles at once, of all virtual servers.
    static let maximum = 64

    private var sessions: [InstanceID: ConsoleSession] = [:]

    /// The session that has the virtual server's console from now on. Refused where there is one, unless `takingOver`:
    /// that one is told by whom, and ends.
    func begin(
        _ instance: InstanceID, actor name: String, takingOver: Bool, at now: Timestamp
    ) throws(API.Problem) -> ConsoleSession {
        if let present = sessions[instance] {
            guard takingOver else {
                throw .conflict(
                    "'\(present.actor)' has the console of '\(instance)' open since \(Moment(present.openedAt)); "
                        + "take it over (takeOver=true, `--take-over`), which ends that session, or wait.")
            }
            present.end(.takenOver(by: name))
        } else if sessions.count >= Self.maximum {
            throw .unavailable("\(Self.maximum) consoles are open, which is the limit; close one.")
        }
        let session = ConsoleSession(instance: instance, actor: name, openedAt: now)
        sessions[instance] = session
        return session
    }

    func end(_ session: ConsoleSession) {
        if sessions[session.instance] === session { sessions[session.instance] = nil }
    }
}
