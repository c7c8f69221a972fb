public import CloudModel
public import CloudPorts
import Synchronization

/// A console that says what a test has it say, and keeps what is typed. It takes what is typed only while it is open.
public final class PlainLine: ConsoleLine {
    private struct State {
        var typed: [UInt8] = []
        var isOpen = true
    }

    private let state = Mutex(State())
    private let output: AsyncStream<[UInt8]>
    private let said: AsyncStream<[UInt8]>.Continuation

    init() { (output, said) = AsyncStream.makeStream(of: [UInt8].self) }

    public func say(_ text: String) { said.yield(Array(text.utf8)) }
    public var typed: String { state.withLock { String(decoding: $0.typed, as: UTF8.self) } }
    public var isOpen: Bool { state.withLock { $0.isOpen } }

    public func receive() async -> [UInt8]? {
        for await bytes in output { return bytes }
        return nil
    }

    public func send(_ bytes: [UInt8]) async throws(HypervisorError) {
        let isTaken = state.withLock { state in
            if state.isOpen { state.typed += bytes }
            return state.isOpen
        }
        guard isTaken else { throw HypervisorError(.invalidState, "the console has been closed") }
    }

    public func close() async {
        state.withLock { $0.isOpen = false }
        said.finish()
    }
}
