import CHandover
public import CloudModel
import Glibc

/// The process that served until now, as the one sees it that takes over.
public struct Predecessor: Sendable {
    private let channel: HandoverChannel

    /// How long it may take to give up what it holds.
    private static let patience = TimeSpan.seconds(120)

    init(_ channel: HandoverChannel) { self.channel = channel }

    /// Nil where this process was not started by another to take over from it. What it started does not hear of it.
    public static func ofThisProcess() -> Predecessor? {
        guard let text = getenv(Successor.variable).map({ String(cString: $0) }), let descriptor = Int32(text),
            fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0
        else { return nil }
        unsetenv(Successor.variable)
        return Predecessor(HandoverChannel(descriptor: descriptor))
    }

    /// Says that this process can take over, and returns with the listening sockets once nobody holds the data
    /// directory any more.
    public func takeOver() async throws(HandoverError) -> HandedSockets {
        try channel.send(.prepared)
        var sockets: [(name: String, descriptor: Int32)] = []
        while true {
            let (message, descriptors) = try await channel.receive(within: Self.patience)
            switch message {
            case .sockets(let names) where names.count == descriptors.count:
                sockets += zip(names, descriptors).map { (name: $0, descriptor: $1) }
            case .released: return HandedSockets(sockets)
            case .sockets, .prepared, .refused, .serving:
                throw HandoverError("the process before this one says what it should not")
            }
        }
    }

    /// Says that this process serves: the other one accepts nothing any more.
    public func serves() throws(HandoverError) {
        try channel.send(.serving)
        channel.close()
    }

    /// Says why this process cannot take over.
    public func refuse(_ reason: String) {
        try? channel.send(.refused(reason: reason))
        channel.close()
    }
}

/// What systemd is told of this process; see sd_notify(3).
public enum ServiceNotification {
    /// From now on this process is the service's main one. Nothing where systemd did not start the service.
    public static func becomesMainProcess() throws(HandoverError) {
        guard let address = getenv("NOTIFY_SOCKET").map({ String(cString: $0) }) else { return }
        let result = handover_notify(address, "MAINPID=\(getpid())\nREADY=1")
        guard result == 0 else { throw HandoverError("systemd cannot be told: \(reason(result))") }
    }
}
