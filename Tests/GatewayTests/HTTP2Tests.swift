import CloudModel
import Foundation
import Gateway
import Testing

extension GatewayTests {
    /// Requests over HTTP/2 with prior knowledge: the same duties as over HTTP/1.1.
    @Suite struct HTTP2 {
        @Test func aRequestIsServedAndBooked() async throws {
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                let answer = try client.exchange(1, "GET", "/a?b=c", [("x-odd", "1")])
                #expect(answer.status == 200)
                #expect(answer.text == "hello")
                #expect(answer["content-length"] == "5")
                #expect(answer["x-request-id"]?.count == 32)
                #expect(answer["connection"] == nil)
                #expect(answer["transfer-encoding"] == nil)
                let posted = try client.exchange(3, "POST", "/", [("content-length", "4")], body: Array("body".utf8))
                #expect(posted.text == "body")
                let chunked = try client.exchange(5, "POST", "/", body: Array("no length".utf8))
                #expect(chunked.text == "no length")
                let requests = origin.requests
                #expect(requests[0].target == "/a?b=c")
                #expect(requests[0]["host"] == "web")
                #expect(requests[0]["x-odd"] == "1")
                #expect(requests[0]["connection"] == nil)
                #expect(requests[1]["content-length"] == "4")
                #expect(requests[2]["transfer-encoding"] == "chunked")
                let records = try fixture.usage(count: 3)
                #expect(records.allSatisfy { $0.outcome == .completed && $0.status == 200 && $0.bytesOut > 5 })
                #expect(fixture.gateway.statistics.total("http2_connections") == 1)
                #expect(fixture.gateway.statistics.total("http2_streams") == 3)
                #expect(fixture.gateway.statistics.total("connections_accepted") == 1)
            }
            await fixture.stop()
        }

        @Test func streamsOfOneConnectionDoNotWaitForEachOther() async throws {
            let gate = Tally()
            let origin = try TestOrigin.http { request in
                if request.target == "/slow" { try waitUntil("the fast one is out") { gate.count > 0 } }
                return TestAnswer(body: Array(request.target.utf8))
            }
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                try client.sendHead(1, HTTP2Connection.request("GET", "/slow"))
                #expect(try client.exchange(3, "GET", "/fast").text == "/fast")
                gate.add()
                #expect(try client.response(on: 1).text == "/slow")
            }
            await fixture.stop()
        }

        @Test func answersWithoutContentEndWithTheirHead() async throws {
            let origin = try TestOrigin.http { request in
                switch request.target {
                case "/204": TestAnswer(status: "204 No Content")
                case "/304": TestAnswer(status: "304 Not Modified", fields: ["etag: \"a\""])
                default: TestAnswer(fields: ["X-Mixed: Case"], body: Array("hello".utf8))
                }
            }
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                let head = try client.exchange(1, "HEAD", "/")
                #expect(head.status == 200)
                #expect(head["content-length"] == "5")
                #expect(head["x-mixed"] == "Case")
                #expect(head.body.isEmpty)
                #expect(try client.exchange(3, "GET", "/204").status == 204)
                #expect(try client.exchange(5, "GET", "/304")["etag"] == "\"a\"")
                #expect(client.messages.values.allSatisfy { $0.heads.count == 1 && $0.reset == nil })
            }
            await fixture.stop()
        }

        @Test func bodiesWithoutLengthAndTheirTrailersPass() async throws {
            let origin = try TestOrigin { connection, origin in
                while let request = try TestRequest(from: connection, readsBody: false) {
                    origin.note(request)
                    let body = try connection.readChunkedWithTrailers()
                    try connection.write(
                        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n"
                            + "3\r\nabc\r\n4;e=\"a:b\"\r\ndefg\r\n0\r\nX-Sum: 7\r\nx-seen: \(body.trailers)\r\n\r\n")
                }
            }
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                try client.sendHead(
                    1, HTTP2Connection.request("POST", "/", [("te", "trailers"), ("trailer", "x-mine")]), ends: false)
                try client.sendData(1, Array("some".utf8))
                try client.sendHead(1, [("x-mine", "1"), ("x-other", "2")])
                let answer = try client.response(on: 1)
                #expect(answer.status == 200)
                #expect(answer.text == "abcdefg")
                #expect(answer.trailers.map(\.name) == ["x-sum", "x-seen"])
                #expect(answer.trailers.first?.value == "7")
                #expect(answer.trailers.last?.value == "x-mine: 1|x-other: 2")
                #expect(origin.requests[0]["te"] == "trailers")
            }
            await fixture.stop()
        }

        @Test func aBodyThatEndsWithTheInstancesConnectionEndsWithItsStream() async throws {
            let origin = try TestOrigin { connection, _ in
                guard try TestRequest(from: connection) != nil else { return }
                try connection.write("HTTP/1.0 200 OK\r\n\r\nuntil the end")
            }
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                let answer = try client.exchange(1)
                #expect(answer.text == "until the end")
                #expect(answer.hasEnded)
                #expect(answer.reset == nil)
                #expect(try client.exchange(3).text == "until the end")
            }
            await fixture.stop()
        }

        @Test func interimAnswersComeFirst() async throws {
            let origin = try TestOrigin { connection, _ in
                while let request = try TestRequest(from: connection, readsBody: false) {
                    try connection.write("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")
                    if request["expect"] == "100-continue" {
                        try connection.write("HTTP/1.1 100 Continue\r\n\r\n")
                        _ = try connection.readChunked()
                    }
                    try connection.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                }
            }
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                try client.sendHead(1, HTTP2Connection.request("POST", "/", [("expect", "100-continue")]), ends: false)
                try client.read("100 has come") { $0.messages[1]?.heads.count == 2 }
                try client.sendData(1, Array("body".utf8), ends: true)
                let answer = try client.response(on: 1)
                #expect(answer.heads.map { $0[0].value } == ["103", "100", "200"])
                #expect(answer.heads[0].contains { $0 == ("link", "</a>") })
                #expect(answer.text == "ok")
            }
            await fixture.stop()
        }

        @Test func cookiesInSeveralFieldsBecomeOne() async throws {
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                let answer = try client.exchange(
                    1, "GET", "/", [("cookie", "a=1"), ("x-between", "y"), ("cookie", "b=2"), ("cookie", "c=3")])
                #expect(answer.status == 200)
                let cookies = origin.requests[0].head.split(separator: "\r\n").filter { $0.hasPrefix("cookie") }
                #expect(cookies == ["cookie: a=1; b=2; c=3"])
                #expect(origin.requests[0]["x-between"] == "y")
            }
            await fixture.stop()
        }

        @Test func theFourthRequestIsRefusedAsOverHTTP1() async throws {
            let gate = Tally()
            let origin = try TestOrigin.held(gate)
            let fixture = try await GatewayFixture.serving(origin) { service in
                service.constraints.concurrentRequestsPerInstance = 3
                service.constraints.queueLength = 0
            }
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                for stream in [1, 3, 5] { try client.sendHead(UInt32(stream), HTTP2Connection.request()) }
                try waitUntil("the instance has three") { origin.requests.count == 3 }
                let refused = try client.exchange(7)
                #expect(refused.status == 429)
                #expect(refused["content-type"] == "application/problem+json")
                #expect(refused["retry-after"] != nil)
                #expect(refused.text.contains("maximum-instances"))
                #expect(refused.text.contains(try #require(refused["x-request-id"])))
                gate.add()
                for stream in [1, 3, 5] { #expect(try client.response(on: UInt32(stream)).text == "ok") }
                #expect(try client.exchange(9).status == 200)
                let records = try fixture.usage(count: 5)
                #expect(records.filter { $0.outcome == .rejected && $0.status == 429 }.count == 1)
            }
            await fixture.stop()
        }

        @Test func theConsumerIsIdentifiedByItsKey() async throws {
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(origin) { $0.access = .required }
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                #expect(try client.exchange(1).status == 401)
                #expect(try client.exchange(3, "GET", "/", [("x-api-key", GatewayFixture.key)]).status == 200)
                #expect(origin.requests[0]["x-api-key"] == nil)
                let served = try fixture.usage(count: 1)
                #expect(served[0].consumer == "alice")
            }
            await fixture.stop()
        }

        @Test func anAbortedRequestIsBookedAsFarAsItCame() async throws {
            let sent = Tally()
            let origin = try TestOrigin { connection, origin in
                while let request = try TestRequest(from: connection, readsBody: false) {
                    origin.note(request)
                    try connection.write("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
                    try connection.write([UInt8](repeating: 1, count: 10_000))
                    sent.add()
                    // Its end is the gateway's doing.
                    _ = try connection.readToEnd()
                    return
                }
            }
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                try client.sendHead(1, HTTP2Connection.request())
                try client.read("some of the body has come") { ($0.messages[1]?.body.count ?? 0) == 10_000 }
                try client.send(.reset, 0, 1, HTTP2Connection.bytes(8))
                let record = try fixture.usage(count: 1)[0]
                #expect(record.outcome == .abortedByConsumer)
                #expect(record.bytesOut > 10_000 && record.bytesOut < 11_000)
                try waitUntil("the instance's connection is closed") { origin.openConnections == 0 }
                // The connection of the consumer stays.
                #expect(client.goAways.isEmpty)
            }
            await fixture.stop()
        }

        @Test func anInstanceThatBreaksOffResetsTheStreamOnly() async throws {
            let origin = try TestOrigin { connection, _ in
                guard let request = try TestRequest(from: connection) else { return }
                let isWhole = request.target == "/whole"
                try connection.write("HTTP/1.1 200 OK\r\ncontent-length: \(isWhole ? 4 : 9)\r\n\r\nbody")
            }
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                let broken = try client.exchange(1, "GET", "/broken")
                #expect(broken.reset == 2)
                #expect(!broken.hasEnded)
                #expect(try client.exchange(3, "GET", "/whole").text == "body")
                let records = try fixture.usage(count: 2)
                #expect(records.map(\.outcome) == [.abortedByInstance, .completed])
            }
            await fixture.stop()
        }

        @Test func aRequestThatIsAnsweredEarlyIsStopped() async throws {
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(origin) { $0.gateway.maximumBodySize = ByteCount(bytes: 10) }
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                try client.sendHead(1, HTTP2Connection.request("POST", "/", [("content-length", "1000")]), ends: false)
                let answer = try client.response(on: 1)
                #expect(answer.status == 413)
                // NO_ERROR: the answer counts (RFC 9113, section 8.1).
                try client.read("the request is stopped") { $0.messages[1]?.reset != nil }
                #expect(client.messages[1]?.reset == 0)
                #expect(try client.exchange(3).status == 200)
            }
            await fixture.stop()
        }

        @Test func drainingLetsStreamsEnd() async throws {
            let gate = Tally()
            let origin = try TestOrigin.held(gate)
            let fixture = try await GatewayFixture.serving(origin)
            let client = try HTTP2Connection(port: fixture.port)
            try await blocking {
                try client.sendHead(1, HTTP2Connection.request())
                try waitUntil("the instance has the first") { origin.requests.count == 1 }
            }
            async let stopped: Void = fixture.stop(within: .seconds(9))
            try await blocking {
                try client.read("the first warning") { !$0.goAways.isEmpty }
                #expect(client.goAways[0].last == 0x7FFF_FFFF)
                // On its way when the warning came.
                try client.sendHead(3, HTTP2Connection.request())
                try client.read("the last word") { $0.goAways.count == 2 }
                #expect(client.goAways[1].last == 3)
                #expect(client.goAways[1].code == 0)
                gate.add()
                #expect(try client.response(on: 1).text == "ok")
                #expect(try client.response(on: 3).text == "ok")
                #expect(try client.readToEnd() == 0)
            }
            await stopped
        }
    }
}

extension TestSocket {
    /// A chunked body, and its trailer lines joined with a bar.
    func readChunkedWithTrailers() throws -> (body: [UInt8], trailers: String) {
        var body: [UInt8] = []
        while true {
            let size = Int(try readLine(), radix: 16) ?? 0
            if size == 0 { break }
            body += try read(size)
            _ = try readLine()
        }
        var trailers: [String] = []
        while true {
            let line = try readLine()
            if line.isEmpty { return (body, trailers.joined(separator: "|")) }
            trailers.append(line)
        }
    }
}
