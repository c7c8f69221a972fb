import CloudModel
import Foundation
import Gateway
import Testing

extension GatewayTests {
    @Suite struct Metering {
        private struct Journal: Sendable {
            /// What was received whole, by request id: status, bytes sent, bytes received.
            var answers: [String: (status: Int, sent: Int, received: Int)] = [:]
            /// Requests given up before the answer.
            var abandoned = 0
        }

        /// Every answer that a client got is in the books exactly once, with the bytes that crossed the connection.
        @Test func everyAnswerIsBookedOnce() async throws {
            let origin = try TestOrigin.http { request in
                usleep(request.target == "/slow" ? 30_000 : 0)
                return TestAnswer(body: Array(repeating: 0x61, count: Int(request.target.dropFirst()) ?? 10))
            }
            let fixture = try await GatewayFixture.serving(origin, loops: 2) { service in
                service.constraints.concurrentRequestsPerInstance = 4
                service.constraints.queueLength = 0
            }
            let journals = try await concurrently(8) { try Self.drive(fixture, seed: UInt64($0)) }
            let answers = journals.reduce(into: [:]) { $0.merge($1.answers) { first, _ in first } }
            let abandoned = journals.reduce(0) { $0 + $1.abandoned }
            let total = journals.reduce(0) { $0 + $1.answers.count }
            #expect(answers.count == total)
            let records = try await blocking { try fixture.usage(count: total + abandoned) }
            let byID = Dictionary(grouping: records) { $0.requestID.description }
            #expect(byID.count == records.count)
            for (id, answer) in answers {
                let record = try #require(byID[id]?.first)
                #expect(Int(record.status) == answer.status)
                #expect(record.outcome == (answer.status == 429 ? .rejected : .completed))
                #expect(record.bytesOut == UInt64(answer.received))
                #expect(record.bytesIn == UInt64(answer.sent))
                #expect((record.instance == nil) == (answer.status == 429))
            }
            #expect(answers.values.contains { $0.status == 429 })
            #expect(answers.values.contains { $0.status == 200 })
            let served = fixture.gateway.statistics.services.first
            #expect(
                served?.rejected
                    == UInt64(
                        answers.values.count { $0.status == 429 }
                            + records.count {
                                $0.outcome == .rejected && answers[$0.requestID.description] == nil
                            }))
            await fixture.stop()
        }

        private static func drive(_ fixture: GatewayFixture, seed: UInt64) throws -> Journal {
            var random = SeededGenerator(seed: seed)
            var journal = Journal()
            var client = try fixture.connect()
            for _ in 0..<150 {
                let size = Int.random(in: 0..<20_000, using: &random)
                let body = Array(repeating: UInt8(0x62), count: Int.random(in: 0..<3_000, using: &random))
                let gone = Int.random(in: 0..<12, using: &random) == 0
                let head =
                    "PUT /\(gone ? "slow" : "\(size)") HTTP/1.1\r\nhost: web\r\ncontent-length: \(body.count)\r\n\r\n"
                try client.write(Array(head.utf8) + body)
                if gone {
                    client.reset()
                    journal.abandoned += 1
                    client = try fixture.connect()
                    continue
                }
                guard let response = try client.readResponse() else {
                    throw TestSocket.Failure(description: "no response")
                }
                journal.answers[response["x-request-id"] ?? ""] = (
                    response.status, head.utf8.count + body.count, response.head.utf8.count + response.body.count
                )
            }
            return journal
        }

        /// The record is there before the last byte of the answer: a client that has it can look it up at once.
        @Test func theRecordComesBeforeTheAnswer() async throws {
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try fixture.connect()
                for count in 1...50 {
                    _ = try client.exchange("GET / HTTP/1.1\r\nhost: web\r\n\r\n")
                    #expect(try fixture.usage().count == count)
                }
            }
            await fixture.stop()
        }

        @Test func timesAreInOrder() async throws {
            let origin = try TestOrigin.http { _ in
                usleep(20_000)
                return TestAnswer()
            }
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let before = Int64(Date().timeIntervalSince1970 * 1_000_000)
                _ = try fixture.get()
                let after = Int64(Date().timeIntervalSince1970 * 1_000_000)
                let record = try #require(try fixture.usage(count: 1).first)
                let forwardedAt = try #require(record.forwardedAt)
                // A loop reads its clock once for all that is ready: a record is early by what the loop was put aside.
                #expect(record.receivedAt.microseconds >= before - 1_000_000)
                #expect(forwardedAt >= record.receivedAt)
                #expect(record.busyTime >= .milliseconds(20))
                #expect(record.completedAt.microseconds <= after + 1_000_000)
            }
            await fixture.stop()
        }
    }
}
