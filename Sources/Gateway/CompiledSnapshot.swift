import AuditMonitor
import CloudModel
import LoadBalancing
import ScalingListener
import Synchronization

/// A snapshot in the form that the loops go by: immutable, shared by all of them.
final class CompiledSnapshot: Sendable {
    let generation: UInt64
    let routes: RouteTable
    let consumers: ConsumerTable
    let names: ConsumerNames
    /// By index, as `routes` and `consumers` count them.
    let services: [CompiledService]
    /// Backends that left the balance with this snapshot, by number of service.
    let removed: [RemovedBackends]

    init(
        generation: UInt64, routes: RouteTable, consumers: ConsumerTable, names: ConsumerNames,
        services: [CompiledService], removed: [RemovedBackends]
    ) {
        self.generation = generation
        self.routes = routes
        self.consumers = consumers
        self.names = names
        self.services = services
        self.removed = removed
    }
}

struct RemovedBackends: Sendable {
    var service: Int
    var backends: [BackendSlot]
}

struct CompiledService: Sendable {
    /// The same for the life of the process.
    var number: Int
    var id: ServiceID
    var gate: ServiceGate
    var name: StableBytes
    var settings: LoopServiceSettings
    /// Nil also where what the service asks for cannot be made: its requests are then refused.
    var tlsContext: TLSContext?
    /// How connections of TCP come in.
    var accepting: ServiceAccepting
    var loginRules: LoginRules
}

/// Bytes that live as long as the process: names that records are written from without making text.
struct StableBytes: @unchecked Sendable {
    let bytes: UnsafeRawBufferPointer

    init(_ text: String) {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: text.utf8.count, alignment: 1)
        copy.copyBytes(from: text.utf8)
        bytes = UnsafeRawBufferPointer(copy)
    }

    /// FNV-1a, mixed: the same in every process and on every machine.
    var stableHash: UInt64 { Self.stableHash(bytes) }

    static func stableHash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var plain = FNV1a()
        plain.add(bytes)
        var hash = plain.value
        hash = (hash ^ (hash >> 33)) &* 0xFF51_AFD7_ED55_8CCD
        return hash ^ (hash >> 33)
    }
}

/// The names of all consumers, by their number in the `ConsumerRegistry`. A later one has all names of an earlier one
/// at the same numbers, so a request may be booked by a later table than it was identified by.
final class ConsumerNames: @unchecked Sendable {
    struct Entry {
        let name: UnsafeRawBufferPointer
        let hash: UInt64
    }

    let count: Int
    private let entries: UnsafeMutablePointer<Entry>

    init(_ consumers: [ConsumerID], extending earlier: ConsumerNames?) {
        count = consumers.count
        entries = .allocate(capacity: max(1, count))
        let known = min(earlier?.count ?? 0, count)
        for number in 0..<count {
            if let earlier, number < known {
                (entries + number).initialize(to: earlier.entries[number])
            } else {
                let bytes = StableBytes(consumers[number].rawValue)
                (entries + number).initialize(to: Entry(name: bytes.bytes, hash: bytes.stableHash))
            }
        }
    }

    deinit { entries.deallocate() }

    @inline(__always)
    func entry(_ key: ConsumerKey) -> Entry {
        precondition(Int(key.rawValue) < count, "a consumer's number is not in the table")
        return entries[Int(key.rawValue)]
    }
}

/// Lets one task wait until so many loops have done something.
final class Countdown: Sendable {
    private struct State {
        var remaining: Int
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state: Mutex<State>

    init(_ count: Int) { state = Mutex(State(remaining: count)) }

    func countDown() {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            state.remaining -= 1
            guard state.remaining <= 0 else { return nil }
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    func wait() async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let isDone = state.withLock { state in
                if state.remaining <= 0 { return true }
                state.waiter = continuation
                return false
            }
            if isDone { continuation.resume() }
        }
    }
}
