public import Foundation
import Synchronization

/// A `cloudwright serve` process that a scenario runs against, with its own directory.
public final class PlatformProcess: Sendable {
    /// What the process writes to its announce file once it serves.
    public struct Announcement: Codable, Hashable, Sendable {
        public var processID: Int32
        /// `address:port` of each gateway listener.
        public var gateway: [String]
        /// The base URL of the administration API.
        public var administration: String

        public init(processID: Int32, gateway: [String], administration: String) {
            self.processID = processID
            self.gateway = gateway
            self.administration = administration
        }
    }

    private struct State {
        var status: Int32?
        var waiters: [CheckedContinuation<Int32, Never>] = []
    }

    public let announcement: Announcement
    public let administratorToken: String
    /// Holds the data directory and the log, `serve.log`.
    public let directory: URL
    private let state: Termination

    /// Shared with the termination handler, which runs on a queue of its own.
    private final class Termination: Sendable {
        let state = Mutex(State())

        func end(_ status: Int32) {
            let waiters = state.withLock { state in
                state.status = status
                defer { state.waiters = [] }
                return state.waiters
            }
            for waiter in waiters { waiter.resume(returning: status) }
        }
    }

    private init(announcement: Announcement, administratorToken: String, directory: URL, state: Termination) {
        self.announcement = announcement
        self.administratorToken = administratorToken
        self.directory = directory
        self.state = state
    }

    /// Starts the platform and returns once it serves.
    ///
    /// The administrator's token is made at the first start in a directory and kept there for the scenario.
    /// - Parameter environment: added to this process's own.
    public static func start(
        binary: URL, configuration: URL, directory: URL, environment: [String: String] = [:],
        limit: Duration = .seconds(30)
    ) async throws -> PlatformProcess {
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let announce = directory.appendingPathComponent("announce.json")
        let token = directory.appendingPathComponent("administrator-token")
        let logFile = directory.appendingPathComponent("serve.log")
        try? FileManager.default.removeItem(at: announce)
        if !FileManager.default.fileExists(atPath: logFile.path) {
            _ = FileManager.default.createFile(atPath: logFile.path, contents: nil)
        }
        let log = try FileHandle(forWritingTo: logFile)
        try log.seekToEnd()
        let process = Process()
        process.executableURL = binary
        process.arguments = [
            "serve", "-f", configuration.path, "--announce", announce.path, "--administrator-token-file", token.path,
        ]
        process.currentDirectoryURL = directory
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = log
        process.standardError = log
        let termination = Termination()
        process.terminationHandler = { ended in
            let code = ended.terminationStatus
            termination.end(ended.terminationReason == .uncaughtSignal ? -code : code)
        }
        try process.run()
        let deadline = ContinuousClock.now.advanced(by: limit)
        while ContinuousClock.now < deadline {
            if let status = termination.state.withLock({ $0.status }) {
                throw ScenarioFailure("cloudwright ended with status \(status) at start:\n\(tail(of: logFile))")
            }
            if let data = try? Data(contentsOf: announce),
                let announcement = try? JSONDecoder().decode(Announcement.self, from: data)
            {
                let text = try String(contentsOf: token, encoding: .utf8)
                return PlatformProcess(
                    announcement: announcement,
                    administratorToken: text.trimmingCharacters(in: .whitespacesAndNewlines),
                    directory: directory, state: termination)
            }
            try await Task.sleep(for: .milliseconds(10))
        }
        process.terminate()
        throw ScenarioFailure("cloudwright does not serve after \(limit):\n\(tail(of: logFile))")
    }

    /// Sends a signal; the process may be gone already.
    public func signal(_ number: Int32) { kill(announcement.processID, number) }

    /// The exit status, or minus the number of the signal that ended it.
    public func exitStatus() async -> Int32 {
        await withCheckedContinuation { continuation in
            let status: Int32? = state.state.withLock { state in
                if state.status == nil { state.waiters.append(continuation) }
                return state.status
            }
            if let status { continuation.resume(returning: status) }
        }
    }

    /// Asks the platform to stop and waits until it has.
    @discardableResult
    public func stop() async -> Int32 {
        signal(SIGTERM)
        return await exitStatus()
    }

    /// Ends the platform as a power cut would, and waits until it is gone.
    public func crash() async {
        signal(SIGKILL)
        _ = await exitStatus()
    }

    public var log: String { Self.tail(of: directory.appendingPathComponent("serve.log")) }

    private static func tail(of file: URL) -> String {
        let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").suffix(40).joined(separator: "\n")
    }
}

/// Why a scenario did not happen as it should.
public struct ScenarioFailure: Error, CustomStringConvertible, Sendable {
    public let description: String

    public init(_ description: String) { self.description = description }
}
