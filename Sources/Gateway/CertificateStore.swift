import CGateway
import CloudModel
import Glibc
import Synchronization

/// The certificates of the listeners as they were last read from their files.
final class CertificateStore: Sendable {
    /// By listener; nil where there is no TLS.
    let ticketKeys: [TicketKeys?]
    private let settings: [ListenerTLS?]
    /// As ALPN names them (RFC 7301), the preferred first.
    private let protocols: [String]
    private let state: Mutex<State>

    private struct State {
        var contexts: [TLSContext?]
        /// What the files looked like when they were last tried, successfully or not.
        var tried: [FileStamp]
    }

    /// Reads all of them; throws what is wrong with the first that cannot be used.
    init(listeners: [GatewayListener], speaksHTTP2: Bool) throws(GatewayError) {
        protocols = speaksHTTP2 ? ["h2", "http/1.1"] : ["http/1.1"]
        settings = listeners.map(\.tls)
        var keys: [TicketKeys?] = []
        for tls in settings { keys.append(tls == nil ? nil : try TicketKeys()) }
        ticketKeys = keys
        let stamps = Self.stamps(settings)
        state = Mutex(State(contexts: try Self.read(settings, keys, protocols), tried: stamps))
    }

    var current: [TLSContext?] { state.withLock { $0.contexts } }

    var expiry: Int64? { current.compactMap { $0?.expiry }.min() }

    /// The contexts from the files as they are now; nil where `onlyIfChanged` and nothing has.
    func reload(onlyIfChanged: Bool) throws(GatewayError) -> [TLSContext?]? {
        try state.withLock { state throws(GatewayError) in
            let stamps = Self.stamps(settings)
            if onlyIfChanged, stamps == state.tried { return nil }
            // Noted before reading: a file that is replaced meanwhile differs next time, and so does the other half of
            // a pair that did not fit.
            state.tried = stamps
            state.contexts = try Self.read(settings, ticketKeys, protocols)
            return state.contexts
        }
    }

    private static func read(
        _ settings: [ListenerTLS?], _ keys: [TicketKeys?], _ protocols: [String]
    ) throws(GatewayError) -> [TLSContext?] {
        var contexts: [TLSContext?] = []
        for (tls, keys) in zip(settings, keys) {
            if let tls, let keys {
                contexts.append(try TLSContext.accepting(tls, keys: keys, protocols: protocols))
            } else {
                contexts.append(nil)
            }
        }
        return contexts
    }

    private static func stamps(_ settings: [ListenerTLS?]) -> [FileStamp] {
        settings.flatMap { FileStamp.stamps(of: $0) }
    }
}

/// What connections to one service's instances are made with, from one snapshot to the next.
struct InstanceContext: Sendable {
    private(set) var context: TLSContext?
    private var settings: InstanceTLS?
    private var tried: [FileStamp] = []

    /// Made anew where the settings or the files have changed. One that cannot be made is told to `warn`, and leaves
    /// none, or the one before where only the files have changed.
    ///
    /// - Parameter protocols: what is offered as spoken within (ALPN).
    mutating func update(
        to wanted: InstanceTLS?, protocols: [String], of service: ServiceID,
        warn: (ServiceID, GatewayError) -> Void
    ) {
        let files = [wanted?.authorityFile, wanted?.certificate?.certificateFile, wanted?.certificate?.keyFile]
        let stamps = files.compactMap { $0 }.map { FileStamp(of: $0) }
        guard wanted != settings || stamps != tried else { return }
        if wanted != settings { context = nil }
        settings = wanted
        tried = stamps
        guard let wanted else { return }
        do throws(GatewayError) {
            context = try TLSContext.connecting(wanted, protocols: protocols)
        } catch {
            warn(service, error)
        }
    }
}

/// What shows that a file is another than before; all zero where there is none.
struct FileStamp: Equatable {
    private var inode: UInt64 = 0
    private var size: Int64 = 0
    private var seconds: Int = 0
    private var nanoseconds: Int = 0

    /// Of all files that a listener's certificates are in.
    static func stamps(of tls: ListenerTLS?) -> [FileStamp] {
        guard let tls else { return [] }
        let files = tls.certificates.flatMap { [$0.certificateFile, $0.keyFile] }
        return (files + [tls.clientCertificates?.authorityFile].compactMap { $0 }).map { FileStamp(of: $0) }
    }

    init(of path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return }
        inode = UInt64(status.st_ino)
        size = Int64(status.st_size)
        seconds = status.st_mtim.tv_sec
        nanoseconds = status.st_mtim.tv_nsec
    }
}
