import CloudModel

/// The resource agent's books beside the true lives of the processes.
///
/// The documented bound: a start is recorded when its report arrives, a stop when the end is known, or at the last
/// heartbeat plus the lease. A lost report is made good by a failed check and a repeated stop. The wall clock's own
/// jumps are not the books' fault.
struct AuditedBooks {
    private struct Life {
        var began: Timestamp
        var beganAt: Int64
        var ended: Timestamp?
        var endedAt: Int64?
        var jumpsBefore: Int64
        var restartsBefore: Int
        var start: Timestamp?
        var stop: Timestamp?
    }

    /// Sum of the sizes of the clock's jumps.
    var jumps: Int64 = 0
    var restarts = 0
    private var lives: [ProcessKey: Life] = [:]

    /// The lost report of a start, until it is asked for again or the instance is given up.
    private static let startBound: Int64 = 60_000_000
    /// The lost report of an end, until checks, the panic rule's patience and repeated stops have found it out.
    private static let stopBound: Int64 = 300_000_000
    private static let restartBound: Int64 = 30_000_000

    mutating func began(_ key: ProcessKey, at now: Int64, wall: Timestamp) {
        lives[key] = Life(began: wall, beganAt: now, jumpsBefore: jumps, restartsBefore: restarts)
    }

    mutating func ended(_ key: ProcessKey, at now: Int64, wall: Timestamp) {
        lives[key]?.ended = wall
        lives[key]?.endedAt = now
    }

    func isOver(_ id: InstanceID, _ incarnation: Int) -> Bool {
        lives[ProcessKey(id: id, incarnation: incarnation)]?.ended != nil
    }

    /// How long the instance's process has run; nil where it does not run, or where the clock jumped meanwhile.
    func age(of instance: ServiceInstance, at now: Int64) -> Int64? {
        guard let life = lives[ProcessKey(id: instance.id, incarnation: instance.incarnation)], life.ended == nil,
            life.jumpsBefore == jumps
        else { return nil }
        return now - life.beganAt
    }

    mutating func recorded(_ event: LifecycleEvent, at now: Int64) -> Finding? {
        let key = ProcessKey(id: event.instance, incarnation: event.incarnation)
        let name = "\(event.instance)/\(event.incarnation)"
        guard var life = lives[key] else {
            return Finding(rule: "books", what: "a \(event.kind) of \(name), which never ran, is recorded")
        }
        defer { lives[key] = life }
        let slack = jumps - life.jumpsBefore + Int64(restarts - life.restartsBefore) * Self.restartBound
        switch event.kind {
        case .start:
            guard life.start == nil else { return Finding(rule: "books", what: "two starts of \(name)") }
            life.start = event.at
            return bounded(event.at, life.began, "start of \(name)", Self.startBound + slack)
        case .stop:
            guard life.stop == nil else { return Finding(rule: "books", what: "two stops of \(name)") }
            life.stop = event.at
            guard let start = life.start else {
                return Finding(rule: "books", what: "a stop of \(name) without a start")
            }
            if event.at < start { return Finding(rule: "books", what: "\(name) stops before it starts") }
            guard let ended = life.ended else {
                return Finding(rule: "books", what: "a stop of \(name), which runs, is recorded")
            }
            return bounded(event.at, ended, "stop of \(name)", Self.stopBound + slack)
        case .resize, .suspend, .resume: return nil
        }
    }

    private func bounded(_ recorded: Timestamp, _ true: Timestamp, _ what: String, _ bound: Int64) -> Finding? {
        let error = (recorded - `true`).microseconds
        guard abs(error) > bound else { return nil }
        return Finding(rule: "books", what: "the \(what) is recorded \(error) us off; allowed are \(bound)")
    }

    /// At rest: every life that ended is closed, every one that goes on is open.
    func close(_ processes: SimulatedProcesses, at now: Int64) -> Finding? {
        for key in lives.keys.sorted(by: { ($0.id, $0.incarnation) < ($1.id, $1.incarnation) }) {
            guard let life = lives[key] else { continue }
            let name = "\(key.id)/\(key.incarnation)"
            if let endedAt = life.endedAt {
                if life.start != nil && life.stop == nil {
                    return Finding(rule: "books", what: "\(name) ended, and no stop is recorded")
                }
                if life.start == nil && endedAt - life.beganAt > 2 * Self.startBound {
                    return Finding(rule: "books", what: "\(name) ran for \(endedAt - life.beganAt) us unrecorded")
                }
            } else if life.start == nil || life.stop != nil {
                return Finding(rule: "books", what: "\(name) runs, and is not recorded as running")
            }
        }
        return nil
    }
}
