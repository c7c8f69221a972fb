import CloudModel
import CloudPorts

extension LogDatabaseContract {
    static let auditChecks: [LogDatabaseContract] = [
        LogDatabaseContract("audit events are found by every filter, page by page") { open in
            try await session(open) { database in
                var events: [AuditEvent] = []
                for index in 0..<30 {
                    var event = Samples.audit(
                        UInt64(index), principal: index % 2 == 0 ? "ann" : "bob\u{0}",
                        address: index % 3 == 0 ? "192.0.2.1" : "2001:db8::1", service: index % 5 == 0 ? "shop" : "old",
                        outcome: AuditEvent.Outcome.allCases[index % 3], at: Samples.start + .seconds(Int64(index)))
                    event.consumer = index % 4 == 0 ? "beta" : nil
                    events.append(event)
                }
                try await database.ingest(Samples.batch(1, events.map { .audit($0) }))
                let all = events
                func requireFound(
                    _ what: String, _ change: (inout AuditQuery) -> Void, where condition: (AuditEvent) -> Bool
                ) async throws {
                    var query = AuditQuery()
                    change(&query)
                    let found = try await database.auditEvents(query).elements.map(\.event)
                    try requireEqual(found, all.filter(condition), what)
                    try require(!found.isEmpty, "the sample has some by \(what)")
                }
                try await requireFound("service", { $0.service = "shop" }, where: { $0.service == "shop" })
                try await requireFound("consumer", { $0.consumer = "beta" }, where: { $0.consumer == "beta" })
                try await requireFound(
                    "principal", { $0.principal = "bob\u{0}" }, where: { $0.principal == "bob\u{0}" })
                try await requireFound(
                    "address", { $0.sourceAddress = "192.0.2.1" }, where: { $0.sourceAddress == "192.0.2.1" })
                try await requireFound("outcome", { $0.outcome = .unknown }, where: { $0.outcome == .unknown })
                try await requireFound(
                    "time",
                    {
                        $0.from = Samples.start + .seconds(4)
                        $0.until = Samples.start + .seconds(9)
                    },
                    where: {
                        $0.receivedAt >= Samples.start + .seconds(4) && $0.receivedAt < Samples.start + .seconds(9)
                    })
                var query = AuditQuery()
                query.limit = 7
                var found: [StoredAuditEvent] = []
                repeat {
                    let page = try await database.auditEvents(query)
                    found += page.elements
                    query.after = page.next ?? -1
                } while query.after >= 0 && found.count < 100
                try requireEqual(found.map(\.event), all, "every page once")
                try require(zip(found, found.dropFirst()).allSatisfy { $0.position < $1.position }, "in order")
                query = AuditQuery()
                query.limit = 2
                query.newest = true
                let newest = try await database.auditEvents(query).elements.map(\.event)
                try requireEqual(newest, Array(all.suffix(2)), "the newest, in order")
                query.before = try await database.auditEvents(query).next
                let older = try await database.auditEvents(query).elements.map(\.event)
                try requireEqual(older, Array(all.dropLast(2).suffix(2)), "those before them")
            }
        },
        LogDatabaseContract("failed logins are ranked by principal and address") { open in
            try await session(open) { database in
                var events: [AuditEvent] = []
                func fail(_ principal: String, _ address: String, _ tags: [String?]) {
                    for tag in tags {
                        let number = UInt64(events.count)
                        events.append(
                            Samples.audit(
                                number, principal: principal, address: address, tag: tag,
                                at: Samples.start + .seconds(Int64(number))))
                    }
                }
                fail("ann", "192.0.2.1", ["a", "a", "b"])
                fail("bob", "192.0.2.1", ["a", nil, "c", "d"])
                fail("ann", "192.0.2.2", ["a"])
                events.append(Samples.audit(99, principal: "cid", outcome: .success))
                events.append(Samples.audit(98, principal: "cid", outcome: .unknown))
                try await database.ingest(Samples.batch(1, events.map { .audit($0) }))
                func ranked(
                    _ principal: String, _ address: String, _ failures: Int, _ credentials: Int, _ first: Int64,
                    _ last: Int64
                ) -> FailedLogins {
                    FailedLogins(
                        principal: principal, sourceAddress: address, failures: failures,
                        distinctCredentials: credentials, firstAt: Samples.start + .seconds(first),
                        lastAt: Samples.start + .seconds(last))
                }
                let expected = [
                    ranked("bob", "192.0.2.1", 4, 3, 3, 6), ranked("ann", "192.0.2.1", 3, 2, 0, 2),
                    ranked("ann", "192.0.2.2", 1, 1, 7, 7),
                ]
                try requireEqual(try await database.failedLogins(AuditQuery(), limit: 10), expected, "the most first")
                try requireEqual(
                    try await database.failedLogins(AuditQuery(), limit: 1), [expected[0]], "limit")
                var query = AuditQuery()
                query.principal = "ann"
                query.until = Samples.start + .seconds(7)
                try requireEqual(try await database.failedLogins(query, limit: 10), [expected[1]], "filtered")
            }
        },
        LogDatabaseContract("logins are counted by service, kind of credential and outcome") { open in
            try await session(open) { database in
                var events: [AuditEvent] = []
                for index in 0..<12 {
                    var event = Samples.audit(
                        UInt64(index), service: index < 8 ? "shop" : "old",
                        outcome: index % 4 == 0 ? .success : .failure, at: Samples.start + .seconds(Int64(index)))
                    if index == 11 { event.credentialKind = .basic }
                    events.append(event)
                }
                try await database.ingest(Samples.batch(1, events.map { .audit($0) }))
                func count(
                    _ service: ServiceID, _ kind: AuditEvent.CredentialKind, _ outcome: AuditEvent.Outcome, _ count: Int
                ) -> LoginCount {
                    LoginCount(service: service, credentialKind: kind, outcome: outcome, count: count)
                }
                try requireEqual(
                    try await database.loginCounts(AuditQuery()),
                    [
                        count("old", .basic, .failure, 1), count("old", .password, .failure, 2),
                        count("old", .password, .success, 1), count("shop", .password, .failure, 6),
                        count("shop", .password, .success, 2),
                    ], "all")
                var query = AuditQuery()
                query.service = "shop"
                query.from = Samples.start + .seconds(1)
                query.until = Samples.start + .seconds(5)
                try requireEqual(
                    try await database.loginCounts(query),
                    [count("shop", .password, .failure, 3), count("shop", .password, .success, 1)], "filtered")
            }
        },
        LogDatabaseContract("a person's logins are erased, and nobody else's") { open in
            try await session(open) { database in
                let events = (0..<6).map { index in
                    Samples.audit(
                        UInt64(index), principal: index % 2 == 0 ? "ann\u{0}'" : "bob",
                        at: Samples.start + .seconds(Int64(index)))
                }
                try await database.ingest(Samples.batch(1, events.map { .audit($0) }))
                // What was offered in another form tells of the person as well.
                var other = events[0]
                other.reason = "other"
                let again = try await database.ingest(Samples.batch(7, [.audit(other)]))
                try requireEqual(again.conflicts, 1, "the same request with other content")
                let before = try await database.auditEvents(AuditQuery()).elements
                var salts: Set<String> = []
                for stored in before {
                    guard case .salted(let salt) = stored.personal else { continue }
                    try requireEqual(salt.count, 64, "256 bits")
                    salts.insert(salt)
                }
                try requireEqual(salts.count, 6, "each login has a salt of its own")

                func erase(_ principal: String) async throws -> ErasureOutcome {
                    try await database.eraseLogins(
                        of: principal, commitment: { event, salt in "\(event.principal.utf8.count)/\(salt)" },
                        event: { Samples.event("audit.erased", details: ["erased": "\($0.erased)"]) })
                }
                try requireEqual(try await erase("ann\u{0}'"), ErasureOutcome(erased: 3, kept: 0), "ann's")
                let after = try await database.auditEvents(AuditQuery()).elements
                for (old, new) in zip(before, after) {
                    guard old.event.principal != "bob" else {
                        try requireEqual(new, old, "bob's stay")
                        continue
                    }
                    guard case .salted(let salt) = old.personal else { continue }
                    try requireEqual(new.event, old.event.withoutPersonalData, "nothing personal")
                    try requireEqual(new.personal, .erased(commitment: "5/\(salt)"), "the commitment stays")
                }
                // The spool may send again what it has: it is known.
                let resent = try await database.ingest(Samples.batch(1, events.map { .audit($0) }))
                try requireEqual(resent.conflicts, 0, "an erased login is still the same one")
                try requireEqual(resent.duplicates, 6, "all are known")
                try requireEqual(try await erase("ann\u{0}'"), ErasureOutcome(erased: 0, kept: 0), "nothing is left")
                var query = EventQuery()
                query.kindPrefix = "audit.erased"
                let told = try await database.events(query).elements.map(\.details)
                try requireEqual(told, [["erased": "3"], ["erased": "0"]], "in the event log")
            }
        },
        LogDatabaseContract("an event of the platform's own logins is stored once") { open in
            try await session(open) { database in
                let event = Samples.audit(1, service: "administration")
                try await database.record(event)
                try await database.record(event)
                var other = event
                other.outcome = .success
                try await database.record(other)
                let found = try await database.auditEvents(AuditQuery()).elements
                try requireEqual(found.map(\.event), [event], "the first one, once")
            }
        },
    ]
}
