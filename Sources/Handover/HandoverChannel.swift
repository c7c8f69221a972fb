import CHandover
public import CloudModel
import Foundation
import Glibc
import Synchronization

/// What the process that serves and the one that takes over from it tell each other, in this order.
public enum HandoverMessage: Codable, Hashable, Sendable {
    /// The new process has read its configuration and can take over.
    case prepared
    /// The new process cannot take over, and why.
    case refused(reason: String)
    /// Listening sockets by name; their descriptors come with the message, in the same order.
    case sockets([String])
    /// The old process holds nothing of the data directory any more, and decides nothing.
    case released
    /// The new process serves.
    case serving
}

/// One end of the channel between the two processes.
public final class HandoverChannel: Sendable {
    private let descriptor: Mutex<Int32>
    private static let capacity = 1 << 16

    /// The descriptor becomes the channel's own.
    public init(descriptor: Int32) { self.descriptor = Mutex(descriptor) }

    deinit { close() }

    /// Two ends that are connected.
    public static func pair() throws(HandoverError) -> (HandoverChannel, HandoverChannel) {
        var ends: [Int32] = [-1, -1]
        let result = handover_pair(&ends)
        guard result == 0 else { throw HandoverError("no channel to another process: \(reason(result))") }
        return (HandoverChannel(descriptor: ends[0]), HandoverChannel(descriptor: ends[1]))
    }

    public func close() {
        descriptor.withLock { descriptor in
            if descriptor >= 0 { Glibc.close(descriptor) }
            descriptor = -1
        }
    }

    /// The body must not keep the descriptor.
    func withDescriptor<Value>(_ body: (Int32) -> Value) -> Value { descriptor.withLock { body($0) } }

    /// - Parameter descriptors: at most `HANDOVER_DESCRIPTORS`; they stay open here as well.
    public func send(_ message: HandoverMessage, descriptors: [Int32] = []) throws(HandoverError) {
        guard let bytes = try? JSONEncoder().encode(message), bytes.count <= Self.capacity else {
            throw HandoverError("a message to the other process is too large")
        }
        let result = withDescriptor { channel in
            bytes.withUnsafeBytes { bytes in
                handover_send(channel, bytes.baseAddress, bytes.count, descriptors, Int32(descriptors.count))
            }
        }
        guard result == 0 else { throw HandoverError("the other process cannot be told: \(reason(result))") }
    }

    /// The next message, with the descriptors that it carries: they are the caller's.
    public func receive(
        within limit: TimeSpan
    ) async throws(HandoverError) -> (message: HandoverMessage, descriptors: [Int32]) {
        // The channel's number is kept: the lock is not held while waiting.
        let channel = withDescriptor { $0 }
        let result: Result<(HandoverMessage, [Int32]), HandoverError> = await withCheckedContinuation { continuation in
            // Waits for long: on a thread of its own.
            Thread.detachNewThread { continuation.resume(returning: Self.next(of: channel, within: limit)) }
        }
        return try result.get()
    }

    private static func next(
        of channel: Int32, within limit: TimeSpan
    ) -> Result<(HandoverMessage, [Int32]), HandoverError> {
        var bytes = [UInt8](repeating: 0, count: capacity)
        var descriptors = [Int32](repeating: -1, count: Int(HANDOVER_DESCRIPTORS))
        var count: Int32 = 0
        let milliseconds = Int32(clamping: limit.millisecondsRoundedUp)
        let length = handover_receive(channel, &bytes, capacity, &descriptors, &count, milliseconds)
        if length == -Int(ETIMEDOUT) {
            return .failure(HandoverError("the other process says nothing for \(limit.microseconds / 1_000_000) s"))
        }
        guard length >= 0 else { return .failure(HandoverError("the other process: \(reason(Int32(length)))")) }
        guard length > 0 else { return .failure(HandoverError("the other process has ended; its log says why")) }
        let own = Array(descriptors[..<Int(count)])
        do {
            return .success((try JSONDecoder().decode(HandoverMessage.self, from: Data(bytes[..<length])), own))
        } catch {
            for descriptor in own { Glibc.close(descriptor) }
            return .failure(HandoverError("the other process says what is not understood; are both this program's?"))
        }
    }
}

/// Why the platform could not pass from one process to the other.
public struct HandoverError: Error, Hashable, Sendable, CustomStringConvertible {
    public var description: String

    public init(_ description: String) { self.description = description }
}

func reason(_ result: Int32) -> String { String(cString: strerror(-result)) }
