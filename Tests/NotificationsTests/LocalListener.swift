import Foundation
import Glibc
import Synchronization

/// A listener on 127.0.0.1 that gives each connection to the test, on a thread of its own, until it is closed.
final class LocalListener: Sendable {
    let port: UInt16
    private let descriptor: Int32
    private let open = Mutex<Set<Int32>>([])
    private let ended = DispatchSemaphore(value: 0)

    init(serve: @escaping @Sendable (Connection) -> Void) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = descriptor
        let done = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
                    && listen(descriptor, 64) == 0
            }
        }
        guard done else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
        port = UInt16(bigEndian: address.sin_port)
        Thread.detachNewThread { [self] in
            while true {
                let accepted = accept(descriptor, nil, nil)
                guard accepted >= 0 else { break }
                open.withLock { _ = $0.insert(accepted) }
                Thread.detachNewThread { [self] in
                    serve(Connection(descriptor: accepted))
                    open.withLock {
                        $0.remove(accepted)
                        Glibc.close(accepted)
                    }
                }
            }
            ended.signal()
        }
    }

    /// Closed by the test: it would otherwise end with its last mention, which may be before its last use. Descriptors
    /// are closed only when no thread of ours uses their numbers any more.
    func close() {
        shutdown(descriptor, Int32(SHUT_RDWR))
        ended.wait()
        Glibc.close(descriptor)
        open.withLock { for connection in $0 { shutdown(connection, Int32(SHUT_RDWR)) } }
    }
}

struct Connection: Sendable {
    let descriptor: Int32

    /// Up to and with the mark; nil where the connection ended before it.
    func read(through mark: String) -> String? {
        var bytes: [UInt8] = []
        var byte: UInt8 = 0
        while recv(descriptor, &byte, 1, 0) == 1 {
            bytes.append(byte)
            if bytes.suffix(mark.utf8.count).elementsEqual(mark.utf8) { return String(decoding: bytes, as: UTF8.self) }
        }
        return nil
    }

    func read(count: Int) -> Data {
        var data = Data()
        var byte: UInt8 = 0
        while data.count < count, recv(descriptor, &byte, 1, 0) == 1 { data.append(byte) }
        return data
    }

    func write(_ text: String) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    func finish() { shutdown(descriptor, Int32(SHUT_RDWR)) }
}

/// What was received, for the test to look at.
final class Received<Element: Sendable>: Sendable {
    private let elements = Mutex<[Element]>([])

    var all: [Element] { elements.withLock { $0 } }
    func append(_ element: Element) { elements.withLock { $0.append(element) } }
}

struct HTTPRequest: Sendable {
    var line: String
    /// By lower-case name.
    var headers: [String: String]
    var body: Data

    /// Reads requests and gives each the same answer.
    static func receiver(
        into received: Received<HTTPRequest>, answer: String = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
    ) throws -> LocalListener {
        try LocalListener { connection in
            while let head = connection.read(through: "\r\n\r\n") {
                let lines = head.components(separatedBy: "\r\n").filter { !$0.isEmpty }
                var headers: [String: String] = [:]
                for line in lines.dropFirst() {
                    let parts = line.split(separator: ":", maxSplits: 1)
                    headers[parts[0].lowercased()] = parts[1].trimmingCharacters(in: .whitespaces)
                }
                let body = connection.read(count: Int(headers["content-length"] ?? "0") ?? 0)
                received.append(HTTPRequest(line: lines[0], headers: headers, body: body))
                connection.write(answer)
                if !answer.contains("content-length") { return connection.finish() }
            }
        }
    }
}

/// A small SMTP server: takes what comes, with other replies where the test wants them.
struct SMTPReceiver: Sendable {
    struct Mail: Sendable {
        var from = ""
        var to: [String] = []
        var content = ""
        var login = ""
    }

    /// Replies by command (`RCPT`, `DATA`, `.`, `AUTH`, …) instead of the usual ones.
    var replies: [String: String] = [:]
    var extensions: [String] = ["8BITMIME"]

    func listen(into received: Received<Mail>) throws -> LocalListener {
        try LocalListener { connection in
            var mail = Mail()
            connection.write("220 test ESMTP\r\n")
            while let line = connection.read(through: "\r\n") {
                let command = String(line.prefix { $0 != " " && $0 != "\r\n" && $0 != "\r" }).uppercased()
                let usual = self.reply(to: command, line, &mail)
                if command == "AUTH", self.replies[command] == nil {
                    connection.write("334 \r\n")
                    mail.login += " " + (connection.read(through: "\r\n") ?? "").trimmingCharacters(in: .newlines)
                }
                connection.write((self.replies[command] ?? usual) + "\r\n")
                if command == "QUIT" { return connection.finish() }
                guard command == "DATA", self.replies[command] == nil else { continue }
                guard let text = connection.read(through: "\r\n.\r\n") else { return }
                // RFC 5321, section 4.5.2: the sender has doubled a full stop that begins a line.
                mail.content = String(text.dropLast(3)).replacingOccurrences(of: "\r\n..", with: "\r\n.")
                connection.write((self.replies["."] ?? "250 taken") + "\r\n")
                if self.replies["."] == nil { received.append(mail) }
            }
        }
    }

    private func reply(to command: String, _ line: String, _ mail: inout Mail) -> String {
        let argument = line.drop { $0 != ":" }.dropFirst().trimmingCharacters(in: .whitespacesAndNewlines)
        switch command {
        case "EHLO":
            let lines = ["test"] + extensions
            return lines.enumerated().map { $0 == lines.count - 1 ? "250 \($1)" : "250-\($1)" }.joined(
                separator: "\r\n")
        case "AUTH":
            mail.login = line.trimmingCharacters(in: .whitespacesAndNewlines)
            return "235 welcome"
        case "MAIL": mail.from = argument
        case "RCPT": mail.to.append(argument)
        case "DATA": return "354 go on"
        case "QUIT": return "221 bye"
        default: break
        }
        return "250 ok"
    }
}
