import Glibc
import Synchronization

/// Requests that all go out at the same moment, each on a connection of its own that was made before: consumers that
/// arrive at once.
public struct Burst: Sendable {
    public struct Outcome: Sendable {
        public var response: Result<HTTPResponse, LoadClientError>
        /// After the release of all.
        public var sentAfterMicroseconds: Int64
        public var answeredAfterMicroseconds: Int64

        /// The status; 0 where there was no whole response.
        public var status: Int { (try? response.get().status) ?? 0 }
    }

    public var target: HTTPTarget
    public var requests: [HTTPRequest]
    public var timeoutMilliseconds: Int64 = 30_000

    static let maximumRequests = 1_000

    public init(_ target: HTTPTarget, _ requests: [HTTPRequest], timeoutMilliseconds: Int64 = 30_000) {
        self.target = target
        self.requests = requests
        self.timeoutMilliseconds = timeoutMilliseconds
    }

    /// Makes all connections, releases all requests by a barrier, and waits for all responses. One thread each.
    /// - Returns: in the order of `requests`.
    public func run() throws(LoadClientError) -> [Outcome] {
        guard (1...Self.maximumRequests).contains(requests.count) else {
            throw LoadClientError(.invalid, "\(requests.count) requests; 1 to \(Self.maximumRequests)")
        }
        let gate = StartGate(threads: requests.count)
        let outcomes = Mutex([Outcome?](repeating: nil, count: requests.count))
        let body: @Sendable (Int) -> Void = { number in
            let outcome = one(requests[number], gate)
            outcomes.withLock { $0[number] = outcome }
        }
        try OwnThread.runAll(requests.count, body, orAbandon: { gate.abandon() })
        return outcomes.withLock { $0.compactMap { $0 } }
    }

    /// The same on threads of its own, for those who must not block theirs.
    public func runOnOwnThreads() async throws -> [Outcome] {
        try await OwnThread.run { try run() }
    }

    private func one(_ request: HTTPRequest, _ gate: StartGate) -> Outcome {
        let connection = HTTPConnection(to: target, timeoutMilliseconds: timeoutMilliseconds)
        var response: Result<HTTPResponse, LoadClientError>
        do throws(LoadClientError) {
            try connection.connect()
            response = .failure(LoadClientError(.system, "not all threads could be started"))
        } catch {
            response = .failure(error)
        }
        let start = gate.wait()
        let sentAt = MonotonicClock.microseconds()
        if connection.isConnected, let start {
            do throws(LoadClientError) {
                response = .success(try connection.send(request))
            } catch {
                response = .failure(error)
            }
            return Outcome(
                response: response, sentAfterMicroseconds: sentAt - start,
                answeredAfterMicroseconds: MonotonicClock.microseconds() - start)
        }
        return Outcome(response: response, sentAfterMicroseconds: 0, answeredAfterMicroseconds: 0)
    }
}

/// Holds threads back until all are there.
private final class StartGate: @unchecked Sendable {
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var missing: Int
    private var openedAt: Int64?
    private var isAbandoned = false

    init(threads: Int) {
        missing = threads
        pthread_mutex_init(lock, nil)
        pthread_cond_init(changed, nil)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(lock)
        changed.deallocate()
        lock.deallocate()
    }

    /// When the gate was opened; nil where it never will be.
    func wait() -> Int64? {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        missing -= 1
        if missing == 0 {
            openedAt = MonotonicClock.microseconds()
            pthread_cond_broadcast(changed)
        }
        while openedAt == nil && !isAbandoned { pthread_cond_wait(changed, lock) }
        return openedAt
    }

    func abandon() {
        pthread_mutex_lock(lock)
        isAbandoned = true
        pthread_cond_broadcast(changed)
        pthread_mutex_unlock(lock)
    }
}
