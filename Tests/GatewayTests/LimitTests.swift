import CloudModel
import Foundation
import Gateway
import Spool
import Testing

extension GatewayTests {
    /// What is refused, and how long anything may take.
    @Suite struct Limits {
        @Test(
            arguments: [
                ("GET / HTTP/1.1\r\n\r\n", 400),
                ("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400),
                ("GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
                ("GET /\u{1} HTTP/1.1\r\nhost: a\r\n\r\n", 400),
                ("GET /../x HTTP/1.1\r\nhost: a\r\n\r\n", 400),
                ("GET / HTTP/1.1\nhost: a\n\n", 400),
                ("GET / HTTP/2.0\r\nhost: a\r\n\r\n", 505),
                ("CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n", 501),
                ("GET /\(String(repeating: "x", count: 20_000)) HTTP/1.1\r\nhost: a\r\n\r\n", 414),
                ("GET / HTTP/1.1\r\nhost: a\r\nx: \(String(repeating: "x", count: 30_000))\r\n\r\n", 431),
            ])
        func malformedRequestsAreRefusedAndTheConnectionIsClosed(_ request: String, _ status: Int) async throws {
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try fixture.connect()
                try client.write(request)
                let response = try #require(try client.readResponse())
                #expect(response.status == status)
                #expect(response["content-type"] == "application/problem+json")
                #expect(response.json["status"] as? Int == status)
                #expect(response["x-request-id"]?.count == 32)
                if status != 400 || !request.contains("/../") {
                    #expect(response["connection"] == "close")
                    #expect(try client.isAtEnd())
                }
                #expect(origin.requests.isEmpty)
            }
            await fixture.stop()
        }

        @Test func whoAsksIsIdentified() async throws {
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(origin) { $0.access = .required }
            try await blocking {
                let client = try fixture.connect()
                func status(_ fields: String) throws -> TestResponse {
                    try client.exchange("GET / HTTP/1.1\r\nhost: web\r\n\(fields)\r\n")
                }
                let none = try status("")
                #expect(none.status == 401)
                #expect(none["www-authenticate"]?.hasPrefix("Bearer") == true)
                #expect(try status("x-api-key: cw_nobody\r\n").status == 401)
                #expect(try status("x-api-key: \(GatewayFixture.key)\r\n").status == 200)
                #expect(try status("authorization: Bearer \(GatewayFixture.key)\r\n").status == 200)
                let twice = "x-api-key: \(GatewayFixture.key)\r\nx-api-key: \(GatewayFixture.otherKey)\r\n"
                #expect(try status(twice).status == 401)
                #expect(try status("x-api-key: \(GatewayFixture.otherKey)\r\n").status == 403)
                // The key is ours, and none of the instance's business.
                #expect(origin.requests.allSatisfy { $0["authorization"] == nil && $0["x-api-key"] == nil })
                let records = try fixture.usage(count: 3)
                #expect(records.map(\.consumer) == ["alice", "alice", "bob"])
                #expect(records.map(\.status) == [200, 200, 403])
            }
            await fixture.stop()
        }

        @Test func hostAndPathChooseTheService() async throws {
            let first = try TestOrigin.http { _ in TestAnswer(body: Array("first".utf8)) }
            let second = try TestOrigin.http { _ in TestAnswer(body: Array("second".utf8)) }
            let fixture = try GatewayFixture()
            var one = GatewayFixture.service
            one.routes = [Route(host: "one.example")]
            var two = GatewayFixture.service
            two.id = "two"
            two.routes = [Route(host: "one.example", pathPrefix: "/two")]
            await fixture.apply([(two, [second.port]), (one, [first.port])])
            try await blocking {
                let client = try fixture.connect()
                func get(_ host: String, _ path: String) throws -> TestResponse {
                    try client.exchange("GET \(path) HTTP/1.1\r\nhost: \(host)\r\n\r\n")
                }
                #expect(try get("one.example", "/").text == "first")
                #expect(try get("ONE.example:80", "/two/x").text == "second")
                #expect(try get("one.example", "/twofold").text == "first")
                #expect(try get("other.example", "/").status == 404)
                #expect(try client.exchange("GET http://one.example HTTP/1.1\r\nhost: x\r\n\r\n").text == "first")
            }
            await fixture.stop()
        }

        @Test func bodiesMayBeTooLarge() async throws {
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(origin) {
                $0.gateway.maximumBodySize = ByteCount(bytes: 100)
            }
            try await blocking {
                let body = String(repeating: "x", count: 101)
                let known = "POST / HTTP/1.1\r\nhost: web\r\ncontent-length: 101\r\n\r\n" + body
                #expect(try fixture.connect().exchange(known).status == 413)
                let head = "POST / HTTP/1.1\r\nhost: web\r\ntransfer-encoding: chunked\r\n\r\n"
                #expect(try fixture.connect().exchange(head + "65\r\n\(body)\r\n0\r\n\r\n").status == 413)
                let late = try fixture.connect()
                try late.write(head)
                try waitUntil("the head has gone on") { origin.openConnections > 0 }
                #expect(try late.exchange("65\r\n\(body)\r\n0\r\n\r\n").status == 413)
                #expect(try fixture.connect().exchange(head + "3\r\nabc\r\n0\r\n\r\n").text == "abc")
            }
            await fixture.stop()
        }

        @Test func headsAndIdleConnectionsHaveTheirTime() async throws {
            let origin = try TestOrigin.echo()
            let timeouts = GatewayTimeouts(requestHead: .milliseconds(200), keepAliveIdle: .milliseconds(300))
            let fixture = try await GatewayFixture.serving(origin, timeouts: timeouts)
            try await blocking {
                let silent = try fixture.connect()
                let slow = try fixture.connect()
                let idle = try fixture.connect()
                #expect(try idle.exchange("GET / HTTP/1.1\r\nhost: web\r\n\r\n").status == 200)
                try slow.write("GET / HTT")
                #expect(try slow.readResponse()?.status == 408)
                #expect(try slow.isAtEnd())
                #expect(try silent.isAtEnd())
                #expect(try idle.isAtEnd())
            }
            await fixture.stop()
        }

        @Test func aBodyThatStopsComingIsARequestTimeout() async throws {
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(origin) { $0.gateway.idleTimeout = .milliseconds(200) }
            try await blocking {
                let client = try fixture.connect()
                let response = try client.exchange("POST / HTTP/1.1\r\nhost: web\r\ncontent-length: 9\r\n\r\nabc")
                #expect(response.status == 408)
                #expect(try client.isAtEnd())
                try waitUntil("the instance's connection is closed") { origin.openConnections == 0 }
            }
            await fixture.stop()
        }

        @Test func aConsumerThatStopsReadingIsCutOff() async throws {
            let origin = try TestOrigin.http { _ in TestAnswer(body: Array(repeating: 0x61, count: 30 << 20)) }
            let fixture = try await GatewayFixture.serving(origin) { $0.gateway.idleTimeout = .milliseconds(200) }
            try await blocking {
                let client = try fixture.connect(receiveBuffer: 8_192)
                try client.write("GET / HTTP/1.1\r\nhost: web\r\n\r\n")
                #expect(try fixture.usage(count: 1).first?.outcome == .abortedByConsumer)
            }
            await fixture.stop()
        }

        @Test func beyondTheLimitConnectionsWait() async throws {
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(origin, limits: GatewayLimits(connectionsPerLoop: 2))
            try await blocking {
                let first = try fixture.connect()
                let second = try fixture.connect()
                let request = "GET / HTTP/1.1\r\nhost: web\r\n\r\n"
                #expect(try first.exchange(request).status == 200)
                #expect(try second.exchange(request).status == 200)
                let third = try fixture.connect()
                try third.write(request)
                #expect(try first.exchange(request).status == 200)
                #expect(fixture.gateway.statistics.total("connections_accepted") == 2)
                second.close()
                #expect(try third.readResponse()?.status == 200)
            }
            await fixture.stop()
        }

        /// Five files: four clients leave one for a connection to an instance, which gives way to nobody while it is
        /// in use; a fifth client waits until one of the four has left.
        @Test func clientsLeaveFilesForConnectionsToInstances() async throws {
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(origin, limits: GatewayLimits(filesPerLoop: 5))
            try await blocking {
                let clients = try (0..<4).map { _ in try fixture.connect() }
                let request = "GET / HTTP/1.1\r\nhost: web\r\n\r\n"
                for client in clients { #expect(try client.exchange(request).status == 200) }
                let fifth = try fixture.connect()
                try fifth.write(request)
                #expect(try clients[0].exchange(request).status == 200)
                #expect(fixture.gateway.statistics.total("connections_accepted") == 4)
                clients[1].close()
                #expect(try fifth.readResponse()?.status == 200)
            }
            await fixture.stop()
        }

        /// Two clients whose requests are with their instances take four of five files: a third waits for one of them,
        /// and is not accepted to be refused for want of the file that its own request needs.
        @Test func aClientWaitsWhileInstancesHaveTheFiles() async throws {
            let mayAnswer = Tally()
            let origin = try TestOrigin.held(mayAnswer)
            let fixture = try await GatewayFixture.serving(origin, limits: GatewayLimits(filesPerLoop: 5))
            try await blocking {
                let clients = try (0..<2).map { _ in try fixture.connect() }
                let request = "GET / HTTP/1.1\r\nhost: web\r\n\r\n"
                for client in clients { try client.write(request) }
                try waitUntil("the instance has both") { origin.requests.count == 2 }
                let third = try fixture.connect()
                try third.write(request)
                mayAnswer.add()
                for client in clients { #expect(try client.readResponse()?.status == 200) }
                #expect(try third.readResponse()?.status == 200)
            }
            await fixture.stop()
        }

        /// A request for which there is no file left is refused, and its connection's file is free; the next is served.
        @Test func aRequestWithoutAFileForItsInstanceIsRefused() async throws {
            let mayAnswer = Tally()
            let origin = try TestOrigin.held(mayAnswer)
            let fixture = try await GatewayFixture.serving(origin, limits: GatewayLimits(filesPerLoop: 5))
            try await blocking {
                let clients = try (0..<4).map { _ in try fixture.connect() }
                let request = "GET / HTTP/1.1\r\nhost: web\r\n\r\n"
                try clients[0].write(request)
                try waitUntil("the instance has the first") { origin.requests.count == 1 }
                let refusal = try clients[1].exchange(request)
                #expect(refusal.status == 503)
                #expect(refusal["connection"] == "close")
                mayAnswer.add()
                #expect(try clients[0].readResponse()?.status == 200)
                #expect(try clients[2].exchange(request).status == 200)
            }
            await fixture.stop()
        }

        @Test func aConnectionIsClosedAfterItsShareOfRequests() async throws {
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(origin, limits: GatewayLimits(requestsPerConnection: 3))
            try await blocking {
                let client = try fixture.connect()
                let request = "GET / HTTP/1.1\r\nhost: web\r\n\r\n"
                #expect(try client.exchange(request)["connection"] == nil)
                #expect(try client.exchange(request)["connection"] == nil)
                #expect(try client.exchange(request)["connection"] == "close")
                #expect(try client.isAtEnd())
            }
            await fixture.stop()
        }

        /// The spool takes two segments and nobody empties it.
        @Test(arguments: [RequestSettings.Unmeterable.refuse, .serve])
        func whatCannotBeMetered(_ choice: RequestSettings.Unmeterable) async throws {
            let origin = try TestOrigin.echo()
            let fixture = try GatewayFixture(
                spool: SpoolSettings(segmentSize: .kibibytes(8), maximumBytesPerWriter: .kibibytes(16)))
            var service = GatewayFixture.service
            service.gateway.whenUnmeterable = choice
            await fixture.apply(service, [origin.port])
            try await blocking {
                let client = try fixture.connect()
                var statuses: [Int] = []
                for _ in 0..<300 {
                    statuses.append(try client.exchange("GET / HTTP/1.1\r\nhost: web\r\n\r\n").status)
                }
                #expect(statuses.first == 200)
                #expect(statuses.last == (choice == .serve ? 200 : 503))
                #expect(fixture.gateway.statistics.total("records_refused") > 0)
            }
            await fixture.stop()
        }
    }
}

@Suite struct DescriptorLimitTests {
    /// Whatever the limit, what the loops open fits in it, and clients leave some of it for connections to instances.
    @Test(arguments: [16, 60, 256, 1_024, 20_000, 1_048_576] as [Int64], [1, 2, 64])
    func connectionsFitInTheDescriptors(_ limit: Int64, _ loops: Int) {
        let configuration = GatewayConfiguration(
            name: "a", listeners: [GatewayListener(Endpoint(address: "127.0.0.1", port: 0))], loops: loops,
            spoolDirectory: "/none",
            auditTagKey: Array(repeating: 1, count: 16))
        let limits = configuration.fitted(toDescriptors: limit).limits
        #expect(Int64(loops * limits.filesPerLoop) <= max(limit, Int64(2 * loops)))
        #expect((1..<limits.filesPerLoop).contains(limits.connectionsPerLoop))
        if limit == 1_048_576, loops == 1 { #expect(limits == configuration.limits) }
    }
}
