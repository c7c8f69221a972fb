import Synchronization

/// How long a question has waited for its answer, as far as whoever asked was awake to hear one: a platform that was
/// stopped or starved itself must not take its own pause for the silence of the other side.
package struct AnswerPatience {
    /// What one look adds at most.
    package static let longestLook = Duration.milliseconds(500)

    package private(set) var waited = Duration.zero
    private var asked: Int?
    private var lastLook: SuspendingClock.Instant?

    package init() {}

    /// - Parameter question: the number of the one that is waited for; nil: none is.
    package mutating func look(at now: SuspendingClock.Instant, waitingFor question: Int?) {
        defer {
            asked = question
            lastLook = now
        }
        guard let question, question == asked, let lastLook else {
            waited = .zero
            return
        }
        waited += min(now - lastLook, Self.longestLook)
    }
}

/// Asks a hypervisor something cheap again and again, and tells when it leaves that unanswered. libvirt's keepalive
/// asks the same of its event loop, and is as late as that loop.
///
/// One question at a time, on a thread of its own: a hypervisor that never answers holds that one, and no more.
package struct AnswerWatch: Sendable {
    private static let lookInterval = Duration.milliseconds(100)

    private let limit: Duration
    private let interval: Duration
    private let ask: @Sendable () -> Void

    /// - Parameters:
    ///   - limit: how long an answer may take.
    ///   - interval: between an answer and the next question.
    ///   - ask: returns once there is an answer, or never will be one. Blocks.
    package init(limit: Duration, interval: Duration = .seconds(1), ask: @escaping @Sendable () -> Void) {
        self.limit = limit
        self.interval = interval
        self.ask = ask
    }

    /// Returns once a question has waited for longer than the limit, or when it is cancelled.
    package func untilSilent() async {
        let question = Question()
        let calls = BlockingCalls(maximumThreads: 1, maximumWaiting: 1)
        let asking = Task {
            while !Task.isCancelled {
                // Told on the thread that asks: tasks that have to wait for a processor are no silence.
                _ = try? await calls.run {
                    question.begin()
                    ask()
                    question.end()
                    return .success(true)
                }
                try? await Task.sleep(for: interval)
            }
        }
        // It is not waited for: it ends with its question.
        defer { asking.cancel() }
        var patience = AnswerPatience()
        while !Task.isCancelled, patience.waited < limit {
            try? await Task.sleep(for: Self.lookInterval)
            patience.look(at: .now, waitingFor: question.number)
        }
    }

    private final class Question: Sendable {
        private struct State {
            var count = 0
            var isOpen = false
        }

        private let state = Mutex(State())

        /// Of the one that is open.
        var number: Int? { state.withLock { $0.isOpen ? $0.count : nil } }

        func begin() {
            state.withLock { state in
                state.count += 1
                state.isOpen = true
            }
        }

        func end() { state.withLock { $0.isOpen = false } }
    }
}
