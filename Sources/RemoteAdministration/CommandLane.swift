import AdministrationAPI

/// Lets one change of the configuration or the administrators through at a time, in the order of arrival, so that what
/// If-Match was compared with is what is changed.
actor CommandLane {
    /// Changes that may wait; more are refused.
    private static let maximumWaiting = 64

    private var isTaken = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    func run<Result: Sendable>(_ change: @Sendable () async throws -> Result) async throws -> Result {
        try await enter()
        defer { leave() }
        return try await change()
    }

    private func enter() async throws {
        guard isTaken else {
            isTaken = true
            return
        }
        guard waiting.count < Self.maximumWaiting else {
            throw API.Problem.unavailable("\(waiting.count) changes wait already; try again in a moment.")
        }
        await withCheckedContinuation { waiting.append($0) }
    }

    /// Whoever waits longest goes on, and the lane stays taken.
    private func leave() {
        guard !waiting.isEmpty else {
            isTaken = false
            return
        }
        waiting.removeFirst().resume()
    }
}
