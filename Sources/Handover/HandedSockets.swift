import Glibc
import Synchronization

/// Listening sockets that came from the process before this one, by name. Each is taken once; several of one name are
/// taken in the order in which they were given.
public final class HandedSockets: Sendable {
    private let sockets: Mutex<[String: [Int32]]>

    public init(_ sockets: [(name: String, descriptor: Int32)] = []) {
        wereGiven = !sockets.isEmpty
        self.sockets = Mutex(
            Dictionary(grouping: sockets, by: { $0.name }).mapValues { named in named.map { $0.descriptor } })
    }

    /// Whether there were any.
    public let wereGiven: Bool

    /// The descriptor becomes the caller's; nil where there is none of that name.
    public func take(_ name: String) -> Int32? {
        sockets.withLock { sockets in
            guard let first = sockets[name]?.first else { return nil }
            sockets[name]?.removeFirst()
            return first
        }
    }

    /// Closes those that nobody has taken: what they were for is not in the configuration any more.
    public func closeRest() {
        let rest = sockets.withLock { sockets in
            defer { sockets = [:] }
            return sockets.values.flatMap { $0 }
        }
        for descriptor in rest { close(descriptor) }
    }
}
