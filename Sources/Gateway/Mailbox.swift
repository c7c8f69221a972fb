import CGateway
import Synchronization

/// Messages to one loop from other threads, in the order they were posted. A post wakes the loop through an eventfd,
/// and only the first of several before the loop looks costs a system call.
///
/// Bounded by what is posted: ends of waits are no more than the tickets that the loop itself has queued, the rest is
/// rare.
final class Mailbox<Message: Sendable>: Sendable {
    let eventDescriptor: Int32
    private let pending = Mutex<[Message]>([])

    init() throws(GatewayError) {
        eventDescriptor = cgateway_eventfd()
        guard eventDescriptor >= 0 else {
            throw GatewayError(.exhausted, "no eventfd (error \(-eventDescriptor)); raise the limit of open files")
        }
    }

    deinit { cgateway_close(eventDescriptor) }

    func post(_ message: Message) {
        let first = pending.withLock { messages in
            messages.append(message)
            return messages.count == 1
        }
        if first { cgateway_signal(eventDescriptor) }
    }

    /// All messages posted so far. Called by the loop when the eventfd is readable.
    func take() -> [Message] {
        cgateway_drain_signal(eventDescriptor)
        return pending.withLock { messages in
            let taken = messages
            messages = []
            return taken
        }
    }
}
