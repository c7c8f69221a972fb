import CloudPorts
import Foundation

/// A few threads that may block, for what would otherwise block Swift's.
final class DeliveryThreads: Sendable {
    typealias Job = @Sendable () -> Void

    /// Shared with the threads, which outlive their owner by what they are at.
    private final class Queue: @unchecked Sendable {
        private let condition = NSCondition()
        private var jobs: [Job] = []
        private var isClosed = false
        private let limit: Int

        init(limit: Int) { self.limit = limit }

        /// False where too many wait already.
        func append(_ job: @escaping Job) -> Bool {
            condition.lock()
            defer { condition.unlock() }
            guard jobs.count < limit, !isClosed else { return false }
            jobs.append(job)
            condition.signal()
            return true
        }

        /// Nil when the queue has been closed and is empty.
        func next() -> Job? {
            condition.lock()
            defer { condition.unlock() }
            while jobs.isEmpty, !isClosed { condition.wait() }
            return jobs.isEmpty ? nil : jobs.removeFirst()
        }

        func close() {
            condition.lock()
            isClosed = true
            condition.broadcast()
            condition.unlock()
        }
    }

    private let queue: Queue

    init(count: Int, waiting: Int) {
        let queue = Queue(limit: max(1, waiting))
        self.queue = queue
        for number in 1...max(1, count) {
            let thread = Thread {
                while let job = queue.next() { job() }
            }
            thread.name = "delivery-\(number)"
            thread.start()
        }
    }

    deinit { queue.close() }

    func run(_ body: @escaping @Sendable () throws(DeliveryError) -> Void) async throws(DeliveryError) {
        let result: Result<Void, DeliveryError> = await withCheckedContinuation { continuation in
            let accepted = queue.append {
                do throws(DeliveryError) {
                    try body()
                    continuation.resume(returning: .success(()))
                } catch { continuation.resume(returning: .failure(error)) }
            }
            if !accepted {
                let failure = DeliveryError(permanent: false, message: "too many deliveries wait already")
                continuation.resume(returning: .failure(failure))
            }
        }
        try result.get()
    }
}
