import CloudModel
import CloudPorts
import Synchronization

/// All that a hypervisor has reported so far; a condition on it can be awaited.
final class EventLog: Sendable {
    private let box = Box()

    init(_ hypervisor: any Hypervisor) {
        let events = hypervisor.events
        let box = box
        Task { for await event in events { box.seen.withLock { $0.append(event) } } }
    }

    private final class Box: Sendable {
        let seen = Mutex<[HypervisorEvent]>([])
    }

    var all: [HypervisorEvent] { box.seen.withLock { $0 } }

    func changes(of name: VirtualServerID) -> [VirtualServerChange] {
        all.compactMap { if case .virtualServer(name, _, let change) = $0 { change } else { nil } }
    }

    var connections: Int { all.count { if case .connected = $0 { true } else { false } } }
    var losses: Int { all.count { if case .disconnected = $0 { true } else { false } } }

    /// The capabilities of the newest connection.
    var capabilities: HypervisorCapabilities? {
        all.compactMap { if case .connected(let capabilities) = $0 { capabilities } else { nil } }.last
    }
}

/// False where the condition did not come true within the time.
func eventually(
    within limit: Duration = .seconds(10), every interval: Duration = .milliseconds(5),
    _ condition: () async throws -> Bool
) async rethrows -> Bool {
    let deadline = ContinuousClock.now + limit
    while ContinuousClock.now < deadline {
        if try await condition() { return true }
        try? await Task.sleep(for: interval)
    }
    return try await condition()
}

/// The code of the refusal; nil where there was none.
func refusal(_ body: () async throws -> Void) async -> HypervisorError.Code? {
    do {
        try await body()
        return nil
    } catch { return (error as? HypervisorError)?.code }
}
