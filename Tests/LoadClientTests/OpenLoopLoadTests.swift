import Glibc
import LoadClient
import Synchronization
import Testing

@Suite(.serialized) struct OpenLoopLoadTests {
    private func load(_ server: ScriptedServer, perSecond: Int, milliseconds: Int64) -> OpenLoopLoad {
        var load = OpenLoopLoad(
            HTTPTarget(port: server.port), requestsPerSecond: perSecond, durationMilliseconds: milliseconds)
        load.connections = 16
        return load
    }

    private func isBalanced(_ report: LoadReport) -> Bool {
        report.succeeded + report.unexpected + report.lost + report.unsent == report.scheduled
            && report.statuses.values.reduce(0, +) == report.succeeded + report.unexpected
            && report.failures.values.reduce(0, +) == report.lost + report.unsent
            && report.latency.count == UInt64(report.succeeded + report.unexpected)
    }

    @Test func everyRequestIsSentOnceAtItsTime() throws {
        let server = ScriptedServer { .ok(fields: "x-request-id: id-\($0.number)\r\n") }
        defer { server.stop() }
        var load = load(server, perSecond: 500, milliseconds: 1_000)
        load.idPrefix = "run7"
        load.fieldsByTurn = [[HTTPField("x-api-key", "a")], [HTTPField("x-api-key", "b")]]
        let path = "\(NamedFile.directory)/journal-\(getpid())-\(server.port)"
        load.journalPath = path
        let began = Monotonic.microseconds()
        let report = try load.run()
        #expect(report.scheduled == 500 && report.succeeded == 500 && report.failed == 0, "\(report)")
        #expect(isBalanced(report) && report.duplicateIDs == 0 && report.statuses == [200: 500])
        #expect(server.connectionCount == 16)

        let requests = server.requests
        let ids = Set(requests.compactMap { $0.fields["x-load-id"] })
        #expect(ids == Set((0..<500).map { "run7-\($0)" }))
        #expect(requests.count { $0.fields["x-api-key"] == "a" } == 250)
        // None is sent before its time; how long after depends on the machine.
        for request in requests {
            let number = request.fields["x-load-id"].flatMap { Int64($0.dropFirst(5)) } ?? -1
            #expect(number >= 0 && request.microseconds >= began + number * 2_000)
        }
        #expect(report.elapsedMicroseconds >= 998_000)
        let lines = NamedFile.takeLines(path)
        #expect(lines.count == 500 && Set(lines).count == 500)
        #expect(lines.allSatisfy { $0.hasPrefix("id-") && $0.contains("\t200\trun7-") })
    }

    /// Every answer takes 300 ms; a loop that waited for answers would need two seconds for 16 connections.
    @Test func theScheduleDoesNotWaitForResponses() throws {
        let server = ScriptedServer { _ in
            .delayed(milliseconds: 300, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        }
        defer { server.stop() }
        var load = load(server, perSecond: 100, milliseconds: 1_000)
        load.connections = 100
        let report = try load.run()
        #expect(report.succeeded == 100 && isBalanced(report), "\(report)")
        let requests = server.requests
        let span = requests[99].microseconds - requests[0].microseconds
        #expect(span > 900_000 && span < 2_000_000, "sent over \(span) us")
        #expect(report.latency.quantile(0) >= 295_000)
    }

    /// One connection for a service that needs 20 ms for each of 100 requests a second: the time that they wait for
    /// the connection is the service's.
    @Test func waitingForAConnectionIsPartOfTheLatency() throws {
        let server = ScriptedServer { _ in
            .delayed(milliseconds: 20, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        }
        defer { server.stop() }
        var load = load(server, perSecond: 100, milliseconds: 500)
        load.connections = 1
        let report = try load.run()
        #expect(report.succeeded == 50 && isBalanced(report), "\(report)")
        #expect(report.late >= 45)
        #expect(report.latency.quantile(1) >= 500_000)
        load.timeoutMilliseconds = 100
        let impatient = try load.run()
        #expect(impatient.failed > 0 && isBalanced(impatient), "\(impatient)")
        #expect(impatient.failures["timeout"] == impatient.failed)
        #expect(impatient.elapsedMicroseconds < 900_000, "it ends when the last one is given up: \(impatient)")
    }

    @Test func whatGoesWrongIsCountedByItsKind() throws {
        let server = ScriptedServer { request in
            if request.number % 10 == 3 { return .text("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n") }
            if request.number % 10 == 5 { return .hangUp }
            if request.number % 10 == 6 { return .text("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx", close: true) }
            if request.number % 10 == 8 { return .silence }
            return .ok(fields: "x-request-id: \(request.number / 20)\r\n")
        }
        defer { server.stop() }
        var load = load(server, perSecond: 200, milliseconds: 500)
        load.timeoutMilliseconds = 2_000
        let report = try load.run()
        #expect(report.scheduled == 100 && isBalanced(report), "\(report)")
        #expect(report.succeeded == 60 && report.unexpected == 10 && report.lost == 30 && report.unsent == 0)
        #expect(report.failures == ["closed": 20, "timeout": 10])
        #expect(report.statuses == [200: 60, 503: 10])
        #expect(report.duplicateIDs == 55, "five ids for sixty responses")
        #expect(report.examples.count == 10)
        #expect(server.requests.count == 100, "nothing is sent twice")
    }

    @Test func nobodyThereIsUnsent() throws {
        let server = ScriptedServer { _ in .ok() }
        let load = load(server, perSecond: 100, milliseconds: 200)
        server.stop()
        var report = try load.run()
        // The listener's thread may take a moment to close it.
        for _ in 0..<50 where report.unsent < 20 { report = try load.run() }
        #expect(report.unsent == 20 && isBalanced(report), "\(report)")
        #expect(report.failures == ["not-connected": 20])
        #expect(report.longestGapMicroseconds == report.elapsedMicroseconds)
    }

    @Test func theGapOfAnOutageIsMeasured() async throws {
        let first = ScriptedServer { _ in .ok() }
        var load = load(first, perSecond: 200, milliseconds: 1_500)
        load.timeoutMilliseconds = 2_000
        let running = Task { [load] in try await load.runOnOwnThread() }
        while first.requests.count < 60 { await Task.yield() }
        first.stop()
        let port = first.port
        // The outage itself, not a wait for something.
        try await Task.sleep(for: .milliseconds(400))
        let second = ScriptedServer(port: port) { _ in .ok() }
        defer { second.stop() }
        let report = try await running.value
        #expect(isBalanced(report) && report.scheduled == 300, "\(report)")
        #expect(report.longestGapMicroseconds >= 380_000, "\(report)")
        #expect(report.failed > 0 && report.succeeded > 60 && !second.requests.isEmpty)
    }

    @Test func senselessLoadsAreRefused() {
        let target = HTTPTarget(port: 1)
        var tooMany = OpenLoopLoad(target, requestsPerSecond: 1, durationMilliseconds: 1)
        tooMany.connections = 100_000
        var unwritable = OpenLoopLoad(target, requestsPerSecond: 1, durationMilliseconds: 1)
        unwritable.journalPath = "/nonexistent/journal"
        let loads = [
            OpenLoopLoad(target, requestsPerSecond: 0, durationMilliseconds: 1),
            OpenLoopLoad(target, requestsPerSecond: 1_000_000, durationMilliseconds: 1_000_000), tooMany, unwritable,
        ]
        for load in loads { #expect(throws: LoadClientError.self) { try load.run() } }
    }
}

enum Monotonic {
    static func microseconds() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
    }
}

enum NamedFile {
    static let directory = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"

    /// The file's lines; it is removed.
    static func takeLines(_ path: String) -> [String] {
        guard let file = fopen(path, "r") else { return [] }
        defer {
            fclose(file)
            unlink(path)
        }
        var bytes: [UInt8] = []
        while case let byte = fgetc(file), byte >= 0 { bytes.append(UInt8(byte)) }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    }
}

@Suite struct LatencyHistogramTests {
    @Test(arguments: UInt64(0)..<20)
    func quantilesAreWithinThreePercent(seed: UInt64) {
        var values: [Int64] = []
        var histogram = LatencyHistogram()
        var number = seed &* 0x9E37_79B9_7F4A_7C15 | 1
        for _ in 0..<2_000 {
            number ^= number << 13
            number ^= number >> 7
            number ^= number << 17
            let value = Int64(number >> 24) >> Int64(number % 38)
            values.append(value)
            histogram.record(microseconds: value)
        }
        values.sort()
        for part in [0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0] {
            let exact = values[max(0, Int((part * 2_000).rounded(.up)) - 1)]
            let found = histogram.quantile(part)
            #expect(found >= exact && Double(found) <= Double(exact) * 1.032 + 1, "\(part): \(found) for \(exact)")
        }
        #expect(histogram.maximumMicroseconds == values.last)
    }

    @Test func sumsAreTheSameAsOneHistogram() {
        var one = LatencyHistogram()
        var other = LatencyHistogram()
        var both = LatencyHistogram()
        for value in Int64(0)..<1_000 {
            if value % 3 == 0 { one.record(microseconds: value) } else { other.record(microseconds: value) }
            both.record(microseconds: value)
        }
        one.add(other)
        #expect(one == both)
        #expect(LatencyHistogram().quantile(0.5) == 0)
    }
}

@Suite struct BurstTests {
    /// Nobody is answered before all have asked: so all were under way at once.
    @Test func allAskAtTheSameTime() throws {
        let arrived = Atomic<Int>(0)
        let server = ScriptedServer { request in
            arrived.add(1, ordering: .relaxed)
            for _ in 0..<10_000 where arrived.load(ordering: .relaxed) < 50 { usleep(1_000) }
            return .ok(request.fields["x-api-key"] ?? "")
        }
        defer { server.stop() }
        let requests = (0..<50).map { HTTPRequest("GET", "/", fields: [HTTPField("x-api-key", "key-\($0)")]) }
        let outcomes = try Burst(HTTPTarget(port: server.port), requests).run()
        #expect(outcomes.map(\.status) == [Int](repeating: 200, count: 50))
        let texts = try outcomes.map { try $0.response.get().text }
        #expect(texts == (0..<50).map { "key-\($0)" })
        #expect(server.connectionCount == 50)
        #expect(outcomes.allSatisfy { $0.sentAfterMicroseconds >= 0 })
        #expect(outcomes.allSatisfy { $0.answeredAfterMicroseconds >= $0.sentAfterMicroseconds })
    }

    @Test func failuresAreOutcomesToo() async throws {
        let server = ScriptedServer { $0.path == "/bad" ? .hangUp : .ok() }
        defer { server.stop() }
        let outcomes = try await Burst(
            HTTPTarget(port: server.port), [HTTPRequest("GET", "/bad"), HTTPRequest("GET", "/good")]
        ).runOnOwnThreads()
        #expect(outcomes.map(\.status) == [0, 200])
        #expect(throws: LoadClientError.self) { try Burst(HTTPTarget(port: 1), []).run() }
        let nobody = try Burst(HTTPTarget(port: 1), [HTTPRequest()]).run()
        #expect(nobody.map(\.status) == [0])
    }
}
