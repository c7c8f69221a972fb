/// Requests at a constant rate, whatever becomes of them: the schedule does not wait for responses, so a service that
/// stalls is not given a rest (an open-loop load; closed loops measure their own patience).
///
/// The nth request is due n / rate after the begin, on any free one of the connections, and carries an id of its own.
/// Nothing is ever repeated. One thread, non-blocking sockets; good for some thousands of requests a second.
public struct OpenLoopLoad: Sendable {
    public var target: HTTPTarget
    public var request: HTTPRequest
    public var requestsPerSecond: Int
    public var durationMilliseconds: Int64
    /// Each carries one request at a time. For a service that answers in L seconds, rate * L are busy.
    public var connections = 64
    /// Further fields, by turns: one consumer's key each.
    public var fieldsByTurn: [[HTTPField]] = []
    /// From when a request is due to when it is given up.
    public var timeoutMilliseconds: Int64 = 10_000
    /// A request that is sent later than this after its time counts as late.
    public var lateAfterMilliseconds: Int64 = 10
    public var expectedStatuses: ClosedRange<Int> = 200...299
    /// The field that carries the request's own id, `<prefix>-<number>`.
    public var idField = "x-load-id"
    /// Tells this load's ids from those of others.
    public var idPrefix: String
    /// The field of a response that names the request in the platform's books.
    public var responseIDField = "x-request-id"
    /// A file to which one line is written for each whole response, in order of their ends: the response's id, its
    /// status and the request's own id, separated by tabs. An existing file is continued.
    public var journalPath: String?

    public init(
        _ target: HTTPTarget, _ request: HTTPRequest = .init(), requestsPerSecond: Int, durationMilliseconds: Int64,
        idPrefix: String = "load"
    ) {
        self.target = target
        self.request = request
        self.requestsPerSecond = requestsPerSecond
        self.durationMilliseconds = durationMilliseconds
        self.idPrefix = idPrefix
    }

    static let maximumConnections = 4_096
    static let maximumRequests = 10_000_000

    /// Requests in all.
    var total: Int {
        let (product, overflow) = Int64(requestsPerSecond).multipliedReportingOverflow(by: durationMilliseconds)
        return overflow ? .max : Int(product / 1_000)
    }

    private func check() throws(LoadClientError) {
        guard (1...Self.maximumConnections).contains(connections) else {
            throw LoadClientError(.invalid, "connections: \(connections); 1 to \(Self.maximumConnections)")
        }
        guard requestsPerSecond > 0, durationMilliseconds >= 0, total <= Self.maximumRequests else {
            throw LoadClientError(
                .invalid,
                "\(requestsPerSecond)/s for \(durationMilliseconds) ms; at least 1/s, at most "
                    + "\(Self.maximumRequests) requests")
        }
        guard timeoutMilliseconds > 0 else {
            throw LoadClientError(.invalid, "timeoutMilliseconds: \(timeoutMilliseconds); at least 1")
        }
    }

    /// Makes the connections, sends all requests, and waits for the last response or its timeout. Blocks the thread.
    /// Throws only where the load cannot be run at all; what goes wrong on the way is in the report.
    public func run() throws(LoadClientError) -> LoadReport {
        try check()
        let journal = try journalPath.map { path throws(LoadClientError) in try LoadJournal(path: path) }
        var run = OpenLoopRun(self, journal)
        defer { run.close() }
        run.connectAll()
        return try run.report()
    }

    /// The same on a thread of its own, for those who must not block theirs.
    public func runOnOwnThread() async throws -> LoadReport {
        try await OwnThread.run { try run() }
    }
}
