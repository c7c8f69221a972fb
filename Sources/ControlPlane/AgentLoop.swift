public import CloudPorts
import Logging
import Synchronization

/// What an agent beside the control plane does again and again, and whether it can.
final class AgentLoop: Sendable {
    private let complaint: String
    private let logger: Logger
    private let failure = Mutex<String?>(nil)

    /// - Parameter complaint: what is not done while it fails.
    init(complaint: String, logger: Logger) {
        self.complaint = complaint
        self.logger = logger
    }

    /// `ok`, or why the work is not done.
    var health: String { failure.withLock { $0 ?? "ok" } }

    /// Until cancelled. A failure is told, and the work is tried again after the pause.
    func run(every pause: Duration, _ work: @Sendable () async throws(LogDatabaseError) -> Void) async {
        while !Task.isCancelled {
            do throws(LogDatabaseError) {
                try await work()
                failure.withLock { $0 = nil }
            } catch {
                failure.withLock { $0 = "\(error)" }
                logger.error("\(complaint)", metadata: ["error": "\(error)"])
            }
            try? await Task.sleep(for: pause)
        }
    }
}
