import AdministrationAPI
import CloudModel
import CloudPorts
import ConfigurationFile
import PayPerUse
import RemoteAdministration
import Testing

@Suite struct FailureLimiterTests {
    private let begin = Timestamp(microseconds: 1_000_000_000)

    @Test("ten failures are told as such, the next ones as too many, until the minute is over")
    func window() {
        var limiter = FailureLimiter()
        for second in 0..<10 {
            let verdict = limiter.failure(from: "192.0.2.1", at: begin + .seconds(Int64(second)))
            #expect(verdict == FailureLimiter.Verdict(record: true))
        }
        let last = limiter.failure(from: "192.0.2.1", at: begin + .seconds(10))
        #expect(last == FailureLimiter.Verdict(record: true, retryAfterSeconds: 50))
        let more = limiter.failure(from: "192.0.2.1", at: begin + .seconds(59) + .milliseconds(500))
        #expect(more == FailureLimiter.Verdict(record: false, retryAfterSeconds: 1))
        #expect(limiter.suppressed == 1)
        #expect(limiter.failure(from: "192.0.2.2", at: begin + .seconds(59)).retryAfterSeconds == nil)
        #expect(limiter.failure(from: "192.0.2.1", at: begin + .seconds(60)) == FailureLimiter.Verdict(record: true))
    }

    @Test("an IPv6 host is counted by its network, whatever address it takes")
    func networks() {
        var limiter = FailureLimiter()
        for host in 0..<11 { _ = limiter.failure(from: "2001:db8:0:7::\(host)", at: begin) }
        #expect(limiter.failure(from: "2001:db8:0:7:ffff::1", at: begin).retryAfterSeconds != nil)
        #expect(limiter.failure(from: "2001:db8::1", at: begin).retryAfterSeconds == nil)
        #expect(limiter.failure(from: "2001:db8:0:8::1", at: begin).retryAfterSeconds == nil)
    }

    @Test("many sources cost bounded memory and bounded records")
    func manySources() {
        var limiter = FailureLimiter()
        var recorded = 0
        for source in 0..<10_000 {
            if limiter.failure(from: "10.0.\(source / 256).\(source % 256)", at: begin).record { recorded += 1 }
        }
        #expect(limiter.sourceCount <= 4_097)
        #expect(recorded == 600)
        #expect(limiter.failure(from: "10.200.0.1", at: begin).retryAfterSeconds != nil, "the rest share one count")
        #expect(limiter.failure(from: "10.200.0.1", at: begin + .seconds(61)).retryAfterSeconds == nil)
        #expect(limiter.sourceCount < 10)
    }

    @Test("a clock that goes back does not keep a source out")
    func clockGoesBack() {
        var limiter = FailureLimiter()
        for _ in 0..<11 { _ = limiter.failure(from: "192.0.2.1", at: begin) }
        #expect(limiter.failure(from: "192.0.2.1", at: begin - .seconds(5)).retryAfterSeconds == nil)
    }
}

@Suite struct WireTests {
    @Test("every word of the model has one on the wire")
    func words() {
        func check<Model: CaseIterable & RawRepresentable<String>, Wire: WireEnumeration>(
            _ model: Model.Type, _ wire: Wire.Type
        ) {
            #expect(Set(Model.allCases.map(\.rawValue)) == Set(Wire.allCases.map(\.rawValue)), "\(model)")
        }
        check(BillLine.Kind.self, API.BillLineKind.self)
        check(FocusExport.Version.self, API.FocusVersion.self)
        check(UsageDifference.Cause.self, API.DifferenceCause.self)
        check(Administrator.Role.self, API.Role.self)
        check(ConsumerAccess.self, API.Access.self)
        check(ConstraintKind.self, API.ConstraintKind.self)
        check(InstancePhase.self, API.InstancePhase.self)
        check(OperationalState.self, API.OperationalState.self)
        check(AdministrativeState.self, API.AdministrativeState.self)
        check(FailoverRole.self, API.FailoverRole.self)
        check(FailoverGroup.Mode.self, API.FailoverMode.self)
        check(FailoverGroup.StandbyReadiness.self, API.StandbyReadiness.self)
        check(CloudModel.Operation.State.self, API.OperationState.self)
        check(Mechanism.self, API.Mechanism.self)
        check(CloudModel.Notification.Severity.self, API.Severity.self)
        check(AuditEvent.Outcome.self, API.LoginOutcome.self)
        check(AuditEvent.CredentialKind.self, API.CredentialKind.self)
        check(UsageComparison.Finding.self, API.UsageFinding.self)
        check(UsageAnomaly.Kind.self, API.UsageAnomalyKind.self)
        check(ResourceDifference.Change.self, API.ChangeKind.self)
        #expect(
            Set(RequestOutcome.allCases.map { API.RequestOutcome($0) }).count == API.RequestOutcome.allCases.count)
    }

    @Test("the API document can be made, and describes every field of every type")
    func document() {
        #expect(OpenAPIDocument.bytes.count > 10_000)
    }
}

@Suite struct JSONSyntaxTests {
    @Test(
        "what is JSON has no fault",
        arguments: [
            "{}", "[]", " null ", "true", "-0.5e+10", #"{"a":[1,2,{"b":"\u00e9\n"}],"c":false}"#, "\"é公\"", "0",
        ])
    func valid(text: String) { #expect(JSONSyntax.fault(in: Array(text.utf8)) == nil) }

    @Test(
        "what is none is told with its place",
        arguments: [
            ("", 1, 1, "a value"), ("{", 1, 2, "a name in double quotes"),
            ("{\"a\":1,}", 1, 8, "a name in double quotes"),
            ("{\n  \"a\" 1}", 2, 7, "':'"), ("[1 2]", 1, 4, "',' or ']'"), ("\"abc", 1, 5, "the closing '\"'"),
            ("nul", 1, 4, "null"), ("01", 1, 2, "the end"), ("1.", 1, 3, "a digit"), ("\"\\x\"", 1, 3, "one of"),
            ("\"\\u00g0\"", 1, 6, "four hex digits"), ("{a:1}", 1, 2, "a name in double quotes"),
            ("{} {}", 1, 4, "the end"),
            ("\"a\nb\"", 1, 3, "an escape"),
        ])
    func invalid(text: String, line: Int, column: Int, expected: String) throws {
        let fault = try #require(JSONSyntax.fault(in: Array(text.utf8)))
        #expect(fault.line == line && fault.column == column && fault.expected.hasPrefix(expected), "\(fault)")
    }

    @Test("deep nesting ends in a fault, not in a crash")
    func deep() {
        let text = Array(repeating: UInt8(ascii: "["), count: 100_000)
        #expect(JSONSyntax.fault(in: text)?.expected == "less nesting")
    }
}
