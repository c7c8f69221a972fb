import CloudModel
import Foundation
import Glibc
import Synchronization

/// A listener on 127.0.0.1 that does with each connection what the test says, on a thread of its own.
final class ScriptedServer: Sendable {
    let endpoint: Endpoint
    private let listener: Int32
    private let accepted = Atomic(0)
    private let connections = Mutex<[Int32]>([])

    var acceptedCount: Int { accepted.load(ordering: .acquiring) }

    /// With `answer` nil nothing is ever accepted.
    init(backlog: Int32 = 1_024, answer: (@Sendable (Int32) -> Void)?) throws {
        let (descriptor, port) = try Self.bound()
        listener = descriptor
        endpoint = Endpoint(address: "127.0.0.1", port: port)
        guard listen(listener, backlog) == 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
        guard let answer else { return }
        Thread.detachNewThread { [weak self, listener] in
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0, let self else { return }
                self.accepted.add(1, ordering: .acquiringAndReleasing)
                self.connections.withLock { $0.append(connection) }
                Thread.detachNewThread { answer(connection) }
            }
        }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
        for connection in connections.withLock({ $0 }) { close(connection) }
    }

    /// A port that was free a moment ago and that nobody listens on.
    static func closedPort() throws -> UInt16 {
        let (descriptor, port) = try bound()
        close(descriptor)
        return port
    }

    private static func bound() throws -> (Int32, UInt16) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let done = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard done else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
        return (descriptor, UInt16(bigEndian: address.sin_port))
    }

    /// Reads up to the empty line behind a request's head.
    static func readHead(_ connection: Int32) -> String {
        var bytes: [UInt8] = []
        var byte: UInt8 = 0
        while !bytes.suffix(4).elementsEqual("\r\n\r\n".utf8), recv(connection, &byte, 1, 0) == 1 { bytes.append(byte) }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func write(_ text: String, to connection: Int32) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    static func finish(_ connection: Int32) { shutdown(connection, Int32(SHUT_RDWR)) }

    /// Answers every connection with this text and ends it.
    static func answering(_ text: String) throws -> ScriptedServer {
        try ScriptedServer { connection in
            _ = readHead(connection)
            write(text, to: connection)
            finish(connection)
        }
    }
}
