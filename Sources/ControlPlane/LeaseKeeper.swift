public import CloudModel
public import CloudPorts
import Glibc
public import Logging
import Synchronization

/// Holds the lease of the control plane that decides: waits for it as a standby, prolongs it, and says before each
/// action whether it is still held.
public final class LeaseKeeper: Sendable {
    private let lease: any ControlLease
    private let holder: String
    private let duration: TimeSpan
    private let onLoss: @Sendable () -> Void
    private let logger: Logger
    /// Until when nobody else can have taken the lease, by this machine's clock; time asleep counts.
    private let sureUntil = Mutex<Int64>(0)
    private let isLost = Mutex(false)

    /// - Parameter holder: names this process to the others, for their log.
    /// - Parameter onLoss: called once when another control plane has taken over.
    public init(
        lease: any ControlLease, holder: String, duration: TimeSpan, logger: Logger,
        onLoss: @escaping @Sendable () -> Void
    ) {
        self.lease = lease
        self.holder = holder
        self.duration = duration
        self.logger = logger
        self.onLoss = onLoss
    }

    /// Returns once the lease is held. While another holds it this process is its standby.
    public func acquire() async throws(LogDatabaseError) {
        var known: String?
        while true {
            let asked = Self.now()
            switch try await lease.acquireLease(holder: holder, for: duration) {
            case .held(let epoch):
                sureUntil.withLock { $0 = asked + duration.microseconds }
                logger.notice("This control plane decides", metadata: ["epoch": "\(epoch)"])
                return
            case .heldByAnother(let other, let remaining):
                if known != other {
                    logger.notice("Standby: another control plane decides", metadata: ["holder": "\(other)"])
                    known = other
                }
                // Neither a long sleep over a lease that is given up early, nor a busy wait.
                let pause = max(.milliseconds(50), min(remaining, TimeSpan(microseconds: duration.microseconds / 10)))
                try? await Task.sleep(for: .microseconds(pause.microseconds))
            }
        }
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
        while sureUntil.withLock({ $0 }) <= Self.now() {
            guard await prolong(), !Task.isCancelled else { return false }
            if sureUntil.withLock({ $0 }) > Self.now() { break }
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
        logger.critical("Another control plane has taken over; this one stops")
        onLoss()
    }

    /// False where the lease is lost. Where the log database is away nobody can take the lease either.
    private func prolong() async -> Bool {
        let asked = Self.now()
        do throws(LogDatabaseError) {
            try await lease.renewLease(for: duration)
            sureUntil.withLock { $0 = max($0, asked + duration.microseconds) }
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

    private static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
    }
}
