import Foundation
import Glibc
import Synchronization

/// An HTTP server on 127.0.0.1 that keeps what is posted to it and answers in the given order; the last answer goes on.
final class Collector: Sendable {
    struct Post: Sendable {
        var target: String
        var fields: [String: String]
        var body: Data
    }

    let port: UInt16
    private let descriptor: Int32
    private let state: Mutex<(posts: [Post], answers: [(status: Int, body: String)])>

    init(_ answers: [(status: Int, body: String)] = [(200, "{}")]) throws {
        state = Mutex(([], answers))
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = descriptor
        let done = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
                    && listen(descriptor, 16) == 0
            }
        }
        guard done else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
        port = UInt16(bigEndian: address.sin_port)
        Thread.detachNewThread { [self] in
            while true {
                let accepted = accept(descriptor, nil, nil)
                guard accepted >= 0 else { break }
                Thread.detachNewThread { [self] in
                    while let post = Self.read(accepted) { Self.write(answer(post), to: accepted) }
                    Glibc.close(accepted)
                }
            }
            Glibc.close(descriptor)
        }
    }

    var endpoint: String { "http://127.0.0.1:\(port)" }
    var posts: [Post] { state.withLock { $0.posts } }

    func close() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// As soon as there are so many; fails after thirty seconds.
    func posts(_ count: Int) async throws -> [Post] {
        let deadline = ContinuousClock.now + .seconds(30)
        while posts.count < count {
            guard ContinuousClock.now < deadline else { throw POSIXError(.ETIMEDOUT) }
            try await Task.sleep(for: .milliseconds(5))
        }
        return posts
    }

    private func answer(_ post: Post) -> String {
        state.withLock { state in
            state.posts.append(post)
            let answer = state.answers.count > 1 ? state.answers.removeFirst() : state.answers[0]
            return "HTTP/1.1 \(answer.status) Whatever\r\ncontent-type: application/json\r\n"
                + "content-length: \(answer.body.utf8.count)\r\n\r\n\(answer.body)"
        }
    }

    private static func read(_ connection: Int32) -> Post? {
        var head: [UInt8] = []
        var byte: UInt8 = 0
        while !head.suffix(4).elementsEqual("\r\n\r\n".utf8) {
            guard recv(connection, &byte, 1, 0) == 1 else { return nil }
            head.append(byte)
        }
        let lines = String(decoding: head, as: UTF8.self).split(separator: "\r\n").map(String.init)
        var fields: [String: String] = [:]
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            fields[parts[0].lowercased()] = parts.count == 2 ? parts[1].trimmingCharacters(in: .whitespaces) : ""
        }
        var body = Data()
        let length = Int(fields["content-length"] ?? "") ?? 0
        while body.count < length, recv(connection, &byte, 1, 0) == 1 { body.append(byte) }
        return Post(target: lines.first ?? "", fields: fields, body: body)
    }

    private static func write(_ text: String, to connection: Int32) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
}
