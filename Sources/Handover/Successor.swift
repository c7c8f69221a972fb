import CHandover
public import CloudModel
import Foundation
import Glibc

/// The process that takes over, as the one sees it that is there.
public struct Successor: Sendable {
    public let processID: Int32
    private let channel: HandoverChannel

    /// How the program that is started learns of the channel.
    static let variable = "CLOUDWRIGHT_HANDOVER"

    /// How long the new process may take to read its configuration.
    private static let preparation = TimeSpan.seconds(60)

    /// Starts the program, and returns once it says that it can take over.
    ///
    /// - Parameters:
    ///   - program: a path, or a name that is looked for in `PATH`.
    ///   - arguments: the first is the program's name as it sees it.
    public static func start(program: String, arguments: [String]) async throws(HandoverError) -> Successor {
        let (own, theirs) = try HandoverChannel.pair()
        let process = spawn(program, arguments, channel: theirs)
        theirs.close()
        guard process > 0 else { throw HandoverError("\(program) cannot be started: \(reason(process))") }
        let successor = Successor(processID: process, channel: own)
        do throws(HandoverError) {
            switch try await own.receive(within: preparation).message {
            case .prepared: return successor
            case .refused(let reason): throw HandoverError(reason)
            case .sockets, .released, .serving: throw HandoverError("\(program) does not begin as it should")
            }
        } catch {
            successor.end()
            throw error
        }
    }

    private static func spawn(_ program: String, _ arguments: [String], channel: HandoverChannel) -> Int32 {
        let arguments = arguments.map { strdup($0) } + [nil]
        let environment = currentEnvironment().map { strdup($0) } + [nil]
        defer { for text in arguments + environment { free(text) } }
        return channel.withDescriptor { handover_spawn(program, arguments, environment, $0) }
    }

    private static func currentEnvironment() -> [String] {
        var environment = ProcessInfo.processInfo.environment
        environment[variable] = "\(HANDOVER_DESCRIPTOR)"
        return environment.map { "\($0.key)=\($0.value)" }.sorted()
    }

    /// Gives it the listening sockets, which stay open here.
    public func give(_ sockets: [(name: String, descriptor: Int32)]) throws(HandoverError) {
        var rest = sockets[...]
        while !rest.isEmpty {
            let part = rest.prefix(Int(HANDOVER_DESCRIPTORS))
            rest = rest.dropFirst(part.count)
            try channel.send(.sockets(part.map { $0.name }), descriptors: part.map { $0.descriptor })
        }
    }

    /// Says that nothing of the data directory is held here any more.
    public func release() throws(HandoverError) { try channel.send(.released) }

    /// Returns once it serves.
    public func serves(within limit: TimeSpan) async throws(HandoverError) {
        switch try await channel.receive(within: limit).message {
        case .serving: return
        case .refused(let reason): throw HandoverError(reason)
        case .prepared, .sockets, .released: throw HandoverError("the new process says what it should not")
        }
    }

    /// Ends it, whatever it does.
    public func end() {
        kill(processID, SIGKILL)
        channel.close()
        // It is being killed: this does not last.
        while handover_has_ended(processID) == 0 { usleep(1_000) }
    }
}
