import AuditMonitor
import CloudModel
import Foundation
import Testing

private let start = Timestamp(microseconds: 1_790_000_000_000_000)

private func login(
    _ second: Int64, _ principal: String = "ada", from address: String = "192.0.2.1", service: ServiceID = "shop",
    outcome: AuditEvent.Outcome = .failure
) -> AuditEvent {
    AuditEvent(
        requestID: RequestID(high: 1, low: UInt64(second)), observer: "gate", service: service, consumer: "acme",
        principal: principal, credentialKind: .password, credentialTag: "hmac-sha256:00", sourceAddress: address,
        userAgent: "curl", method: "POST", path: "/login", outcome: outcome,
        reason: outcome == .failure ? "bad-credential" : "", status: 401, receivedAt: start + .seconds(second),
        forwardedAt: nil, respondedAt: start + .seconds(second))
}

private func opened(_ changes: [BruteForceDetector.Change]) -> [BruteForceDetector.Incident] {
    changes.compactMap { if case .opened(let incident) = $0 { incident } else { nil } }
}

@Suite struct BruteForceTests {
    private let settings = BruteForceDetector.Settings(failures: 5, window: .seconds(60))

    @Test func guessingFromOneAddressIsOneIncident() {
        var detector = BruteForceDetector(settings)
        let changes = (0..<50).flatMap { detector.take(login($0)) }
        #expect(opened(changes).count == 1 && changes.count == 1)
        let incident = detector.openIncidents[0]
        #expect(incident.subject == .address("192.0.2.1") && incident.failures == 50)
        #expect(incident.openedAt == start + .seconds(4) && incident.lastAt == start + .seconds(49))
        #expect(detector.advance(to: start + .seconds(108)).isEmpty)
        #expect(detector.advance(to: start + .seconds(109)) == [.closed(incident)], "quiet for a window")
        #expect(opened((200..<205).flatMap { detector.take(login($0)) }).count == 1, "armed again")
    }

    @Test func manyNamesFromOneAddressAreTheAddress() {
        var detector = BruteForceDetector(settings)
        let changes = (0..<20).flatMap { detector.take(login($0, "user-\($0)")) }
        #expect(opened(changes).map(\.subject) == [.address("192.0.2.1")])
        #expect(detector.openIncidents[0].principals.count == BruteForceDetector.mostNamed)
    }

    @Test func oneNameFromManyAddressesIsThePrincipal() {
        var detector = BruteForceDetector(settings)
        let changes = (0..<20).flatMap { detector.take(login($0, from: "192.0.2.\($0)")) }
        #expect(opened(changes).map(\.subject) == [.principal("ada", "shop")])
        // The same name at another service is somebody else.
        var other = BruteForceDetector(settings)
        let apart = (0..<8).flatMap {
            other.take(login($0, from: "192.0.2.\($0)", service: $0 % 2 == 0 ? "shop" : "wiki"))
        }
        #expect(apart.isEmpty)
    }

    @Test func whatIsNoGuessDoesNotCount() {
        var detector = BruteForceDetector(settings)
        for second in 0..<40 {
            #expect(detector.take(login(Int64(second), outcome: .success)).isEmpty)
            #expect(detector.take(login(Int64(second), outcome: .unknown)).isEmpty)
        }
        // Four in a minute, for ever.
        for second in 0..<40 { #expect(detector.take(login(Int64(second) * 15)).isEmpty, "\(second)") }
    }

    @Test func anIPv6HostIsItsNetwork() {
        var detector = BruteForceDetector(settings)
        let changes = (0..<5).flatMap { detector.take(login($0, "u\($0)", from: "2001:db8::\($0 + 1)")) }
        #expect(opened(changes).map(\.subject) == [.address("2001:db8:0:0::/64")])
    }

    @Test func whatWasOpenBeforeARestartIsNotOpenedAgain() {
        var detector = BruteForceDetector(settings)
        for second in 0..<10 { _ = detector.take(login(Int64(second))) }
        var restarted = BruteForceDetector(settings, open: detector.openIncidents)
        #expect((0..<30).flatMap { restarted.take(login($0)) }.isEmpty)
        #expect(restarted.openIncidents.map(\.id) == detector.openIncidents.map(\.id))
    }

    @Test func memoryIsBoundedWhoeverGuesses() {
        var detector = BruteForceDetector(settings)
        for number in 0..<30_000 {
            _ = detector.take(login(Int64(number / 1_000), "u\(number)", from: "10.\(number >> 8).\(number & 255).1"))
        }
        #expect(detector.subjectCount <= 8_192 + 1)
    }
}

@Suite struct LoginLockoutTests {
    @Test func thePairIsLockedAndNobodyElse() {
        var lockout = LoginLockout(LoginLockout.Settings(failures: 3, duration: .seconds(60)))
        for second in Int64(0)..<3 {
            #expect(lockout.lockedUntil("ada", from: "192.0.2.1", at: start + .seconds(second)) == nil)
            lockout.failed("ada", from: "192.0.2.1", at: start + .seconds(second))
        }
        let now = start + .seconds(3)
        #expect(lockout.lockedUntil("ada", from: "192.0.2.1", at: now) == start + .seconds(62))
        #expect(lockout.lockedUntil("ada", from: "192.0.2.2", at: now) == nil, "the principal elsewhere")
        #expect(lockout.lockedUntil("bob", from: "192.0.2.1", at: now) == nil, "another one there")
        // Whoever goes on guessing prolongs nothing, and elsewhere a success frees nobody.
        lockout.failed("ada", from: "192.0.2.1", at: now)
        lockout.succeeded("ada", from: "192.0.2.2")
        #expect(lockout.lockedUntil("ada", from: "192.0.2.1", at: start + .seconds(61)) != nil)
        #expect(lockout.lockedUntil("ada", from: "192.0.2.1", at: start + .seconds(62)) == nil)
        lockout.failed("ada", from: "192.0.2.1", at: start + .seconds(62))
        #expect(lockout.lockedUntil("ada", from: "192.0.2.1", at: start + .seconds(63)) == nil, "counted anew")
    }

    @Test func aSuccessEndsARow() {
        var lockout = LoginLockout(LoginLockout.Settings(failures: 2, duration: .seconds(60)))
        for second in stride(from: Int64(0), to: 20, by: 2) {
            lockout.failed("ada", from: "192.0.2.1", at: start + .seconds(second))
            lockout.succeeded("ada", from: "192.0.2.1")
            #expect(lockout.lockedUntil("ada", from: "192.0.2.1", at: start + .seconds(second)) == nil)
        }
    }

    @Test func withoutSettingsNobodyIsLocked() {
        var lockout = LoginLockout(nil)
        for _ in 0..<100 { lockout.failed("ada", from: "192.0.2.1", at: start) }
        #expect(lockout.lockedUntil("ada", from: "192.0.2.1", at: start) == nil)
    }

    @Test func memoryIsBounded() {
        var lockout = LoginLockout(LoginLockout.Settings(failures: 2, duration: .seconds(60)))
        for number in 0..<40_000 { lockout.failed("u\(number)", from: "192.0.2.1", at: start) }
        #expect(lockout.pairCount <= LoginLockout.mostPairs)
    }
}

@Suite struct RuleLockoutsTests {
    private let rule = LoginRule.Lockout(failures: 2, duration: .seconds(60))

    private func attempt(
        _ principal: String, at service: ServiceID, _ outcome: AuditEvent.Outcome, isForwarded: Bool = true
    ) -> AuditEvent {
        var event = login(1, principal, from: "192.0.2.1")
        event.service = service
        event.outcome = outcome
        event.forwardedAt = isForwarded ? event.receivedAt : nil
        event.respondedAt = start
        return event
    }

    @Test func servicesAndRulesAreApart() {
        var lockouts = RuleLockouts()
        func isLocked(_ principal: String, _ service: ServiceID, _ rule: LoginRule.Lockout) -> Bool {
            lockouts.lockedUntil(principal, of: service, from: "192.0.2.1", under: rule, at: start) != nil
        }
        for _ in 0..<2 { lockouts.take(attempt("ada", at: "shop", .failure), under: rule) }
        #expect(isLocked("ada", "shop", rule))
        #expect(!isLocked("ada", "bank", rule) && !isLocked("bob", "shop", rule))
        #expect(!isLocked("ada", "shop", .init(failures: 2, duration: .seconds(61))))
        lockouts.take(attempt("ada", at: "shop", .success), under: rule)
        #expect(!isLocked("ada", "shop", rule))
    }

    /// An outage, or a refusal of the gateway's own, says nothing of who tried.
    @Test func onlyWhatTheServiceAnsweredCounts() {
        var lockouts = RuleLockouts()
        for _ in 0..<9 {
            lockouts.take(attempt("ada", at: "shop", .unknown), under: rule)
            lockouts.take(attempt("ada", at: "shop", .failure, isForwarded: false), under: rule)
            lockouts.take(attempt("", at: "shop", .failure), under: rule)
        }
        for name in ["ada", ""] {
            #expect(lockouts.lockedUntil(name, of: "shop", from: "192.0.2.1", under: rule, at: start) == nil)
        }
    }

    @Test func settingsAreBounded() {
        var lockouts = RuleLockouts()
        for failures in 2..<60 {
            lockouts.take(
                attempt("ada", at: "shop", .failure), under: .init(failures: failures, duration: .seconds(60)))
        }
        #expect(lockouts.settingsCount == 16)
    }
}

@Suite struct AuditExportTests {
    private var event: AuditEvent {
        var event = login(1, "eve|=\\\"]\n名", from: "192.0.2.7")
        event.userAgent = "a=b\\c\u{1}"
        return event
    }

    @Test func ocsfIsAuthenticationAsItsClassSays() throws {
        let line = AuditExport.ocsf.line(event, position: 7, version: "1.2")
        #expect(!line.contains("\n"))
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        // What the class requires (schema.ocsf.io, 1.3.0).
        for name in ["activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid", "user"]
        {
            #expect(object[name] != nil, "\(name)")
        }
        #expect(object["class_uid"] as? Int == 3_002 && object["type_uid"] as? Int == 300_201)
        #expect(object["time"] as? Int == 1_790_000_001_000 && object["status_id"] as? Int == 2)
        #expect((object["user"] as? [String: Any])?["name"] as? String == event.principal)
        #expect((object["metadata"] as? [String: Any])?["sequence"] as? Int == 7)
        #expect((object["http_request"] as? [String: Any])?["user_agent"] as? String == event.userAgent)
    }

    @Test func cefFieldsCannotBeForged() {
        let line = AuditExport.cef.line(event, position: 7, version: "1|2")
        #expect(line.hasPrefix(#"CEF:0|Cloudwright|cloudwright|1\|2|login-failure|Login failure|5|rt=1790000001000 "#))
        #expect(line.contains(#" duser=eve|\=\\"]\n名 "#) && !line.contains("\n"))
        #expect(line.contains(" src=192.0.2.7 ") && line.contains(#"requestClientApplication=a\=b\\c"#))
        var other = event
        other.sourceAddress = "2001:db8::1"
        #expect(AuditExport.cef.line(other, position: 7, version: "1").contains("c6a2=2001:db8::1"))
    }

    @Test func syslogIsRFC5424() {
        let line = AuditExport.syslog.line(event, position: 7, version: "1")
        // Facility 10, severity 4.
        #expect(
            line.hasPrefix("<84>1 2026-09-21T14:13:21.000000Z gate cloudwright - login [login@32473 position=\"7\" "),
            "\(line)")
        #expect(line.contains(#"principal="eve|=\\\"\]\n名""#) && !line.contains("\n"))
        #expect(line.hasSuffix("] login failure"))
        var success = event
        success.outcome = .success
        #expect(AuditExport.syslog.line(success, position: 7, version: "1").hasPrefix("<86>1 "))
    }
}
