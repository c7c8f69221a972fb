import CloudModel
import Foundation
import Gateway
import Glibc
import Testing

extension GatewayTests {
    @Suite struct AccessLogs {
        private struct Line: Decodable {
            var time: String
            var requestID: String
            var client: String
            var consumer: String?
            var service: String?
            var instance: String?
            var method: String?
            var host: String?
            var path: String?
            var `protocol`: String
            var status: Int
            var outcome: String
            var bytesIn: Int
            var bytesOut: Int
            var durationMicroseconds: Int
            var instanceMicroseconds: Int?
            var referer: String?
            var userAgent: String?
            var sampledOneIn: Int?
        }

        /// A directory for one test.
        private final class Place: Sendable {
            let path = NSTemporaryDirectory() + "access-log-\(UUID().uuidString)"
            var file: String { path + "/access.log" }

            init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
            deinit { try? FileManager.default.removeItem(atPath: path) }

            func text(_ name: String = "access.log") -> String {
                (try? String(contentsOfFile: path + "/" + name, encoding: .utf8)) ?? ""
            }

            func lines(_ name: String = "access.log") -> [String] {
                text(name).split(separator: "\n").map(String.init)
            }

            func decoded(_ name: String = "access.log") throws -> [Line] {
                try lines(name).map { try JSONDecoder().decode(Line.self, from: Data($0.utf8)) }
            }
        }

        @Test func aLineForEachRequestWithoutItsSecrets() async throws {
            let place = try Place()
            let origin = try TestOrigin.http { _ in TestAnswer(body: Array("hello".utf8)) }
            let fixture = try await GatewayFixture.serving(
                origin, accessLog: AccessLogSettings(target: .file(place.file)))
            let key = GatewayFixture.key
            let answers = try await blocking {
                let known = try fixture.get(
                    "/a%20b?token=topsecret",
                    fields: "x-api-key: \(key)\r\ncookie: sid=topsecret\r\nuser-agent: \"agent\\ \(key)\r\n"
                        + "referer: https://me:topsecret@site.example/page?code=topsecret#topsecret\r\n")
                let unrouted = try fixture.connect().exchange(
                    "GET /\(key)/x HTTP/1.0\r\nhost: web\r\nx-api-key: wrongsecret\r\n\r\n")
                let malformed = try fixture.connect().exchange("GET / HTTP/1.1\r\nbad header\r\n\r\n")
                return [known, unrouted, malformed]
            }
            #expect(answers.map(\.status) == [200, 401, 400])
            await fixture.stop()
            let text = place.text()
            #expect(!text.contains("topsecret") && !text.contains("wrongsecret"))
            #expect(!text.contains(key.dropFirst(12)))
            let lines = try place.decoded()
            #expect(lines.map(\.status) == [200, 401, 400])
            #expect(lines.map(\.requestID) == answers.map { $0["x-request-id"] ?? "" })
            #expect(lines.map(\.bytesOut) == answers.map { $0.head.utf8.count + $0.body.count })
            #expect(lines.allSatisfy { $0.client == "127.0.0.1" && Timestamp(rfc3339: $0.time) != nil })
            let line = try #require(lines.first)
            #expect(line.consumer == "alice" && line.service == "web" && line.instance == "web-\(origin.port)")
            #expect(line.method == "GET" && line.host == "web" && line.path == "/a%20b")
            #expect(line.protocol == "HTTP/1.1" && line.outcome == "completed" && line.sampledOneIn == nil)
            #expect(line.referer == "https://site.example/page")
            #expect(line.userAgent == "\"agent\\ cw_00000000[secret]")
            #expect(try #require(line.instanceMicroseconds) <= line.durationMicroseconds)
            #expect(lines[1].path == "/cw_00000000[secret]/x" && lines[1].protocol == "HTTP/1.0")
            #expect(lines[1].instance == nil && lines[1].instanceMicroseconds == nil)
            #expect(lines[2].path == nil && lines[2].service == nil)
            let totals = try #require(fixture.gateway.statistics.accessLog)
            #expect(totals.written == 3 && totals.dropped == 0)
        }

        @Test func combinedIsWhatOthersWrite() async throws {
            let place = try Place()
            let origin = try TestOrigin.http { _ in TestAnswer(body: Array("hello".utf8)) }
            let fixture = try await GatewayFixture.serving(
                origin, accessLog: AccessLogSettings(target: .file(place.file), format: .combined))
            let answer = try await blocking {
                _ = try fixture.get("/plain")
                return try fixture.get(
                    "/x?q=1", fields: "x-api-key: \(GatewayFixture.key)\r\nuser-agent: a \"b\" \u{1F4A5}\r\n")
            }
            await fixture.stop()
            let lines = place.lines()
            try #require(lines.count == 2)
            let pattern =
                #/
                (\S+)\ -\ (\S+)\ \[\d{2}/[A-Z][a-z]{2}/\d{4}:\d{2}:\d{2}:\d{2}\ \+0000\]
                \ "GET\ (\S+)\ HTTP/1\.1"\ 200\ (\d+)\ "-"\ "(.*)"
                /#
            let first = try #require(try pattern.wholeMatch(in: lines[0])?.output)
            #expect(first.1 == "127.0.0.1" && first.2 == "-" && first.3 == "/plain" && first.5 == "-")
            let second = try #require(try pattern.wholeMatch(in: lines[1])?.output)
            #expect(second.2 == "alice" && second.3 == "/x")
            #expect(second.4 == "\(answer.head.utf8.count + answer.body.count)")
            #expect(second.5 == #"a \x22b\x22 \xf0\x9f\x92\xa5"#)
        }

        @Test func sampledByServiceButErrorsAlways() async throws {
            let place = try Place()
            let origin = try TestOrigin.http { request in
                TestAnswer(status: request.target == "/broken" ? "500 Internal Server Error" : "200 OK")
            }
            let fixture = try await GatewayFixture.serving(
                origin, accessLog: AccessLogSettings(target: .file(place.file))
            ) { $0.gateway.accessLogOneIn = 4 }
            try await blocking {
                let client = try fixture.connect()
                for number in 0..<400 {
                    let path = number % 40 == 0 ? "/broken" : "/fine"
                    _ = try client.exchange("GET \(path) HTTP/1.1\r\nhost: web\r\n\r\n")
                }
            }
            var quiet = GatewayFixture.service
            quiet.gateway.accessLogOneIn = 0
            await fixture.apply(quiet, [origin.port])
            _ = try await blocking { try fixture.get("/broken") }
            await fixture.stop()
            let lines = try place.decoded()
            #expect(lines.count { $0.status == 500 } == 10)
            // Of 390, with p = 1/4: a mean of 97.5 and six standard deviations (8.6 each) around it.
            #expect((46...149).contains(lines.count { $0.status == 200 }))
            #expect(lines.allSatisfy { $0.status == 500 || $0.sampledOneIn == 4 })
        }

        @Test func goesOnInANewFileWhenTheOldOneIsMovedAway() async throws {
            let place = try Place()
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(
                origin, loops: 2, accessLog: AccessLogSettings(target: .file(place.file)))
            try await blocking {
                for _ in 0..<20 { _ = try fixture.get("/before") }
                try FileManager.default.moveItem(atPath: place.file, toPath: place.path + "/access.log.1")
                fixture.gateway.reopenAccessLog()
                try waitUntil("there is a new file") { FileManager.default.fileExists(atPath: place.file) }
                for _ in 0..<20 { _ = try fixture.get("/after") }
            }
            await fixture.stop()
            let old = try place.decoded("access.log.1")
            let new = try place.decoded()
            #expect(new.count { $0.path == "/after" } == 20)
            #expect((old + new).count { $0.path == "/before" } == 20)
            #expect(old.count { $0.path == "/after" } == 0)
        }

        /// Nobody reads the pipe: requests are served all the same, and the end does not wait for ever.
        @Test func aTargetThatTakesNothingHoldsUpNobody() async throws {
            let place = try Place()
            try #require(mkfifo(place.file, 0o600) == 0)
            let reader = open(place.file, O_RDONLY | O_NONBLOCK)
            defer { close(reader) }
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(
                origin, accessLog: AccessLogSettings(target: .file(place.file)))
            try await blocking {
                let client = try fixture.connect()
                for _ in 0..<600 { _ = try client.exchange("GET / HTTP/1.1\r\nhost: web\r\n\r\n") }
            }
            let began = Date()
            await fixture.stop()
            #expect(Date().timeIntervalSince(began) < 5)
            let totals = try #require(fixture.gateway.statistics.accessLog)
            #expect(totals.written + totals.dropped == 600)
            #expect(totals.dropped > 0)
        }

        @Test func aFileThatCannotBeWrittenIsRefusedAtTheStart() {
            let error = #expect(throws: GatewayError.self) {
                try GatewayFixture(accessLog: AccessLogSettings(target: .file("/nonexistent/access.log")))
            }
            #expect(error?.message.contains("/nonexistent/access.log") == true)
        }
    }
}

@Suite struct AccessLogRingTests {
    /// A record's length says what is in it.
    private static func content(_ length: Int) -> [UInt8] {
        (0..<length).map { UInt8(truncatingIfNeeded: $0 &+ length) }
    }

    @Test func recordsComeOutAsTheyWentInOrAreCounted() {
        let ring = AccessLogRing(capacity: 1_024)
        defer { ring.deallocate() }
        var random = SeededGenerator(seed: 5)
        var waiting: [Int] = []
        var dropped: UInt64 = 0
        for _ in 0..<20_000 {
            if Bool.random(using: &random) {
                let length = Int.random(in: 0...200, using: &random)
                let before = ring.dropped
                ring.append(atMost: length) { place in
                    for (offset, byte) in Self.content(length).enumerated() {
                        place.storeBytes(of: byte, toByteOffset: offset, as: UInt8.self)
                    }
                    return length
                }
                if ring.dropped == before { waiting.append(length) } else { dropped += 1 }
            } else {
                var taken: [UInt8]?
                let isTaken = ring.takeFirst { taken = Array($0) }
                #expect(isTaken == !waiting.isEmpty)
                if isTaken { #expect(taken == Self.content(waiting.removeFirst())) }
            }
        }
        #expect(dropped > 100)
        #expect(ring.dropped == dropped)
    }

    @Test func oneThreadWritesWhileAnotherReads() async throws {
        let ring = AccessLogRing(capacity: 4_096)
        defer { ring.deallocate() }
        let count = 100_000
        let seen = try await concurrently(2) { role -> UInt64 in
            if role == 0 {
                for number in 0..<UInt64(count) {
                    ring.append(atMost: 64) { place in
                        for word in 0..<Int(number % 8) + 1 {
                            place.storeBytes(of: number, toByteOffset: word * 8, as: UInt64.self)
                        }
                        return (Int(number % 8) + 1) * 8
                    }
                }
                return 0
            }
            var taken: UInt64 = 0
            var last: UInt64?
            while last != UInt64(count) - 1, taken + ring.dropped < UInt64(count) {
                let isTaken = ring.takeFirst { bytes in
                    let number = bytes.loadUnaligned(as: UInt64.self)
                    if let last, number <= last { Issue.record("\(number) after \(last)") }
                    let isWhole = (0..<bytes.count / 8).allSatisfy {
                        bytes.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self) == number
                    }
                    if !isWhole || bytes.count != (Int(number % 8) + 1) * 8 { Issue.record("\(number) is torn") }
                    last = number
                }
                if isTaken { taken += 1 } else { sched_yield() }
            }
            return taken
        }
        #expect(seen[1] + ring.dropped == UInt64(count))
    }
}
