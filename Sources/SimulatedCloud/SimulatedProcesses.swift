import CloudModel

/// A process as it really is.
struct SimulatedProcess {
    enum State {
        /// The driver is starting it.
        case launching
        case running
    }

    var id: InstanceID
    var incarnation: Int
    var service: ServiceID
    var port: UInt16
    var state = State.launching
    /// Never answers, nor ends before it is killed.
    var isHung = false
    /// Answers its checks.
    var isReady = false
    /// Asked to end.
    var isStopping = false
    var startedAt: Int64
    var command: [String]

    var endpoint: Endpoint { Endpoint(address: "127.0.0.1", port: port) }
    var key: ProcessKey { ProcessKey(id: id, incarnation: incarnation) }
}

struct ProcessKey: Hashable {
    var id: InstanceID
    var incarnation: Int
}

/// The machine: what really runs, as an instance driver that keeps its contract knows it.
struct SimulatedProcesses {
    private(set) var byID: [InstanceID: SimulatedProcess] = [:]
    private var idOfPort: [UInt16: InstanceID] = [:]
    private var lastPort: UInt16 = 10_000

    subscript(key: ProcessKey) -> SimulatedProcess? {
        guard let process = byID[key.id], process.incarnation == key.incarnation else { return nil }
        return process
    }

    subscript(port: UInt16) -> SimulatedProcess? { idOfPort[port].flatMap { byID[$0] } }

    func count(of service: ServiceID) -> Int { byID.values.count { $0.service == service } }

    var sorted: [SimulatedProcess] { byID.values.sorted { $0.id < $1.id } }

    mutating func launch(_ key: ProcessKey, of service: CloudService, at now: Int64) -> SimulatedProcess {
        // No port is used again soon: what is sent to an old one is not answered by another.
        lastPort = lastPort >= 60_000 ? 10_001 : lastPort + 1
        while idOfPort[lastPort] != nil { lastPort += 1 }
        let process = SimulatedProcess(
            id: key.id, incarnation: key.incarnation, service: service.id, port: lastPort, startedAt: now,
            command: service.commandLine)
        byID[key.id] = process
        idOfPort[lastPort] = key.id
        return process
    }

    /// False where it is not there any more.
    @discardableResult
    mutating func change(_ key: ProcessKey, _ change: (inout SimulatedProcess) -> Void) -> Bool {
        guard self[key] != nil else { return false }
        change(&byID[key.id]!)
        return true
    }

    mutating func end(_ key: ProcessKey) -> SimulatedProcess? {
        guard let process = self[key] else { return nil }
        byID[key.id] = nil
        idOfPort[process.port] = nil
        return process
    }
}
