import CloudModel
import CloudPorts
import Synchronization
import WebSocketFrames

/// One administrator at one virtual server's console, from its opening to its end.
final class ConsoleSession: Sendable {
    enum Kind: String, Hashable, Sendable { case console, display }

    enum End: Hashable, Sendable {
        case closed
        case takenOver(by: String)
        /// The virtual server has stopped or moved, or its host does not answer.
        case serverGone
        /// The token or session has ended.
        case notAllowed
        /// Nothing was heard from the client.
        case silent
        case platformStops

        var code: UInt16 {
            switch self {
            case .closed: WebSocketCloseCode.normal
            case .takenOver, .notAllowed: WebSocketCloseCode.policy
            case .serverGone, .silent, .platformStops: WebSocketCloseCode.goingAway
            }
        }

        /// For people; short, since a close frame has little room.
        var reason: String {
            switch self {
            case .closed: "closed"
            case .takenOver(let name): "'\(name.prefix(64))' has taken it over"
            case .serverGone: "the virtual server has stopped or moved"
            case .notAllowed: "the token or session has ended"
            case .silent: "nothing was heard from the client"
            case .platformStops: "the platform is stopping"
            }
        }
    }

    private struct State {
        var end: End?
        var line: (any ConsoleLine)?
        var received = 0
        var sent = 0
    }

    let kind: Kind
    let instance: InstanceID
    let actor: String
    let openedAt: Timestamp
    private let state = Mutex(State())

    init(_ kind: Kind, of instance: InstanceID, actor: String, openedAt: Timestamp) {
        self.kind = kind
        self.instance = instance
        self.actor = actor
        self.openedAt = openedAt
    }

    /// Why it ended; the first reason counts.
    var end: End { state.withLock { $0.end ?? .closed } }
    /// Octets to the virtual server and from it.
    var octets: (typed: Int, said: Int) { state.withLock { ($0.received, $0.sent) } }

    func end(_ reason: End) {
        let line = state.withLock { state in
            if state.end == nil { state.end = reason }
            return state.line
        }
        if let line { Task { await line.close() } }
    }

    /// Carries octets both ways until one side ends, each only as fast as the other takes them.
    /// - Parameter watch: returns when the session has to end for another reason.
    func carry(
        _ line: any ConsoleLine, _ socket: WebSocketConnection, watch: @escaping @Sendable () async -> End?
    ) async {
        let hasEnded = state.withLock { state in
            state.line = line
            return state.end != nil
        }
        if !hasEnded {
            await withTaskGroup(of: End?.self) { group in
                group.addTask { await self.carryOut(line, socket) }
                group.addTask { await self.carryIn(line, socket) }
                group.addTask { await watch() }
                if let first = await group.next(), let first { end(first) }
                await line.close()
                await socket.close(code: end.code, reason: end.reason)
                group.cancelAll()
            }
        }
        await line.close()
        await socket.close(code: end.code, reason: end.reason)
    }

    private func carryOut(_ line: any ConsoleLine, _ socket: WebSocketConnection) async -> End {
        while let bytes = await line.receive() {
            do { try await socket.send(.data(bytes)) } catch { return .closed }
            state.withLock { $0.sent += bytes.count }
        }
        return .serverGone
    }

    private func carryIn(_ line: any ConsoleLine, _ socket: WebSocketConnection) async -> End {
        while let bytes = await socket.receive() {
            do { try await line.send(bytes) } catch { return .serverGone }
            state.withLock { $0.received += bytes.count }
        }
        return .closed
    }
}
