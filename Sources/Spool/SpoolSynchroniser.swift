import CSpool
import CloudModel
import Glibc
import Synchronization

/// The one background thread of a spool: makes what was appended durable, and the next segments ahead of time.
final class SpoolSynchroniser: @unchecked Sendable {
    private let interval: TimeSpan
    private let sources: @Sendable () -> [SpoolSource]
    private let sleep = InterruptibleSleep()
    private var thread = pthread_t()

    init(interval: TimeSpan, sources: @escaping @Sendable () -> [SpoolSource]) throws(SpoolError) {
        self.interval = interval
        self.sources = sources
        // The thread keeps the object alive until it ends.
        let retained = Unmanaged.passRetained(self)
        let result = pthread_create(
            &thread, nil,
            { context in
                let synchroniser = Unmanaged<SpoolSynchroniser>.fromOpaque(context!).takeRetainedValue()
                synchroniser.run()
                return nil
            }, retained.toOpaque())
        guard result == 0 else {
            retained.release()
            throw SpoolError(.io, "cannot start the spool's thread: \(systemReason(result))")
        }
    }

    /// Ends the thread and waits for it. Once only.
    func stop() {
        sleep.interrupt()
        pthread_join(thread, nil)
    }

    private func run() {
        // By its name its share of the processor can be told from the rest of the process.
        cspool_name_thread("gateway-spool")
        let retryTicks = max(1, 1_000_000 / interval.microseconds)
        var ticks: Int64 = 0
        while sleep.pass(interval) {
            ticks += 1
            for source in sources() {
                source.synchronise()
                source.prepareSpare(retry: ticks % retryTicks == 0)
            }
        }
    }
}

/// A sleep on the monotonic clock that can be ended for good.
private final class InterruptibleSleep: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var isOver = false

    init() {
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// Sleeps for `span`; false, at once, when interrupted.
    func pass(_ span: TimeSpan) -> Bool {
        var end = timespec()
        clock_gettime(CLOCK_MONOTONIC, &end)
        let nanoseconds = Int64(end.tv_nsec) + span.microseconds * 1_000
        end.tv_sec += Int(nanoseconds / 1_000_000_000)
        end.tv_nsec = Int(nanoseconds % 1_000_000_000)
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while !isOver, pthread_cond_timedwait(condition, mutex, &end) == 0 {}
        return !isOver
    }

    func interrupt() {
        pthread_mutex_lock(mutex)
        isOver = true
        pthread_cond_signal(condition)
        pthread_mutex_unlock(mutex)
    }
}
