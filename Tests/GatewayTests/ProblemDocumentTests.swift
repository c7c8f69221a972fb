import CloudModel
import Foundation
import Gateway
import ScalingListener
import Testing

@Suite struct ProblemDocumentTests {
    private func body(_ problem: ProblemDocument) throws -> [String: Any] {
        var buffer = [UInt8](repeating: 0xFF, count: ProblemDocument.maximumBodySize)
        let count = buffer.withUnsafeMutableBytes { problem.writeBody(into: $0) }
        #expect(count < buffer.count)
        #expect(buffer[count...].allSatisfy { $0 == 0xFF })
        return try #require(
            try JSONSerialization.jsonObject(with: Data(buffer[..<count])) as? [String: Any],
            "\(String(decoding: buffer[..<count], as: UTF8.self))")
    }

    private func fields(_ problem: ProblemDocument) -> [String] {
        var buffer = [UInt8](repeating: 0, count: ProblemDocument.maximumFieldsSize)
        let count = buffer.withUnsafeMutableBytes { problem.writeFields(into: $0) }
        #expect(count < buffer.count)
        let text = String(decoding: buffer[..<count], as: UTF8.self)
        #expect(text.hasSuffix("\r\n"))
        return text.components(separatedBy: "\r\n").dropLast()
    }

    @Test(arguments: ProblemKind.allCases)
    func everyRefusalIsAProblemDocument(_ kind: ProblemKind) throws {
        let problem = ProblemDocument(kind, service: "web", requestID: RequestID(high: 1, low: 0xABC))
        let body = try body(problem)
        #expect(body["status"] as? Int == Int(problem.status))
        #expect((body["type"] as? String)?.hasPrefix("urn:cloudwright:problem:") == true)
        for member in ["title", "detail", "remedy"] { #expect((body[member] as? String)?.isEmpty == false) }
        #expect(body["service"] as? String == "web")
        #expect(body["requestID"] as? String == "00000000000000010000000000000abc")
        #expect(fields(problem).contains("content-type: application/problem+json"))
        let challenges = fields(problem).filter { $0.hasPrefix("www-authenticate: Bearer") }
        #expect(challenges.count == (problem.status == 401 ? 1 : 0))
    }

    @Test func everyStatusThatTheGatewayGivesIsThere() {
        let statuses = Set(ProblemKind.allCases.map { ProblemDocument($0).status })
        #expect(
            statuses.sorted() == [
                400, 401, 403, 404, 408, 411, 413, 414, 417, 421, 429, 431, 501, 502, 503, 504, 505,
            ])
    }

    @Test func typesAreDifferent() throws {
        let types = try ProblemKind.allCases.map { try body(ProblemDocument($0))["type"] as? String }
        #expect(Set(types).count == ProblemKind.allCases.count)
    }

    @Test func anExhaustedQuotaIsNamed() throws {
        var problem = ProblemDocument(.quotaExhausted, service: "web")
        let resetsAt = Timestamp(microseconds: 1_796_083_200_000_000)
        problem.quota = QuotaRefusal(
            ExhaustedQuota(
                consumer: "acme", kind: .amount, limit: 10_000, used: 10_250, currency: Currency("EUR"),
                resetsAt: resetsAt))
        let body = try body(problem)
        #expect(body["quota"] as? String == "amount-per-month" && body["limit"] as? String == "100.00")
        #expect(body["used"] as? String == "102.50" && body["balance"] as? String == "-2.50")
        #expect(body["currency"] as? String == "EUR" && body["resetsAt"] as? String == resetsAt.rfc3339)
        let quota = try #require(problem.quota)
        #expect(quota.retryAfterSeconds(at: resetsAt - .microseconds(1)) == 1)
        #expect(quota.retryAfterSeconds(at: resetsAt - .seconds(90)) == 90)
    }

    @Test(arguments: ConstraintKind.allCases)
    func aReachedLimitIsNamed(_ kind: ConstraintKind) throws {
        var problem = ProblemDocument(.limitReached, service: "web")
        problem.constraint = kind
        problem.limit = 3
        problem.current = 4
        problem.retryAfterSeconds = 2
        problem.maximumWaitSeconds = 300
        let body = try body(problem)
        #expect(body["constraint"] as? String == kind.rawValue)
        #expect(body["limit"] as? Int == 3)
        #expect(body["current"] as? Int == 4)
        #expect(body["retryAfterSeconds"] as? Int == 2)
        #expect(body["maximumWaitSeconds"] as? Int == 300)
        let remedy = try #require(body["remedy"] as? String)
        #expect(remedy.contains("cloudwright constraint set web \(kind.rawValue) NUMBER"))
        #expect(remedy.contains("Prefer: wait=N with up to 300 seconds"))
        #expect(fields(problem).contains("retry-after: 2"))
    }

    @Test func theListenersRefusalSaysWhenToComeBack() throws {
        let refusal = AdmissionRefusal(
            barrier: .rate, limit: 10, current: 10, retryAfter: .milliseconds(1_001))
        let problem = ProblemDocument(
            refusal, maximumWait: .minutes(5), service: "web", requestID: nil, changeContact: "ops@example.org")
        #expect(problem.status == 429)
        #expect(problem.retryAfterSeconds == 2)
        // Waiting does not help against a rate.
        #expect(try body(problem)["maximumWaitSeconds"] == nil)
        #expect((try body(problem)["remedy"] as? String)?.contains("ask ops@example.org") == true)
        let seats = AdmissionRefusal(barrier: .seats, limit: 3, current: 3, retryAfter: .zero)
        let other = ProblemDocument(
            seats, maximumWait: .minutes(5), service: "web", requestID: nil, changeContact: nil)
        #expect(other.retryAfterSeconds == 1)
        #expect(try body(other)["constraint"] as? String == "maximum-instances")
        #expect(try body(other)["maximumWaitSeconds"] as? Int == 300)
        let full = AdmissionRefusal(barrier: .queueFull, limit: 5, current: 5, retryAfter: .seconds(1))
        #expect(
            ProblemDocument(full, maximumWait: .zero, service: "web", requestID: nil, changeContact: nil).status == 503)
    }

    @Test func strangeNamesStayInsideTheirText() throws {
        let name = "a\"b\\c\n\u{1}é\u{1F600}"
        let body = try body(ProblemDocument(.noInstance, service: ServiceID(name)))
        #expect(body["service"] as? String == name)
    }

    /// The buffer suffices for the longest texts that can be, and nothing is cut in the middle of a character.
    @Test(arguments: ProblemKind.allCases, ["\u{1}", "\"", "é", "\u{1F600}"])
    func theBufferAlwaysSuffices(_ kind: ProblemKind, _ character: String) throws {
        let long = String(repeating: character, count: 1_000)
        var problem = ProblemDocument(kind, service: ServiceID(long), requestID: RequestID(high: .max, low: .max))
        problem.changeContact = long
        problem.constraint = .concurrentRequestsPerConsumer
        problem.limit = .min
        problem.current = .max
        problem.retryAfterSeconds = .max
        problem.maximumWaitSeconds = .max
        let body = try body(problem)
        let service = try #require(body["service"] as? String)
        #expect(!service.isEmpty && long.hasPrefix(service))
        #expect(body["limit"] as? Int == .min)
        _ = fields(problem)
    }

    @Test(arguments: NormalPath.Fault.allCases)
    func everyPathFaultIsExplained(_ fault: NormalPath.Fault) throws {
        let problem = ProblemDocument(fault, requestID: nil)
        #expect(problem.status == (fault == .tooLong ? 414 : 400))
        #expect(
            try body(problem)["detail"] as? String != (try body(ProblemDocument(problem.kind))["detail"] as? String))
    }

    @Test func verdictsBecomeProblems() {
        let statuses = IdentifiedCaller.Verdict.allCases.map {
            ProblemDocument($0, service: "web", requestID: nil)?.status
        }
        #expect(statuses == [nil, 401, 401, 401, 401, 403])
    }
}
