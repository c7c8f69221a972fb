import CLibvirt
import CloudModel
import CloudPorts
import Synchronization

/// What a connection tells the one that opened it; called on libvirt's event thread, which must not be held up.
struct ConnectionObserver: Sendable {
    var changed: @Sendable (VirtualServerID, _ uuid: String, VirtualServerChange) -> Void
    var migrated: @Sendable (_ uuid: String, MigrationResult) -> Void
    /// A migration away from here goes on as post-copy.
    var switchedToPostCopy: @Sendable (_ uuid: String) -> Void
    var lost: @Sendable (_ reason: String) -> Void
}

/// One connection to a libvirtd, from its opening to its loss. All calls block.
final class LibvirtConnection: Sendable {
    private struct State: @unchecked Sendable {
        /// Nil once it has been given back.
        var handle: OpaquePointer?
        var callbacks: [Int32] = []
        var watchesClose = false
        /// Calls that are in it.
        var users = 0
        var isRefused = false
    }

    private let state: Mutex<State>
    private let observers: ObserverBox
    let facts: HypervisorFacts
    /// Its own: calls that an earlier connection never answers do not hold up those of the next.
    let calls = BlockingCalls(maximumThreads: 8, maximumWaiting: 1_024)

    /// - Parameter keepaliveSeconds: asked each so many seconds; the third without an answer ends the connection.
    init(uri: String, keepaliveSeconds: Int32, observer: ConnectionObserver) throws(HypervisorError) {
        guard LibvirtEventLoop.start() else { throw .last("starting libvirt") }
        guard let handle = virConnectOpen(uri) else {
            let error = HypervisorError.last("connecting to \(uri)")
            throw HypervisorError(.unreachable, error.message)
        }
        do { facts = try HypervisorFacts.read(handle) } catch {
            virConnectClose(handle)
            throw error
        }
        if virConnectSetKeepAlive(handle, keepaliveSeconds, 3) < 0 {
            let error = HypervisorError.last("asking for keepalive of \(uri)")
            // A driver inside this process has no other side.
            guard error.code == .unsupported else {
                virConnectClose(handle)
                throw error
            }
        }
        state = Mutex(State(handle: handle))
        observers = ObserverBox(observer)
        do { try register(handle) } catch {
            end()
            throw error
        }
    }

    deinit { end() }

    /// From now on it takes no calls and reports nothing. Does not block.
    func refuse() {
        observers.silence()
        state.withLock { $0.isRefused = true }
    }

    /// Gives everything back, or leaves that to the last call that is in it: libvirt is never told to close what a
    /// thread waits in.
    func end() {
        refuse()
        releaseUnlessUsed()
    }

    private func releaseUnlessUsed() {
        let ended = state.withLock { state -> State? in
            guard state.isRefused, state.users == 0, state.handle != nil else { return nil }
            defer { state.handle = nil }
            return state
        }
        guard let ended, let handle = ended.handle else { return }
        if ended.watchesClose { virConnectUnregisterCloseCallback(handle, Self.closed) }
        for callback in ended.callbacks { virConnectDomainEventDeregisterAny(handle, callback) }
        virConnectClose(handle)
    }

    /// Runs one call, or several that belong together, on this connection.
    func use<Value>(
        _ call: (OpaquePointer) throws(HypervisorError) -> Value
    ) throws(HypervisorError) -> Value {
        let handle = state.withLock { state -> OpaquePointer? in
            guard let handle = state.handle, !state.isRefused else { return nil }
            state.users += 1
            return handle
        }
        guard let handle else { throw HypervisorError(.unreachable, "the connection has ended") }
        defer {
            state.withLock { $0.users -= 1 }
            releaseUnlessUsed()
        }
        do { return try call(handle) } catch {
            // A call that fails because the connection ends says so in many ways.
            if error.code != .unreachable && virConnectIsAlive(handle) != 1 {
                throw HypervisorError(.unreachable, error.message)
            }
            throw error
        }
    }

    /// Asks for something that costs nothing and goes to the other side and back. Also a refusal is an answer.
    func ask() {
        _ = try? use { handle throws(HypervisorError) in
            var version: UInt = 0
            return virConnectGetLibVersion(handle, &version)
        }
    }

    private func register(_ handle: OpaquePointer) throws(HypervisorError) {
        let watches = virConnectRegisterCloseCallback(handle, Self.closed, retainedObservers(), Self.release) == 0
        let lifecycle = clibvirt_register_lifecycle(handle, Self.lifecycle, retainedObservers(), Self.release)
        let jobs = clibvirt_register_job_completed(handle, Self.jobCompleted, retainedObservers(), Self.release)
        state.withLock {
            $0.watchesClose = watches
            $0.callbacks = [lifecycle, jobs].filter { $0 >= 0 }
        }
        // Without lifecycle events nobody would see what others do. Job statistics are a courtesy, and a local driver
        // has no connection that could close.
        guard lifecycle >= 0 else { throw .last("subscribing to events") }
    }

    private func retainedObservers() -> UnsafeMutableRawPointer { Unmanaged.passRetained(observers).toOpaque() }

    private final class ObserverBox: Sendable {
        /// Nil once nobody listens any more.
        private let observer: Mutex<ConnectionObserver?>

        init(_ observer: ConnectionObserver) { self.observer = Mutex(observer) }

        func silence() { observer.withLock { $0 = nil } }

        static func of(_ context: UnsafeMutableRawPointer?) -> ConnectionObserver? {
            context.flatMap { Unmanaged<ObserverBox>.fromOpaque($0).takeUnretainedValue().observer.withLock { $0 } }
        }
    }

    // MARK: Callbacks

    private static let release: virFreeCallback = { context in
        if let context { Unmanaged<ObserverBox>.fromOpaque(context).release() }
    }

    private static let closed: virConnectCloseFunc = { _, reason, context in
        let text =
            switch virConnectCloseReason(UInt32(bitPattern: reason)) {
            case VIR_CONNECT_CLOSE_REASON_EOF: "the other side closed the connection"
            case VIR_CONNECT_CLOSE_REASON_KEEPALIVE: "no answer to keepalive"
            case VIR_CONNECT_CLOSE_REASON_CLIENT: "closed from here"
            default: "the connection failed"
            }
        ObserverBox.of(context)?.lost(text)
    }

    private static let lifecycle: clibvirt_lifecycle_function = { _, domain, event, detail, context in
        guard let domain, virDomainRef(domain) == 0 else { return }
        let known = LibvirtDomain(owning: domain)
        if event == VIR_DOMAIN_EVENT_SUSPENDED.rawValue, detail == VIR_DOMAIN_EVENT_SUSPENDED_POSTCOPY.rawValue {
            ObserverBox.of(context)?.switchedToPostCopy(known.uuid)
        }
        guard let change = VirtualServerChange(event: event, detail: detail) else { return }
        ObserverBox.of(context)?.changed(known.name, known.uuid, change)
    }

    private static let jobCompleted: clibvirt_job_function = { _, domain, values, count, context in
        guard let domain, virDomainRef(domain) == 0 else { return }
        let known = LibvirtDomain(owning: domain)
        ObserverBox.of(context)?.migrated(known.uuid, MigrationResult(values, count))
    }
}

extension VirtualServerChange {
    /// Nil for what is no change of ours (the guest has begun to end, which its end follows).
    init?(event: Int32, detail: Int32) {
        let detail = UInt32(bitPattern: detail)
        switch virDomainEventType(UInt32(bitPattern: event)) {
        case VIR_DOMAIN_EVENT_DEFINED: self = .defined
        case VIR_DOMAIN_EVENT_UNDEFINED: self = .undefined
        case VIR_DOMAIN_EVENT_STARTED:
            self = detail == VIR_DOMAIN_EVENT_STARTED_MIGRATED.rawValue ? .arrived : .started
        case VIR_DOMAIN_EVENT_SUSPENDED, VIR_DOMAIN_EVENT_PMSUSPENDED: self = .suspended
        case VIR_DOMAIN_EVENT_RESUMED: self = .resumed
        case VIR_DOMAIN_EVENT_CRASHED: self = .crashed
        case VIR_DOMAIN_EVENT_STOPPED:
            switch virDomainEventStoppedDetailType(detail) {
            case VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN: self = .shutOff
            case VIR_DOMAIN_EVENT_STOPPED_CRASHED, VIR_DOMAIN_EVENT_STOPPED_FAILED: self = .crashed
            case VIR_DOMAIN_EVENT_STOPPED_MIGRATED: self = .departed
            case VIR_DOMAIN_EVENT_STOPPED_SAVED: self = .saved
            default: self = .destroyed
            }
        default: return nil
        }
    }
}

extension MigrationResult {
    init(_ values: virTypedParameterPtr?, _ count: Int32) {
        func number(_ name: String) -> Int64? { TypedParameters.number(name, values, count) }
        self.init(
            transferred: ByteCount(
                bytes: number(VIR_DOMAIN_JOB_DATA_PROCESSED) ?? number(VIR_DOMAIN_JOB_MEMORY_PROCESSED) ?? 0),
            totalTime: .milliseconds(number(VIR_DOMAIN_JOB_TIME_ELAPSED) ?? 0),
            downtime: number(VIR_DOMAIN_JOB_DOWNTIME).map { .milliseconds($0) },
            rounds: Int(number(VIR_DOMAIN_JOB_MEMORY_ITERATION) ?? 0))
    }
}

extension MigrationProgress {
    init(_ values: virTypedParameterPtr?, _ count: Int32) {
        func number(_ name: String) -> Int64? { TypedParameters.number(name, values, count) }
        let pageBytes = number(VIR_DOMAIN_JOB_MEMORY_PAGE_SIZE) ?? 4_096
        self.init(
            transferred: ByteCount(bytes: number(VIR_DOMAIN_JOB_DATA_PROCESSED) ?? 0),
            remaining: ByteCount(bytes: number(VIR_DOMAIN_JOB_DATA_REMAINING) ?? 0),
            rounds: Int(number(VIR_DOMAIN_JOB_MEMORY_ITERATION) ?? 0),
            dirtyBytesPerSecond: number(VIR_DOMAIN_JOB_MEMORY_DIRTY_RATE).map { $0 * pageBytes })
    }
}
