public import CloudModel
public import CloudPorts
import NIOCore
import NIOPosix

/// Checks instances over TCP and HTTP, any number at once, on one thread of its own.
///
/// Every check ends within its timeout, whatever the other side does. Redirects are not followed: the status of the
/// first answer counts. No more than `maximumHeadSize` bytes of an answer's head are read and no more than
/// `maximumDrainedSize` of its body, which does not count.
public final class HealthProbes: HealthProber {
    /// More checks than this at once wait for each other, within their timeouts.
    public static let defaultMaximumConcurrentChecks = 1_024
    static let maximumHeadSize = 16 * 1_024
    static let maximumDrainedSize = 64 * 1_024

    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let loop: any EventLoop
    private let slots: ProbeSlots

    public init(maximumConcurrentChecks: Int = defaultMaximumConcurrentChecks) {
        loop = group.next()
        slots = ProbeSlots(count: max(1, maximumConcurrentChecks))
    }

    /// Ends the thread, when the checks that are under way have ended.
    public func close() async { try? await group.shutdownGracefully() }

    public func probe(_ endpoint: Endpoint, _ check: HealthCheck) async -> String? {
        let request: ProbeRequest
        do { request = try ProbeRequest(endpoint, check) } catch { return error.description }
        let loop = loop
        let slots = slots
        let outcome = loop.flatSubmit { () -> EventLoopFuture<String?> in
            let probe = Probe(request, on: loop)
            slots.run(probe)
            return probe.outcome
        }
        do { return try await outcome.get() } catch { return "cannot be checked: \(error)" }
    }
}

/// A check that has been found fit to be run.
struct ProbeRequest: Sendable {
    struct Unfit: Error, CustomStringConvertible {
        var description: String
    }

    var address: SocketAddress
    var timeout: TimeSpan
    /// Nil for a TCP check.
    var http: (request: String, expectedStatus: ClosedRange<Int>)?

    /// A day: longer than any check is of use, and far from the bounds of the arithmetic.
    private static let longestTimeout = TimeSpan.hours(24)

    init(_ endpoint: Endpoint, _ check: HealthCheck) throws(Unfit) {
        do { address = try SocketAddress(ipAddress: endpoint.address, port: Int(endpoint.port)) } catch {
            throw Unfit(description: "\"\(endpoint.address)\" is no IPv4 or IPv6 address")
        }
        guard check.timeout > .zero else {
            throw Unfit(description: "the check's timeout is \(check.timeout.microseconds) us; it must be positive")
        }
        timeout = min(check.timeout, Self.longestTimeout)
        guard case .http(let path, let expectedStatus) = check.probe else { return }
        // What could end the request line early would be a request of its own.
        guard path.hasPrefix("/"), path.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw Unfit(
                description: "the check's path does not begin with / or has characters other than printable ASCII")
        }
        let lines = [
            "GET \(path) HTTP/1.1", "Host: \(endpoint)", "User-Agent: cloudwright-health-check", "Accept: */*",
            "Connection: close",
        ]
        http = (lines.joined(separator: "\r\n") + "\r\n\r\n", expectedStatus)
    }
}

/// Runs no more than so many probes at once. Confined to the loop.
final class ProbeSlots: @unchecked Sendable {
    private static let longestQueue = 65_536

    private let count: Int
    private var used = 0
    private var waiting: [Probe] = []
    /// The first of `waiting` that has not been started.
    private var head = 0

    init(count: Int) { self.count = count }

    func run(_ probe: Probe) {
        if used < count { return start(probe) }
        guard waiting.count - head < Self.longestQueue else {
            return probe.end("not checked: \(Self.longestQueue) other checks wait already")
        }
        probe.failureOnTimeout = "waiting for one of \(count) checks at once to end"
        waiting.append(probe)
    }

    private func start(_ probe: Probe) {
        used += 1
        probe.start { self.release() }
    }

    private func release() {
        used -= 1
        while head < waiting.count, used < count {
            let next = waiting[head]
            head += 1
            if !next.hasEnded { start(next) }
        }
        if head == waiting.count || head > 1_024 {
            waiting.removeFirst(head)
            head = 0
        }
    }
}
