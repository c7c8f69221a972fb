public import CloudModel
public import CloudPorts
public import Logging
import Synchronization

/// Holds the lease of the control plane that decides: waits for it as a standby, prolongs it, and says before each
/// action whether it is still held.
public final class LeaseKeeper: Sendable {
    private let lease: any ControlLease
    private let place: String
    private let process: Int32
    private let duration: TimeSpan
    private let onLoss: @Sendable () -> Void
    private let logger: Logger
    /// What adapters ask right before they act.
    public let fence: LeaseFence
    private let isLost = Mutex(false)

    /// - Parameters:
    ///   - place: names the platform to the others, for their log: whatever stays the same when it is started again.
    ///   - process: tells its starts apart.
    ///   - onLoss: called once when another control plane has taken over.
    public init(
        lease: any ControlLease, place: String, process: Int32, duration: TimeSpan,
        logger: Logger, onLoss: @escaping @Sendable () -> Void
    ) {
        fence = LeaseFence(duration: duration.microseconds)
        self.lease = lease
        self.place = place
        self.process = process
        self.duration = duration
        self.logger = logger
        self.onLoss = onLoss
    }

    /// Returns once the lease is held. While another holds it this process is its standby.
    /// - Parameters:
    ///   - predecessor: the process of this platform that has stopped acting and passes the lease on to this one.
    ///   - onStandby: called when another platform turns out to decide; not for an earlier process of this platform,
    ///     whose lease only has to lapse.
    public func acquire(
        from predecessor: Int32? = nil, onStandby: @Sendable () async -> Void = {}
    ) async throws(LogDatabaseError) {
        var known: String?
        let holder = self.holder(process)
        let former = predecessor.map { self.holder($0) }
        while true {
            let asked = LeaseFence.now()
            switch try await lease.acquireLease(holder: holder, succeeding: former, for: duration) {
            case .held(let epoch):
                fence.extend(until: surelyHeld(since: asked), epoch: epoch)
                logger.notice("This control plane decides", metadata: ["epoch": "\(epoch)"])
                return
            case .heldByAnother(let other, let remaining):
                if known != other {
                    logger.notice("Standby: another control plane decides", metadata: ["holder": "\(other)"])
                    known = other
                    if !other.hasPrefix(place + ", process ") { await onStandby() }
                }
                // Neither a long sleep over a lease that is given up early, nor a busy wait.
                let pause = max(.milliseconds(50), min(remaining, TimeSpan(microseconds: duration.microseconds / 10)))
                try? await Task.sleep(for: .microseconds(pause.microseconds))
            }
        }
    }

    private func holder(_ process: Int32) -> String { "\(place), process \(process)" }

    /// Nothing is done here any more, while the lease stays as it is: for the process that is told and takes it over.
    public func standDown() {
        isLost.withLock { $0 = true }
        fence.shut()
    }

    /// Prolongs the lease three times in its duration, until cancelled or lost.
    public func run() async {
        while !Task.isCancelled, await prolong() {
            try? await Task.sleep(for: .microseconds(duration.microseconds / 3))
        }
    }

    /// Whether this control plane may act. Where the lease may have lapsed, because the process was frozen or the log
    /// database away, it is prolonged first; another one may have taken over in the meantime.
    public func mayAct() async -> Bool {
        var pause = TimeSpan.milliseconds(20)
        while !fence.isOpen {
            guard await prolong(), !Task.isCancelled else { return false }
            if fence.isOpen { break }
            try? await Task.sleep(for: .microseconds(pause.microseconds))
            pause = min(pause * 2, .seconds(1))
        }
        return !isLost.withLock { $0 }
    }

    public func release() async {
        do throws(LogDatabaseError) { try await lease.releaseLease() } catch {
            logger.warning("The lease could not be given up; it lapses", metadata: ["error": "\(error)"])
        }
    }

    /// Another control plane decides: nothing may be done any more.
    public func lose() {
        let isFirst = isLost.withLock { isLost in
            defer { isLost = true }
            return !isLost
        }
        guard isFirst else { return }
        fence.shut()
        logger.critical("Another control plane has taken over; this one stops")
        onLoss()
    }

    /// False where the lease is lost. Where the log database is away nobody can take the lease either.
    private func prolong() async -> Bool {
        let asked = LeaseFence.now()
        do throws(LogDatabaseError) {
            try await lease.renewLease(for: duration)
            fence.extend(until: surelyHeld(since: asked))
            return true
        } catch {
            guard error.code == .superseded else {
                logger.error("The lease is not prolonged", metadata: ["error": "\(error)"])
                return true
            }
            lose()
            return false
        }
    }

    /// Until when nobody else can have taken the lease, by this machine's clock. One part in a hundred is for clocks
    /// that run apart: the duration is the server's.
    private func surelyHeld(since asked: Int64) -> Int64 {
        asked + duration.microseconds - duration.microseconds / 100
    }
}
