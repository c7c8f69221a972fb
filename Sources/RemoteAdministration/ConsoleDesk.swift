import AdministrationAPI
import CloudModel

/// Who has which virtual server's console or display open: one at a time for each.
actor ConsoleDesk {
    /// Consoles at once, of all virtual servers.
    static let maximum = 64

    private struct Seat: Hashable {
        var instance: InstanceID
        var kind: ConsoleSession.Kind
    }

    private var sessions: [Seat: ConsoleSession] = [:]

    /// The session that has the virtual server's console from now on. Refused where there is one, unless `takingOver`:
    /// that one is told by whom, and ends.
    func begin(
        _ kind: ConsoleSession.Kind, of instance: InstanceID, actor name: String, takingOver: Bool, at now: Timestamp
    ) throws(API.Problem) -> ConsoleSession {
        let seat = Seat(instance: instance, kind: kind)
        if let present = sessions[seat] {
            guard takingOver else {
                throw .conflict(
                    "'\(present.actor)' has the \(kind.rawValue) of '\(instance)' open since "
                        + "\(Moment(present.openedAt)); take it over (takeOver=true, `--take-over`), which ends that "
                        + "session, or wait.")
            }
            present.end(.takenOver(by: name))
        } else if sessions.count >= Self.maximum {
            throw .unavailable("\(Self.maximum) consoles are open, which is the limit; close one.")
        }
        let session = ConsoleSession(kind, of: instance, actor: name, openedAt: now)
        sessions[seat] = session
        return session
    }

    func end(_ session: ConsoleSession) {
        let seat = Seat(instance: session.instance, kind: session.kind)
        if sessions[seat] === session { sessions[seat] = nil }
    }
}
