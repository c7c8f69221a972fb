import AdministrationAPI
import Bookkeeping
import CloudModel
import CloudPorts
import PayPerUse

extension RouteTable {
    private static let onePath = "/api/v1/bills/{consumer}/{month}"

    static let bills: [Route] = [
        Route(
            name: "listBills", method: .get, path: "/api/v1/bills", right: .own,
            summary: "Lists closed bills; a consumer sees its own.",
            query: [
                QueryParameter("consumer", "Only bills of this consumer."),
                QueryParameter("month", "Only bills of this month, as 2026-11."), oldest,
                QueryParameter("cursor", "Where the list goes on: `nextCursor` of the part before, in the same order."),
                limit(20),
            ],
            answer: .json(API.Page<API.Bill>.self, "Closed bills, the newest month first if not asked otherwise."),
            refusals: [403]
        ) { try await $0.listBills($1) },
        Route(
            name: "getBill", method: .get, path: onePath, right: .own,
            summary: "Shows a month's bill, closed or as it would be now; `current` is the present month.",
            answer: .json(API.Bill.self, "The bill.")
        ) { .json(API.Bill(try await $0.bill($1))) },
        Route(
            name: "getBillPage", method: .get, path: onePath + "/page", right: .own,
            summary: "Shows a month's bill as a page to print.",
            answer: .text(BillPage.mediaType, "The page.")
        ) { handlers, call in
            BillPage(issuer: handlers.settings.platform.name).reply(try await handlers.bill(call))
        },
        Route(
            name: "exportBill", method: .get, path: onePath + "/focus", right: .own,
            summary: "Gives a month's bill as a table by the FinOps Open Cost and Usage Specification.",
            query: [.oneOf("version", API.FocusVersion.self, "Which version of it; 1.2 if not given.")],
            answer: .text("text/csv; charset=utf-8", "One row for each line (RFC 4180).")
        ) { try await $0.exportBill($1) },
        Route(
            name: "proveBill", method: .get, path: onePath + "/proof", right: .own,
            summary: "Gives a closed bill with all that it takes to check it offline; takes long where the logs are.",
            query: [
                QueryParameter(
                    "records", .integer(0...Int64(BillingDesk.maximumProvenRecords)),
                    "Usage records that it carries at most, 1000 if not given; where there are more, it has none and "
                        + "is checked with the log database.")
            ],
            answer: .text(JSON.mediaType, "The proof, as `cloudwright verify` reads it."), refusals: [409]
        ) { try await $0.proveBill($1) },
        Route(
            name: "verifyBill", method: .get, path: onePath + "/verification", right: .own,
            summary: "Checks a closed bill with the platform's own log database: that its records are sealed, that the "
                + "logs have only grown, that none was left out, and that they give the bill. Takes long where the "
                + "logs are.",
            answer: .json(API.BillVerification.self, "What each check found."), refusals: [409]
        ) { try await $0.verifyBill($1) },
        Route(
            name: "closeBill", method: .post, path: onePath + "/close", right: .operate,
            summary: "Makes a month's bill final; again, it gives the same bill.",
            query: [QueryParameter("includeHeld", .boolean, "What is in doubt is due as well.")],
            answer: .json(API.Bill.self, "The closed bill.")
        ) { try await $0.closeBill($1) },
        Route(
            name: "createCredit", method: .post, path: "/api/v1/consumers/{consumer}/credits", right: .operate,
            summary: "Gives a consumer something back, on the bill of the present month.",
            body: .json(API.CreditRequest.self), answer: .json(API.Credit.self, "The credit.", status: 201)
        ) { try await $0.createCredit($1) },
        Route(
            name: "reconcile", method: .get, path: "/api/v1/reconciliation", right: .own,
            summary: "Holds the figures of both pay-per-use agents against each other; a consumer sees its own.",
            query: [
                QueryParameter("consumer", "Only instances that this consumer pays for."),
                QueryParameter("month", "The month, as 2026-11; the present one if neither it nor times are given."),
            ] + period,
            answer: .json(API.Reconciliation.self, "What fits and what does not."), refusals: [403]
        ) { try await $0.reconcile($1) },
    ]
}

extension Handlers {
    /// Reads the books for bills and reconciliation.
    var desk: BillingDesk {
        let administration = administration
        return BillingDesk(
            database: database, configuration: { await administration.configuration() },
            lease: settings.platform.instanceLease, seal: sealNow, now: now)
    }

    func listBills(_ call: Call) async throws -> Reply {
        var query = BillQuery()
        query.consumer = try visibleConsumer(call)
        query.month = call.query.text("month")
        query.after = call.query.text("cursor")
        query.oldestFirst = call.query.boolean("oldest")
        let limit = Int(call.query.integer("limit") ?? 20)
        // One more tells whether there is a next part.
        query.limit = limit + 1
        let found = try await desk.closedBills(query)
        let next = found.count > limit ? found[limit - 1].id : nil
        return .json(API.Page(items: found.prefix(limit).map(API.Bill.init), nextCursor: next))
    }

    /// Whose bill the path names; a consumer is not told whether another one has any.
    private func payer(_ call: Call) throws -> ConsumerID {
        let consumer = ConsumerID(call.placeholder("consumer"))
        let own = call.identity?.role == .consumer ? try visibleConsumer(call) : nil
        guard own == nil || own == consumer else { throw API.Problem.notFound("There is no bill of '\(consumer)'.") }
        return consumer
    }

    func proveBill(_ call: Call) async throws -> Reply {
        let (consumer, month) = (try payer(call), try month(call.placeholder("month")))
        let proof = try await proofLane.run {
            try await desk.proof(for: consumer, month: month, records: Int(call.query.integer("records") ?? 1_000))
        }
        return Reply(
            status: 200,
            headers: ["content-disposition": "attachment; filename=\"\(proof.bill.id).proof.json\""],
            body: .bytes(try proof.json(), mediaType: JSON.mediaType))
    }

    func verifyBill(_ call: Call) async throws -> Reply {
        let (consumer, month) = (try payer(call), try month(call.placeholder("month")))
        // One at a time, as proofs: the logs are read as a whole.
        let (id, checks) = try await proofLane.run {
            let proof = try await desk.proof(for: consumer, month: month, records: Self.verifiedRecords)
            let verification = try BillVerification(try proof.json(), verifier: seals, database: database)
            return (proof.bill.id, try await verification.run())
        }
        return .json(
            API.BillVerification(bill: id, checkedAt: Moment(now()), checks: checks.map(API.BillCheck.init)))
    }

    /// Usage records whose places are proven one by one; where there are more, the log database alone shows them.
    private static let verifiedRecords = 1_000

    /// The bill that the path names.
    func bill(_ call: Call) async throws -> Bill {
        let consumer = try payer(call)
        let month = call.placeholder("month") == "current" ? nil : try month(call.placeholder("month"))
        return try await desk.bill(for: consumer, month: month)
    }

    private func month(_ text: String) throws(API.Problem) -> BillingMonth {
        guard let month = BillingMonth(text) else {
            throw .notFound("'\(text)' is no month; give it as 2026-11.")
        }
        return month
    }

    func exportBill(_ call: Call) async throws -> Reply {
        let version = call.query.text("version").flatMap(FocusExport.Version.init) ?? .focus12
        let bill = try await bill(call)
        let text = FocusExport(version: version, issuer: settings.platform.name).csv([bill])
        return Reply(
            status: 200, headers: ["content-disposition": "attachment; filename=\"\(bill.id).csv\""],
            body: .bytes(Array(text.utf8), mediaType: "text/csv; charset=utf-8"))
    }

    func closeBill(_ call: Call) async throws -> Reply {
        let consumer = ConsumerID(call.placeholder("consumer"))
        let month = try month(call.placeholder("month"))
        let bill = try await lane.run {
            try await desk.close(
                consumer, month, includesHeld: call.query.boolean("includeHeld"), actor: call.actor)
        }
        return .json(API.Bill(bill))
    }

    func createCredit(_ call: Call) async throws -> Reply {
        let request = try JSON.read(API.CreditRequest.self, from: call.body)
        guard (1...200).contains(request.id.utf8.count), (1...500).contains(request.reason.utf8.count) else {
            throw API.Problem.invalid("Give an id of 200 bytes at most and a reason of 500, neither of them empty.")
        }
        guard let amount = ExactDecimal(request.amount) else {
            throw API.Problem.invalid(
                "The body is not as documented.",
                faults: [API.Fault(detail: "'\(request.amount)' is no amount; write 12.50", pointer: "/amount")])
        }
        let credit = try await lane.run {
            try await desk.credit(
                request.id, to: ConsumerID(call.placeholder("consumer")), amount: amount, reason: request.reason,
                actor: call.actor)
        }
        return .json(API.Credit(credit), status: 201)
    }

    func reconcile(_ call: Call) async throws -> Reply {
        let consumer = try visibleConsumer(call)
        var month: BillingMonth?
        if let text = call.query.text("month") {
            month = BillingMonth(text)
            guard month != nil else { throw API.Problem.invalid("'\(text)' is no month; give it as 2026-11.") }
        }
        var window: BillingWindow?
        if call.query.time("from") != nil || call.query.time("until") != nil {
            let until = call.query.time("until") ?? now()
            guard month == nil, let from = call.query.time("from"), from < until, until - from <= Self.longestTime
            else {
                throw API.Problem.invalid(
                    "Give 'from' and 'until' with at most 366 days between them, or 'month' alone, or nothing.")
            }
            window = BillingWindow(start: from, end: until)
        }
        let report = try await desk.reconcile(consumer: consumer, month: month, window: window)
        return .json(API.Reconciliation(report))
    }

    private static let longestTime = TimeSpan.hours(366 * 24)
}
