public import CloudModel
public import CloudPorts
import Foundation

/// Fences by running a program of the operator's or of the cluster community's (fence-agents).
public struct FencingProgram: Fencing {
    /// Power devices take their time; one that takes longer has failed.
    public let timeout: TimeSpan

    private let permission: any ActionFence

    public init(timeout: TimeSpan = .seconds(60), permission: any ActionFence = NoActionFence()) {
        self.timeout = timeout
        self.permission = permission
    }

    public func fence(_ host: PhysicalServerID, command: [String]) async -> String? {
        let words = command.map { $0.replacingOccurrences(of: "{host}", with: host.rawValue) }
        guard let program = words.first else { return "there is no program" }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = Array(words.dropFirst())
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        let ended = AsyncStream.makeStream(of: Void.self)
        process.terminationHandler = { _ in ended.continuation.finish() }
        do {
            guard try permission.perform({ _ in try process.run() }) != nil else { return FencingObstacle.notPermitted }
        } catch { return "\(program) cannot be run: \(error.localizedDescription)" }
        let span = timeout
        let processID = process.processIdentifier
        return await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                guard (try? await Task.sleep(for: .microseconds(span.microseconds))) != nil else { return false }
                kill(processID, SIGKILL)
                return true
            }
            for await _ in ended.stream {}
            group.cancelAll()
            if await group.next() == true { return "\(program) did not end within \(span.text)" }
            return process.terminationReason == .exit && process.terminationStatus == 0
                ? nil : "\(program) ended with \(process.terminationStatus)"
        }
    }
}
