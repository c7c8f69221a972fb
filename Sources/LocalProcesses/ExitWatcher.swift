import CLocalProcesses
import CloudPorts
import Glibc
import Synchronization

/// One thread that waits for the end of any number of processes, by their descriptors.
///
/// A handler is called once, on this thread, as soon as its process has ended; it must not block.
final class ExitWatcher: Sendable {
    typealias Handler = @Sendable () -> Void

    /// Names one watch: a descriptor's number may be given to another process while its last event is on the way.
    typealias Token = UInt64

    private struct State {
        var handlers: [Token: Handler] = [:]
        var lastToken = wakeToken
        var closed = false
    }

    private static let wakeToken: Token = 0

    private let epoll: Int32
    private let wake: Int32
    private let state = Mutex(State())

    init() throws(InstanceDriverError) {
        epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
        wake = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
        guard epoll >= 0, wake >= 0, Self.add(wake, Self.wakeToken, to: epoll) == 0 else {
            let reason = SystemFailure.text(ofError: errno)
            if epoll >= 0 { Glibc.close(epoll) }
            if wake >= 0 { Glibc.close(wake) }
            throw InstanceDriverError(.exhausted, "cannot watch processes: \(reason); raise the limit on open files")
        }
        var thread = pthread_t()
        let watcher = Unmanaged.passRetained(self)
        let code = pthread_create(
            &thread, nil,
            { context in
                clp_name_thread("exit-watcher")
                Unmanaged<ExitWatcher>.fromOpaque(context!).takeRetainedValue().run()
                return nil
            }, watcher.toOpaque())
        guard code == 0 else {
            watcher.release()
            throw InstanceDriverError(.exhausted, "cannot start a thread: \(SystemFailure.text(ofError: code))")
        }
        pthread_detach(thread)
    }

    deinit {
        Glibc.close(epoll)
        Glibc.close(wake)
    }

    /// The descriptor stays the caller's, who closes it when the handler has been called or the watch is forgotten.
    func watch(_ pidfd: Int32, onEnd handler: @escaping Handler) throws(InstanceDriverError) -> Token {
        let token = state.withLock { state in
            state.lastToken += 1
            state.handlers[state.lastToken] = handler
            return state.lastToken
        }
        guard Self.add(pidfd, token, to: epoll) == 0 else {
            let reason = SystemFailure.text(ofError: errno)
            forget(token)
            throw InstanceDriverError(
                .exhausted, "cannot watch another process: \(reason); raise fs.epoll.max_user_watches")
        }
        return token
    }

    /// The handler is not called any more, unless it is being called right now.
    func forget(_ token: Token) { state.withLock { $0.handlers[token] = nil } }

    /// Ends the thread; no handler is called afterwards.
    func close() {
        state.withLock { state in
            state.closed = true
            state.handlers.removeAll()
        }
        var one: UInt64 = 1
        _ = write(wake, &one, 8)
    }

    /// Reported once; the kernel forgets the descriptor when it is closed.
    private static func add(_ descriptor: Int32, _ token: Token, to epoll: Int32) -> Int32 {
        var event = epoll_event()
        event.events = EPOLLIN.rawValue | EPOLLONESHOT.rawValue
        event.data.u64 = token
        return epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event)
    }

    private func run() {
        var events = [epoll_event](repeating: epoll_event(), count: 64)
        while true {
            // The only error that can come here is EINTR.
            let count = epoll_wait(epoll, &events, Int32(events.count), -1)
            for event in events.prefix(Int(max(count, 0))) {
                let handler = state.withLock { $0.handlers.removeValue(forKey: event.data.u64) }
                handler?()
            }
            if state.withLock({ $0.closed }) { return }
        }
    }
}
