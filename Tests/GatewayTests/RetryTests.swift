import CloudModel
import Foundation
import Gateway
import Testing

extension GatewayTests {
    /// A request is repeated where that is safe, and only there.
    @Suite struct Retries {
        @Test func aConnectionThatTheInstanceHadClosedCostsNothing() async throws {
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try fixture.connect()
                for method in ["GET", "POST", "PUT", "POST", "GET"] {
                    let request = "\(method) / HTTP/1.1\r\nhost: web\r\ncontent-length: 2\r\n\r\nab"
                    #expect(try client.exchange(request).status == 200)
                    origin.closeConnections()
                    try waitUntil("the connections are closed") { origin.openConnections == 0 }
                }
            }
            await fixture.stop()
        }

        /// Reads each request and closes without a word when the connection has served one before.
        private static func closingOnReuse() throws -> TestOrigin {
            try TestOrigin { connection, origin in
                guard let first = try TestRequest(from: connection) else { return }
                origin.note(first)
                try connection.write(TestAnswer(body: Array("ok".utf8)).bytes(for: first))
                if let second = try TestRequest(from: connection) { origin.note(second) }
            }
        }

        @Test func anIdempotentRequestIsRepeatedOnAFreshConnection() async throws {
            let origin = try Self.closingOnReuse()
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try fixture.connect()
                for _ in 0..<5 {
                    let request = "PUT /x HTTP/1.1\r\nhost: web\r\ncontent-length: 4\r\n\r\nbody"
                    #expect(try client.exchange(request).text == "ok")
                }
                #expect(fixture.gateway.statistics.total("stale_retries") == 4)
                #expect(origin.requests.allSatisfy { $0.body == Array("body".utf8) })
                #expect(try fixture.usage(count: 5).allSatisfy { $0.outcome == .completed })
            }
            await fixture.stop()
        }

        @Test func aPostThatWasSentIsNotRepeated() async throws {
            let origin = try Self.closingOnReuse()
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try fixture.connect()
                let request = "POST /x HTTP/1.1\r\nhost: web\r\ncontent-length: 4\r\n\r\nbody"
                #expect(try client.exchange(request).status == 200)
                #expect(try client.exchange(request).status == 502)
                #expect(origin.requests.count == 2)
                #expect(try client.exchange(request).status == 200)
            }
            await fixture.stop()
        }

        @Test func aRefusedConnectionIsNobodysRequest() async throws {
            let dead = try TestOrigin.echo()
            dead.kill()
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(dead, origin)
            try await blocking {
                let client = try fixture.connect()
                for _ in 0..<40 {
                    let request = "POST / HTTP/1.1\r\nhost: web\r\ncontent-length: 2\r\n\r\nab"
                    #expect(try client.exchange(request).text == "ab")
                }
                #expect(try fixture.usage(count: 40).allSatisfy { $0.instance == InstanceID("web-\(origin.port)") })
            }
            var events = fixture.gateway.events.makeAsyncIterator()
            var failure: DataPlaneEvent?
            while failure == nil, let event = await events.next() {
                if case .backendFailure = event { failure = event }
            }
            guard case .backendFailure("web", let instance, .connectionRefused, _)? = failure else {
                Issue.record("not the failure that was expected: \(String(describing: failure))")
                return
            }
            #expect(instance == InstanceID("web-\(dead.port)"))
            await fixture.stop()
        }

        /// A listener whose queue is full answers no connection at all.
        @Test func aConnectionThatIsNotMadeInTimeIsMadeElsewhere() async throws {
            let deaf = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            defer { close(deaf) }
            var address = TestSocket.loopback(0)
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            withUnsafeMutablePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                    _ =
                        bind(deaf, pointer, length) == 0 && listen(deaf, 0) == 0
                        && getsockname(deaf, pointer, &length) == 0
                }
            }
            let port = UInt16(bigEndian: address.sin_port)
            let filler = try TestSocket(port: port)
            defer { filler.close() }
            let origin = try TestOrigin.echo()
            let fixture = try GatewayFixture()
            var service = GatewayFixture.service
            service.gateway.connectTimeout = .milliseconds(100)
            service.loadBalancing.algorithm = .roundRobin
            await fixture.apply(service, [port, origin.port])
            try await blocking {
                for _ in 0..<4 {
                    let request = "POST / HTTP/1.1\r\nhost: web\r\ncontent-length: 2\r\n\r\nab"
                    let response = try fixture.connect().exchange(request)
                    #expect(response.text == "ab")
                }
                #expect(fixture.gateway.statistics.total("timeouts") >= 1)
            }
            await fixture.stop()
        }

        @Test func whenNobodyAnswersItIsABadGateway() async throws {
            let dead = try TestOrigin.echo()
            dead.kill()
            let fixture = try await GatewayFixture.serving(dead) { $0.constraints.queueTimeout = .milliseconds(300) }
            try await blocking {
                let response = try fixture.get()
                #expect([502, 503].contains(response.status))
                #expect(try fixture.usage(count: 1).first?.status == UInt16(response.status))
            }
            await fixture.stop()
        }

        @Test func responseTimeoutIsAGatewayTimeout() async throws {
            let origin = try TestOrigin { connection, _ in while try connection.byte() != nil {} }
            let fixture = try await GatewayFixture.serving(origin) { $0.gateway.responseTimeout = .milliseconds(200) }
            try await blocking {
                let client = try fixture.connect()
                let response = try client.exchange("GET / HTTP/1.1\r\nhost: web\r\n\r\n")
                #expect(response.status == 504)
                #expect(try fixture.usage(count: 1).first?.outcome == .failed)
            }
            await fixture.stop()
        }

        /// An instance that stands still has the request; the control plane finds it down and takes it out.
        @Test func waitingRequestsLeaveABackendThatIsTakenOut() async throws {
            let frozen = try TestOrigin { connection, origin in
                while let request = try TestRequest(from: connection) { origin.note(request) }
            }
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(frozen)
            let answers = Task {
                try await concurrently(8) { _ in
                    let client = try fixture.connect()
                    return try client.exchange("GET / HTTP/1.1\r\nhost: web\r\n\r\n").status
                }
            }
            let post = Task {
                try await blocking {
                    let client = try fixture.connect()
                    let request = "POST / HTTP/1.1\r\nhost: web\r\ncontent-length: 2\r\n\r\nab"
                    return try? client.exchange(request).status
                }
            }
            try await blocking { try waitUntil("all wait") { frozen.requests.count == 9 } }
            await fixture.apply(GatewayFixture.service, [origin.port])
            #expect(try await answers.value == Array(repeating: 200, count: 8))
            // What may not be repeated stays with the instance that has it.
            frozen.kill()
            #expect(try await post.value == 502)
            #expect(origin.requests.count == 8)
            await fixture.stop()
        }

        @Test(arguments: [1, 2])
        func anInstanceKilledUnderLoadFailsNoRequest(_ loops: Int) async throws {
            let origins = [try TestOrigin.echo(), try TestOrigin.echo(), try TestOrigin.echo()]
            let fixture = try await GatewayFixture.serving(origins[0], origins[1], origins[2], loops: loops)
            let stop = Tally()
            let served = Tally()
            let killer = Task {
                try await blocking {
                    try waitUntil("there is load") { served.count > 300 }
                    origins[1].kill()
                    let before = served.count
                    try waitUntil("there is load after the kill") { served.count > before + 1_000 }
                    stop.add()
                }
            }
            let failures = try await concurrently(12) { _ in
                var failures: [String] = []
                while stop.count == 0 {
                    let client = try fixture.connect()
                    for _ in 0..<50 where stop.count == 0 {
                        let response = try client.exchange("GET / HTTP/1.1\r\nhost: web\r\n\r\n")
                        if response.status == 200 { served.add() } else { failures.append(response.head) }
                    }
                }
                return failures
            }
            try await killer.value
            #expect(failures.joined().isEmpty)
            #expect(try await blocking { try fixture.usage(count: served.count).count } == served.count)
            await fixture.stop()
        }
    }
}
