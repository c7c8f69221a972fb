import CLibvirt
import CloudModel
import CloudPorts
import Synchronization

extension LibvirtHypervisor {
    func openConsole(
        _ server: VirtualServerID, takingOver: Bool
    ) async throws(HypervisorError) -> any ConsoleLine {
        let line = try await call { connection, _ throws(HypervisorError) in
            try LibvirtConsoleLine.open(server, takingOver: takingOver, connection)
        }
        lines.withLock { lines in
            lines.removeAll { $0.line?.hasEnded ?? true }
            lines.append(WeakLine(line: line))
        }
        return line
    }

    /// libvirt does not tell streams that their connection is gone.
    func endLines() {
        let open = lines.withLock { lines in
            defer { lines = [] }
            return lines.compactMap(\.line)
        }
        for line in open { line.end() }
    }
}

struct WeakLine: Sendable {
    weak var line: LibvirtConsoleLine?
}

/// A serial console over a stream of libvirt, which goes wherever the connection goes.
///
/// The stream is read and written on libvirt's event thread, as its events say, and only as far as the buffers have
/// room; those who wait for a buffer are waiting tasks.
final class LibvirtConsoleLine: ConsoleLine {
    private struct State: @unchecked Sendable {
        /// Nil once it has ended.
        var stream: OpaquePointer?
        var incoming: [UInt8] = []
        var outgoing: [UInt8] = []
        var reader: CheckedContinuation<Void, Never>?
        var writers: [CheckedContinuation<Void, Never>] = []
    }

    private let state: Mutex<State>

    private init(_ stream: OpaquePointer) { state = Mutex(State(stream: stream)) }

    deinit { end() }

    static func open(
        _ server: VirtualServerID, takingOver: Bool, _ connection: OpaquePointer
    ) throws(HypervisorError) -> LibvirtConsoleLine {
        let domain = try LibvirtDomain.named(server, connection)
        guard try domain.isActive("opening the console of \(server)") else {
            throw HypervisorError(.invalidState, "\(server) does not run")
        }
        guard let stream = virStreamNew(connection, VIR_STREAM_NONBLOCK.rawValue) else {
            throw .last("opening the console of \(server)")
        }
        let flags = takingOver ? VIR_DOMAIN_CONSOLE_FORCE.rawValue : VIR_DOMAIN_CONSOLE_SAFE.rawValue
        guard virDomainOpenConsole(domain.handle, nil, stream, flags) == 0 else {
            let error = HypervisorError.last("opening the console of \(server)")
            virStreamFree(stream)
            // libvirt has no number of its own for it.
            guard error.message.contains("Active console session") else { throw error }
            throw HypervisorError(.conflict, "the console of \(server) is open elsewhere already")
        }
        let line = LibvirtConsoleLine(stream)
        let context = Unmanaged.passRetained(LineBox(line)).toOpaque()
        guard virStreamEventAddCallback(stream, Self.wanted(Self.readable), Self.happened, context, Self.release) == 0
        else {
            let error = HypervisorError.last("opening the console of \(server)")
            Self.release(context)
            line.end()
            throw error
        }
        return line
    }

    // MARK: The port

    var hasEnded: Bool { state.withLock { $0.stream == nil } }

    func receive() async -> [UInt8]? {
        while true {
            let (found, isOver) = state.withLock { state in
                defer { state.incoming = [] }
                return (state.incoming, state.stream == nil)
            }
            if !found.isEmpty {
                listen()
                return found
            }
            if isOver { return nil }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let goesOn = state.withLock { state in
                        guard state.stream != nil, state.incoming.isEmpty, state.reader == nil else { return true }
                        state.reader = continuation
                        return false
                    }
                    if goesOn { continuation.resume() }
                }
            } onCancel: {
                end()
            }
        }
    }

    func send(_ bytes: [UInt8]) async throws(HypervisorError) {
        var rest = bytes[...]
        while true {
            let taken: Int? = state.withLock { state in
                guard state.stream != nil else { return nil }
                let count = min(rest.count, ConsoleLimits.bufferBytes - state.outgoing.count)
                state.outgoing += rest.prefix(count)
                return count
            }
            guard let taken else { throw HypervisorError(.invalidState, "the console has been closed") }
            rest = rest.dropFirst(taken)
            listen()
            if rest.isEmpty { return }
            await withCheckedContinuation { continuation in
                let goesOn = state.withLock { state in
                    guard state.stream != nil, state.outgoing.count == ConsoleLimits.bufferBytes else { return true }
                    state.writers.append(continuation)
                    return false
                }
                if goesOn { continuation.resume() }
            }
        }
    }

    func close() async { end() }

    // MARK: The stream

    private static let readable = Int32(VIR_STREAM_EVENT_READABLE.rawValue)
    private static let writable = Int32(VIR_STREAM_EVENT_WRITABLE.rawValue)
    private static let over = Int32(VIR_STREAM_EVENT_ERROR.rawValue | VIR_STREAM_EVENT_HANGUP.rawValue)
    /// What libvirt answers to a stream that would have to wait.
    private static let mustWait: Int32 = -2

    private static func wanted(_ events: Int32) -> Int32 { events | over }

    /// Asks for the events that there is room or something for.
    private func listen() {
        let (stream, events) = state.withLock { state -> (OpaquePointer?, Int32) in
            guard let stream = state.stream, virStreamRef(stream) == 0 else { return (nil, 0) }
            return (
                stream,
                (state.incoming.count < ConsoleLimits.bufferBytes ? Self.readable : 0)
                    | (state.outgoing.isEmpty ? 0 : Self.writable)
            )
        }
        guard let stream else { return }
        virStreamEventUpdateCallback(stream, Self.wanted(events))
        virStreamFree(stream)
    }

    private static let happened: virStreamEventCallback = { stream, events, context in
        guard let stream, let line = LineBox.of(context) else { return }
        var isOver = events & over != 0
        if events & writable != 0, !line.flush(stream) { isOver = true }
        if events & readable != 0 || isOver, !line.fill(stream) { isOver = true }
        if isOver { line.end() } else { line.listen() }
    }

    /// Takes what there is, as far as there is room. False where the stream has ended.
    private func fill(_ stream: OpaquePointer) -> Bool {
        var piece = [CChar](repeating: 0, count: 16_384)
        while true {
            let room = state.withLock { ConsoleLimits.bufferBytes - $0.incoming.count }
            guard room > 0 else { return true }
            let count = virStreamRecv(stream, &piece, min(piece.count, room))
            guard count != Self.mustWait else { return true }
            guard count > 0 else { return false }
            let reader = state.withLock { state in
                state.incoming += piece.prefix(Int(count)).map { UInt8(bitPattern: $0) }
                defer { state.reader = nil }
                return state.reader
            }
            reader?.resume()
        }
    }

    /// Gives what waits. False where the stream has ended.
    private func flush(_ stream: OpaquePointer) -> Bool {
        while true {
            let waiting = state.withLock { $0.outgoing.map { CChar(bitPattern: $0) } }
            guard !waiting.isEmpty else { return true }
            let count = virStreamSend(stream, waiting, waiting.count)
            guard count != Self.mustWait else { return true }
            guard count > 0 else { return false }
            let writers = state.withLock { state in
                state.outgoing.removeFirst(min(Int(count), state.outgoing.count))
                defer { state.writers = [] }
                return state.writers
            }
            for writer in writers { writer.resume() }
        }
    }

    func end() {
        let ended = state.withLock { state in
            let ended = state
            state.stream = nil
            state.reader = nil
            state.writers = []
            state.outgoing = []
            return ended
        }
        guard let stream = ended.stream else { return }
        ended.reader?.resume()
        for writer in ended.writers { writer.resume() }
        // It waits for the other side's answer: not on libvirt's event thread, which has to take that.
        let stale = StaleStream(stream)
        if !BlockingCalls.startThread({ stale.end() }) { stale.end() }
    }

    private static let release: virFreeCallback = { context in
        if let context { Unmanaged<LineBox>.fromOpaque(context).release() }
    }

    /// Does not keep the line: whoever opened it does.
    private final class LineBox: Sendable {
        private let line: WeakLine
        init(_ line: LibvirtConsoleLine) { self.line = WeakLine(line: line) }

        static func of(_ context: UnsafeMutableRawPointer?) -> LibvirtConsoleLine? {
            context.flatMap { Unmanaged<LineBox>.fromOpaque($0).takeUnretainedValue().line.line }
        }
    }

    /// The only one that has the handle by then.
    private struct StaleStream: @unchecked Sendable {
        let stream: OpaquePointer
        init(_ stream: OpaquePointer) { self.stream = stream }

        func end() {
            virStreamEventRemoveCallback(stream)
            virStreamAbort(stream)
            virStreamFree(stream)
        }
    }
}
