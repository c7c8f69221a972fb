import CloudPorts
import Foundation

/// A few threads, each with a connection of its own: libpq blocks, and no thread of Swift's may wait for a server.
///
/// The queue is bounded: beyond it a job is refused at once, which a caller that repeats takes as it takes a server
/// that is away.
final class ConnectionThreads: @unchecked Sendable {
    private struct Job {
        var run: (Connection) -> Void
        var fail: (any Error) -> Void
    }

    private let settings: PostgresConnectionSettings
    /// Guards everything below.
    private let condition = NSCondition()
    private var jobs: [Job] = []
    private var isClosed = false
    private var living: Int
    private var closers: [CheckedContinuation<Void, Never>] = []
    private static let limit = 1_000

    init(_ settings: PostgresConnectionSettings, count: Int, name: String) {
        self.settings = settings
        living = count
        for number in 0..<count {
            let thread = Thread { [self] in work() }
            thread.name = "\(name)-\(number)"
            thread.start()
        }
    }

    func run<Value: Sendable>(_ body: @escaping @Sendable (Connection) throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            let job = Job(
                run: { connection in continuation.resume(with: Result { try body(connection) }) },
                fail: { continuation.resume(throwing: $0) })
            if let refusal = offer(job) { continuation.resume(throwing: refusal) }
        }
    }

    /// Jobs that were taken are done; later ones are refused. Returns when all connections are closed.
    func close() async {
        await withCheckedContinuation { continuation in
            condition.withLock {
                isClosed = true
                if living == 0 { continuation.resume() } else { closers.append(continuation) }
                condition.broadcast()
            }
        }
    }

    private func offer(_ job: Job) -> LogDatabaseError? {
        condition.withLock {
            guard !isClosed else { return LogDatabaseError(.unavailable, "the log database is closed") }
            guard jobs.count < Self.limit else {
                return LogDatabaseError(.unavailable, "\(Self.limit) statements wait for the log database already")
            }
            jobs.append(job)
            condition.signal()
            return nil
        }
    }

    private func next() -> Job? {
        condition.withLock {
            while jobs.isEmpty && !isClosed { condition.wait() }
            return jobs.isEmpty ? nil : jobs.removeFirst()
        }
    }

    private func work() {
        var connection: Connection?
        while let job = next() {
            if connection?.isUsable != true { connection = nil }
            do {
                let present = try connection ?? Connection(settings)
                connection = present
                job.run(present)
            } catch {
                // Those who wait would wait for the same.
                let others = condition.withLock {
                    defer { jobs = [] }
                    return jobs
                }
                for job in [job] + others { job.fail(error) }
            }
        }
        connection = nil
        let waiting = condition.withLock {
            living -= 1
            defer { if living == 0 { closers = [] } }
            return living == 0 ? closers : []
        }
        for closer in waiting { closer.resume() }
    }
}
