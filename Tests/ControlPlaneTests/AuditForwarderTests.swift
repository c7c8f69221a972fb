import AuditMonitor
import CloudModel
import CloudPorts
import ControlPlane
import Foundation
import LogDatabaseSQLite
import Logging
import Notifications
import Synchronization
import Testing

/// Forwarding to receivers on real sockets, which fail in the middle of what they are sent.
@Suite(.serialized)
struct AuditForwarderTests {
    private static let start = Timestamp(microseconds: 1_790_000_000_000_000)

    private final class Books: Sendable {
        let database: SQLiteLogDatabase
        private let directory: URL
        let clock = Mutex(AuditForwarderTests.start)

        init() throws {
            directory = FileManager.default.temporaryDirectory.appendingPathComponent("cloudwright-forward-\(UUID())")
            try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
            database = try SQLiteLogDatabase(path: directory.appendingPathComponent("log.sqlite").path)
        }

        func end() async {
            await database.close()
            try? FileManager.default.removeItem(at: directory)
        }

        func login(_ numbers: ClosedRange<UInt64>) async throws {
            for number in numbers {
                try await database.record(
                    AuditEvent(
                        requestID: RequestID(high: 7, low: number), observer: "gateway", service: "shop", consumer: nil,
                        principal: "p\(number) 雲", credentialKind: .password, credentialTag: nil,
                        sourceAddress: "192.0.2.1", userAgent: "test", method: "POST", path: "/login",
                        outcome: .failure, reason: "wrong password", status: 401,
                        receivedAt: AuditForwarderTests.start, forwardedAt: nil, respondedAt: AuditForwarderTests.start)
                )
            }
        }

        func forwarder(_ receiver: any LogReceiver, _ format: AuditExport, batch: Int = 10) -> AuditForwarder {
            var logger = Logger(label: "test")
            logger.logLevel = .critical
            return AuditForwarder(
                database: database, name: "siem", batch: batch, format: format, receiver: receiver, version: "1",
                now: { [self] in clock.withLock { $0 } }, logger: logger)
        }
    }

    /// Runs forwarders, each as after a restart, until the receiver has all of them.
    private func forward(
        _ books: Books, _ receiver: any LogReceiver, _ format: AuditExport, until isDone: @Sendable () -> Bool
    ) async throws {
        let deadline = Date(timeIntervalSinceNow: 60)
        while !isDone() {
            #expect(Date() < deadline, "everything arrives")
            guard Date() < deadline else { return }
            try await books.forwarder(receiver, format).forward()
        }
    }

    private func expected(_ numbers: ClosedRange<UInt64>) -> Set<String> {
        Set(numbers.map { RequestID(high: 7, low: $0).description })
    }

    @Test func webhookThatFailsAfterEachSecondListLosesNothing() async throws {
        let books = try Books()
        try await books.login(1...57)
        let received = Mutex<[String]>([])
        let calls = Mutex(0)
        let server = try TestReceiver { connection in
            guard let body = connection.readHTTPBody() else { return }
            let list = try? JSONSerialization.jsonObject(with: body) as? [[String: Any]]
            let ids = (list ?? []).compactMap { ($0["metadata"] as? [String: Any])?["uid"] as? String }
            let call = calls.withLock { calls in
                calls += 1
                return calls
            }
            // Refused before they were kept, or killed after it and before the answer.
            if call % 3 == 1 { return connection.write("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n") }
            received.withLock { $0 += ids }
            if call % 3 == 2 { return connection.reset() }
            connection.write("HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")
        }
        let wanted = expected(1...57)
        try await forward(
            books, WebhookReceiver(url: "http://127.0.0.1:\(server.port)/ocsf", tokenFile: nil), .ocsf
        ) { received.withLock { Set($0).isSuperset(of: wanted) } }
        #expect(received.withLock { Set($0) } == wanted)
        // What was answered is not sent again after a restart; what was not answered came twice.
        #expect(received.withLock { $0.count } > wanted.count)
        server.close()
        await books.end()
    }

    @Test func syslogReceiverThatIsKilledMidwayLosesNothing() async throws {
        let books = try Books()
        try await books.login(1...57)
        let kept = Mutex<[String]>([])
        let calls = Mutex(0)
        let server = try TestReceiver { connection in
            let call = calls.withLock { calls in
                calls += 1
                return calls
            }
            // Killed with the rest of the list unread.
            let limit = call % 2 == 1 ? 3 : Int.max
            while let message = connection.readOctetCounted() {
                #expect(message.hasPrefix("<84>1 2026-"))
                let id = message.firstMatch(of: /request="([^"]+)"/).map { String($0.1) }
                kept.withLock { kept in
                    kept.append(id ?? "")
                    if limit != Int.max, kept.count % 3 == 0 { connection.reset() }
                }
            }
        }
        let wanted = expected(1...57)
        try await forward(books, SyslogReceiver(host: "127.0.0.1", port: server.port), .syslog) {
            kept.withLock { Set($0).isSuperset(of: wanted) }
        }
        #expect(kept.withLock { Set($0) } == wanted)
        server.close()
        await books.end()
    }

    @Test func anOutageIsToldOnceAndItsEndIsRecorded() async throws {
        let books = try Books()
        try await books.login(1...3)
        let server = try TestReceiver { $0.reset() }
        let away = SyslogReceiver(host: "127.0.0.1", port: server.port)
        let forwarder = books.forwarder(away, .syslog)
        try await forwarder.forward()
        #expect(forwarder.health.hasPrefix("siem takes no events since 2026-"))
        books.clock.withLock { $0 = Self.start + .seconds(31) }
        try await forwarder.forward()
        // Another process does not tell of it again.
        let next = books.forwarder(away, .syslog)
        try await next.forward()
        books.clock.withLock { $0 = Self.start + .seconds(90) }
        try await next.forward()
        server.close()
        func kinds() async throws -> [String] {
            var query = EventQuery()
            query.kindPrefix = "audit.forward"
            return try await books.database.events(query).elements.map(\.kind)
        }
        #expect(try await kinds() == ["audit.forward.interrupted"])
        #expect(try await books.database.dueDeliveries(at: Self.start + .hours(1), limit: 10).count == 1)
        let back = try TestReceiver { while $0.readOctetCounted() != nil {} }
        let healed = books.forwarder(SyslogReceiver(host: "127.0.0.1", port: back.port), .syslog)
        try await healed.forward()
        #expect(healed.health == "ok")
        #expect(try await kinds() == ["audit.forward.interrupted", "audit.forward.resumed"])
        back.close()
        await books.end()
    }
}

/// A receiver on a port of 127.0.0.1, a connection at a time.
private final class TestReceiver: Sendable {
    let port: UInt16
    private let listener: Int32

    init(serve: @escaping @Sendable (TestConnection) -> Void) throws {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = listener
        let isListening = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 16) == 0 && getsockname(listener, $0, &length) == 0
            }
        }
        try #require(isListening)
        port = UInt16(bigEndian: address.sin_port)
        Thread.detachNewThread {
            while case let accepted = accept(listener, nil, nil), accepted >= 0 {
                let connection = TestConnection(descriptor: accepted)
                serve(connection)
                connection.end()
            }
            Foundation.close(listener)
        }
    }

    func close() { shutdown(listener, Int32(SHUT_RDWR)) }
}

private final class TestConnection: Sendable {
    private let descriptor: Int32
    private let isOpen = Mutex(true)

    init(descriptor: Int32) { self.descriptor = descriptor }

    private func byte() -> UInt8? {
        guard isOpen.withLock({ $0 }) else { return nil }
        var byte: UInt8 = 0
        return recv(descriptor, &byte, 1, 0) == 1 ? byte : nil
    }

    private func bytes(_ count: Int) -> [UInt8]? {
        var result: [UInt8] = []
        while result.count < count {
            guard let next = byte() else { return nil }
            result.append(next)
        }
        return result
    }

    /// Nil where the connection ended before or inside the next message.
    func readOctetCounted() -> String? {
        var length = ""
        while let next = byte() {
            if next == UInt8(ascii: " ") {
                return Int(length).flatMap(bytes).map { String(decoding: $0, as: UTF8.self) }
            }
            length.append(Character(UnicodeScalar(next)))
        }
        return nil
    }

    func readHTTPBody() -> Data? {
        var head = ""
        while !head.hasSuffix("\r\n\r\n") {
            guard let next = byte() else { return nil }
            head.append(Character(UnicodeScalar(next)))
        }
        let length = head.lowercased().firstMatch(of: /content-length: ([0-9]+)/).flatMap { Int($0.1) }
        return bytes(length ?? 0).map { Data($0) }
    }

    func write(_ text: String) { _ = send(descriptor, text, text.utf8.count, Int32(MSG_NOSIGNAL)) }

    /// As the kernel ends the connection of a process that is killed with octets unread.
    func reset() {
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Foundation.linger>.size))
        end()
    }

    func end() {
        isOpen.withLock { isOpen in
            if isOpen { close(descriptor) }
            isOpen = false
        }
    }
}
