import CloudModel
import Foundation
import Glibc
import HealthProbing
import Synchronization
import Testing

@Suite struct HealthProbesTests {
    private let probes = HealthProbes()

    private static func http(
        _ path: String = "/healthz", _ expected: ClosedRange<Int> = 200...299, timeout: TimeSpan = .seconds(10)
    ) -> HealthCheck {
        HealthCheck(probe: .http(path: path, expectedStatus: expected), timeout: timeout)
    }

    private func result(
        _ endpoint: Endpoint, _ check: HealthCheck
    ) async -> (failure: String?, took: Duration) {
        let start = ContinuousClock.now
        let failure = await probes.probe(endpoint, check)
        return (failure, ContinuousClock.now - start)
    }

    // MARK: TCP

    @Test func passesWhereTheConnectionIsAccepted() async throws {
        let server = try ScriptedServer { _ in }
        #expect(await probes.probe(server.endpoint, HealthCheck(timeout: .seconds(10))) == nil)
    }

    @Test(arguments: [HealthCheck(timeout: .seconds(10)), Self.http()])
    func saysThatItIsRefused(check: HealthCheck) async throws {
        let endpoint = Endpoint(address: "127.0.0.1", port: try ScriptedServer.closedPort())
        #expect(await probes.probe(endpoint, check) == "connection refused")
    }

    @Test func checksIPv6() async throws {
        let failure = await probes.probe(Endpoint(address: "::1", port: 1), HealthCheck(timeout: .seconds(10)))
        #expect(failure == "connection refused" || failure == "cannot connect: Cannot assign requested address")
    }

    @Test func endsInTimeWhereNobodyAccepts() async throws {
        // Connections beyond a full backlog get no answer at all.
        let server = try ScriptedServer(backlog: 0, answer: nil)
        let check = HealthCheck(timeout: .milliseconds(300))
        var failure: String?
        var took = Duration.zero
        for _ in 0..<8 {
            (failure, took) = await result(server.endpoint, check)
            if failure != nil { break }
        }
        #expect(failure == "timed out after 300 ms connecting")
        #expect(took >= .milliseconds(300) && took < .seconds(3))
    }

    @Test func connectsAnewWhereNobodyHeardTheFirstTime() async throws {
        let server = try ScriptedServer(backlog: 0, answer: nil)
        // Until the backlog is full, what is connected is accepted.
        for _ in 0..<8 where await probes.probe(server.endpoint, HealthCheck(timeout: .milliseconds(100))) == nil {}
        let (probes, endpoint) = (probes, server.endpoint)
        let outcome = Task { await probes.probe(endpoint, HealthCheck(timeout: .seconds(2))) }
        let hasEnded = Mutex(false)
        let watch = Task {
            var ports: Set<String> = []
            while !hasEnded.withLock({ $0 }) {
                ports.formUnion(Self.connecting(to: endpoint.port))
                try? await Task.sleep(for: .milliseconds(20))
            }
            return ports
        }
        #expect(await outcome.value == "timed out after 2000 ms connecting")
        hasEnded.withLock { $0 = true }
        // The system itself would repeat the packet of the same connection.
        // At once, and after 300 and 900 ms. The last of those before may still have been there.
        #expect(await watch.value.count >= 3)
    }

    /// The own ports of connections to it that nobody has answered yet.
    private static func connecting(to port: UInt16) -> Set<String> {
        guard let file = fopen("/proc/net/tcp", "r") else { return [] }
        defer { fclose(file) }
        // Read until there is no more: the kernel gives a page at a time, and Foundation takes the first for all.
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 65_536)
        while case let count = fread(&part, 1, part.count, file), count > 0 { bytes += part[..<count] }
        let all = String(decoding: bytes, as: UTF8.self)
        let remote = "0100007F:" + String(format: "%04X", port)
        return Set(
            all.split(separator: "\n").compactMap { line in
                let words = line.split(separator: " ")
                return words.count > 3 && words[2] == remote && words[3] == "02" ? String(words[1]) : nil
            })
    }

    // MARK: HTTP

    @Test func asksForThePathAndPassesOnTheStatus() async throws {
        let requests = Mutex<[String]>([])
        let server = try ScriptedServer { connection in
            let head = ScriptedServer.readHead(connection)
            requests.withLock { $0.append(head) }
            ScriptedServer.write("HTTP/1.1 204 No Content\r\n\r\n", to: connection)
            ScriptedServer.finish(connection)
        }
        #expect(await probes.probe(server.endpoint, Self.http("/ready?deep=1", 204...204)) == nil)
        let lines = requests.withLock { $0[0] }.components(separatedBy: "\r\n")
        #expect(lines.first == "GET /ready?deep=1 HTTP/1.1")
        #expect(lines.contains("Host: \(server.endpoint)"))
        #expect(lines.contains("Connection: close"))
    }

    struct Answer: Sendable {
        var text: String
        var failure: String?
    }

    static let answers: [Answer] = [
        Answer(text: "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", failure: nil),
        Answer(text: "HTTP/1.0 299 \r\n\r\n", failure: nil),
        Answer(
            text: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\na: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            failure: nil),
        Answer(text: "HTTP/1.1 503 Service Unavailable\r\n\r\n", failure: "status 503, expected 200...299"),
        Answer(
            text: "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/\r\n\r\n",
            failure: "status 302, expected 200...299"),
        Answer(text: "HTTP/1.1 100 Continue\r\n\r\n", failure: "closed in the middle of the response's head"),
        Answer(text: "HTTP/1.1 200 OK\r\n", failure: "closed in the middle of the response's head"),
        Answer(text: "", failure: "closed without a response"),
        Answer(text: "SSH-2.0-OpenSSH_9.2\r\n", failure: "not HTTP: \"SSH-2.0-OpenSSH_9.2\""),
        Answer(text: "HTTP/1.1 2000 OK\r\n\r\n", failure: "not HTTP: \"HTTP/1.1 2000 OK\""),
        Answer(text: "HTTP/1.1 099 OK\r\n\r\n", failure: "not HTTP: \"HTTP/1.1 099 OK\""),
        Answer(
            text: "HTTP/1.1 200 OK\r\na: " + String(repeating: "x", count: 20_000) + "\r\n\r\n",
            failure: "the response's head is longer than 16384 bytes"),
        Answer(text: "HTTP/1.1 200 OK\r\n\r\n" + String(repeating: "x", count: 2_000_000), failure: nil),
    ]

    @Test(arguments: 0..<answers.count) func judges(index: Int) async throws {
        let answer = Self.answers[index]
        let server = try ScriptedServer.answering(answer.text)
        #expect(await probes.probe(server.endpoint, Self.http()) == answer.failure)
    }

    @Test func endsInTimeWhereTheAnswerNeverComes() async throws {
        let server = try ScriptedServer { connection in _ = ScriptedServer.readHead(connection) }
        let (failure, took) = await result(server.endpoint, Self.http(timeout: .milliseconds(200)))
        #expect(failure == "timed out after 200 ms waiting for the response")
        #expect(took >= .milliseconds(200) && took < .seconds(3))
    }

    @Test func endsInTimeWhereTheHeadDrips() async throws {
        let server = try ScriptedServer { connection in
            _ = ScriptedServer.readHead(connection)
            ScriptedServer.write("HTTP/1.1 200 OK\r\n", to: connection)
            var byte = UInt8(ascii: "a")
            while send(connection, &byte, 1, Int32(MSG_NOSIGNAL)) == 1 { usleep(10_000) }
        }
        let (failure, took) = await result(server.endpoint, Self.http(timeout: .milliseconds(300)))
        #expect(failure == "timed out after 300 ms in the middle of the response's head")
        #expect(took < .seconds(3))
    }

    @Test func saysThatTheConnectionWasReset() async throws {
        let server = try ScriptedServer { connection in
            _ = ScriptedServer.readHead(connection)
            var linger = linger(l_onoff: 1, l_linger: 0)
            setsockopt(connection, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
            close(connection)
        }
        #expect(await probes.probe(server.endpoint, Self.http()) == "connection reset")
    }

    @Test(arguments: ["no-slash", "/with space", "/a\r\nX: y", "/caf\u{e9}"])
    func refusesAPathThatWouldNotBeOne(path: String) async throws {
        let server = try ScriptedServer.answering("HTTP/1.1 200 OK\r\n\r\n")
        let failure = await probes.probe(server.endpoint, Self.http(path))
        #expect(failure?.hasPrefix("the check's path") == true)
        #expect(server.acceptedCount == 0)
    }

    @Test func saysWhatIsWrongWithTheTarget() async {
        let name = await probes.probe(Endpoint(address: "localhost", port: 80), HealthCheck())
        #expect(name == "\"localhost\" is no IPv4 or IPv6 address")
        let timeout = await probes.probe(Endpoint(address: "127.0.0.1", port: 80), HealthCheck(timeout: .zero))
        #expect(timeout == "the check's timeout is 0 us; it must be positive")
    }

    // MARK: Many

    @Test func checksThousandsAtOnce() async throws {
        // A check takes a descriptor here and one at the server.
        let checks = min(2_000, (Self.openFilesAllowed() - 200) / 2 / 4 * 4)
        let server = try ScriptedServer.answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        let silent = try ScriptedServer { _ in }
        let failures = await withTaskGroup(of: String?.self) { group in
            for index in 0..<checks {
                group.addTask {
                    index % 4 == 0
                        ? await probes.probe(silent.endpoint, Self.http(timeout: .milliseconds(500)))
                        : await probes.probe(server.endpoint, Self.http(timeout: .seconds(60)))
                }
            }
            return await group.reduce(into: [String?]()) { $0.append($1) }
        }
        #expect(failures.filter { $0 == nil }.count == checks / 4 * 3)
        #expect(failures.compactMap { $0 }.allSatisfy { $0.hasPrefix("timed out after 500 ms") })
    }

    /// As many as the system lets this process have, which is more than a shell often gives (getrlimit(2)).
    private static func openFilesAllowed() -> Int {
        var limit = rlimit()
        let files = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard getrlimit(files, &limit) == 0 else { return 1_024 }
        limit.rlim_cur = limit.rlim_max
        _ = setrlimit(files, &limit)
        return Int(clamping: limit.rlim_cur)
    }

    @Test func neverHasMoreOpenThanItMay() async throws {
        let few = HealthProbes(maximumConcurrentChecks: 4)
        let open = Atomic(0)
        let most = Atomic(0)
        let server = try ScriptedServer { connection in
            let count = open.add(1, ordering: .sequentiallyConsistent).newValue
            _ = most.max(count, ordering: .sequentiallyConsistent)
            _ = ScriptedServer.readHead(connection)
            usleep(2_000)
            open.subtract(1, ordering: .sequentiallyConsistent)
            ScriptedServer.write("HTTP/1.1 200 OK\r\n\r\n", to: connection)
            ScriptedServer.finish(connection)
        }
        let failures = await withTaskGroup(of: String?.self) { group in
            for _ in 0..<100 { group.addTask { await few.probe(server.endpoint, Self.http(timeout: .seconds(60))) } }
            return await group.reduce(into: [String?]()) { $0.append($1) }
        }
        #expect(failures.allSatisfy { $0 == nil })
        #expect(server.acceptedCount == 100)
        #expect((1...4).contains(most.load(ordering: .sequentiallyConsistent)))
        await few.close()
    }

    @Test func aCheckThatFindsNoSlotInTimeSaysSo() async throws {
        let one = HealthProbes(maximumConcurrentChecks: 1)
        let silent = try ScriptedServer { _ in }
        async let first = one.probe(silent.endpoint, Self.http(timeout: .milliseconds(800)))
        while silent.acceptedCount == 0 { await Task.yield() }
        let second = await one.probe(silent.endpoint, Self.http(timeout: .milliseconds(100)))
        #expect(second == "timed out after 100 ms waiting for one of 1 checks at once to end")
        #expect(await first == "timed out after 800 ms waiting for the response")
        let server = try ScriptedServer.answering("HTTP/1.1 200 OK\r\n\r\n")
        #expect(await one.probe(server.endpoint, Self.http()) == nil)
        await one.close()
    }

    @Test func takesTheBodyInGoodOrder() async throws {
        let sentAll = Atomic(0)
        let server = try ScriptedServer { connection in
            _ = ScriptedServer.readHead(connection)
            ScriptedServer.write("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n", to: connection)
            usleep(50_000)
            ScriptedServer.write("body\r\n", to: connection)
            var byte: UInt8 = 0
            shutdown(connection, Int32(SHUT_WR))
            // 0: the other side closed; -1: it reset the connection under us.
            if recv(connection, &byte, 1, 0) == 0 {
                sentAll.store(1, ordering: .releasing)
            } else {
                sentAll.store(-1, ordering: .releasing)
            }
        }
        #expect(await probes.probe(server.endpoint, Self.http()) == nil)
        let deadline = ContinuousClock.now + .seconds(10)
        while sentAll.load(ordering: .acquiring) == 0, ContinuousClock.now < deadline { await Task.yield() }
        #expect(sentAll.load(ordering: .acquiring) == 1)
    }
}

@Suite struct ResponseHeadReaderTests {
    /// However the bytes are cut, the verdict is the same.
    @Test func readsAnyPieces() {
        let text = Array("HTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 418 I'm a teapot\r\nb: c\r\n\r\nbody".utf8)
        for first in 1..<text.count {
            for second in [first + 1, (first + text.count) / 2] where second < text.count {
                var reader = ResponseHeadReader(expected: 200...299)
                var last = ResponseHeadReader.Progress.more
                for piece in [text[..<first], text[first..<second], text[second...]] where last == .more {
                    last = reader.read(piece)
                }
                #expect(last == .status("status 418, expected 200...299"), "cut at \(first), \(second)")
            }
        }
    }
}
