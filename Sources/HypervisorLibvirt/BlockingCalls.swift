import CloudModel
import Glibc
import Synchronization

/// Runs calls that block on threads of their own, never on those of Swift's tasks: a hypervisor that does not answer
/// would otherwise hold up everything else. Threads end when nothing waits.
final class BlockingCalls: Sendable {
    private struct State: ~Copyable {
        var running = 0
        var waiting: [@Sendable () -> Void] = []
    }

    private let state = Mutex(State())
    private let maximumThreads: Int
    private let maximumWaiting: Int

    init(maximumThreads: Int, maximumWaiting: Int) {
        self.maximumThreads = maximumThreads
        self.maximumWaiting = maximumWaiting
    }

    func run<Value: Sendable>(
        _ call: @escaping @Sendable () -> Result<Value, HypervisorError>
    ) async throws(HypervisorError) -> Value {
        let result = await withCheckedContinuation { continuation in
            if !enqueue({ continuation.resume(returning: call()) }) {
                continuation.resume(
                    returning: .failure(
                        HypervisorError(.failed, "\(maximumWaiting) calls wait for this hypervisor already")))
            }
        }
        return try result.get()
    }

    private func enqueue(_ call: @escaping @Sendable () -> Void) -> Bool {
        let startsThread: Bool? = state.withLock { state in
            guard state.waiting.count < maximumWaiting else { return nil }
            state.waiting.append(call)
            guard state.running < maximumThreads else { return false }
            state.running += 1
            return true
        }
        guard let startsThread else { return false }
        if startsThread && !Self.startThread({ self.work() }) {
            state.withLock { $0.running -= 1 }
            // Without a thread the caller's has to do.
            work(once: true)
        }
        return true
    }

    private func work(once: Bool = false) {
        repeat {
            let next: (@Sendable () -> Void)? = state.withLock { state in
                if state.waiting.isEmpty {
                    if !once { state.running -= 1 }
                    return nil
                }
                return state.waiting.removeFirst()
            }
            guard let next else { return }
            next()
        } while !once
    }

    /// False where the system gives no thread.
    static func startThread(_ body: @escaping @Sendable () -> Void) -> Bool {
        let context = Unmanaged.passRetained(ThreadBody(body))
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        defer { pthread_attr_destroy(&attributes) }
        var thread = pthread_t()
        let failure = pthread_create(
            &thread, &attributes,
            { context in
                guard let context else { return nil }
                BlockingCalls.holdBrokenPipes()
                Unmanaged<ThreadBody>.fromOpaque(context).takeRetainedValue().run()
                return nil
            }, context.toOpaque())
        if failure != 0 { context.release() }
        return failure == 0
    }

    /// libvirt writes to a connection that the other side has closed: within calls it holds the signal back itself, but
    /// its event loop writes as well, what keepalive and other threads' calls have to say.
    private static func holdBrokenPipes() {
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
    }

    private final class ThreadBody: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
}
