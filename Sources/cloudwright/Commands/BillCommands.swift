import AdministrationAPI
import AdministrationClient
import ArgumentParser
import Foundation

struct BillCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bill", abstract: "What consumers owe, by calendar month.",
        subcommands: [List.self, Show.self, Close.self, Export.self, Credit.self])

    struct MonthOptions: ParsableArguments {
        @Option(help: ArgumentHelp("The month, as 2026-11; the present one if not given.", valueName: "month"))
        var month: String?

        func validate() throws { if let month { try Self.check(month) } }

        static func check(_ month: String) throws {
            let isMonth =
                month.utf8.count == 7
                && month.utf8.enumerated().allSatisfy { index, byte in
                    index == 4 ? byte == UInt8(ascii: "-") : (0x30...0x39).contains(byte)
                }
            guard isMonth else { throw ValidationError("'\(month)' is no month; give it as 2026-11.") }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List closed bills, the newest month first.")
        @Option(help: "Only bills of this consumer.") var consumer: String?
        @Option(help: "So many at most.") var last = 20
        @OptionGroup var options: GlobalOptions

        func validate() throws { try validateCount(last) }

        func run() async throws {
            let bills = try await options.client().bills(of: consumer, limit: last)
            try options.show(bills, empty: "No bills were closed. See an open one with `cloudwright bill show`.") {
                var table = Table(
                    .left("bill"), .left("consumer"), .left("month"), .right("total"), .right("held"),
                    .left("currency"), .left("closed"))
                for bill in bills {
                    table.add(
                        Table.Cell(bill.id), Table.Cell(bill.consumer), Table.Cell(bill.month),
                        Table.Cell(bill.total), BillTables.held(bill), Table.Cell(bill.currency),
                        Table.Cell(Formats.time(bill.closedAt)))
                }
                return table
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a consumer's bill, closed or as it would be now.")
        @Argument(help: "Who pays.") var consumer: String
        @OptionGroup var month: MonthOptions
        @Flag(help: "As a page to print (HTML), on standard output.") var html = false
        @OptionGroup var options: GlobalOptions

        func run() async throws {
            let client = try options.client()
            if html {
                let page = try await client.billPage(of: consumer, month: month.month)
                return Terminal.current.output(String(decoding: page, as: UTF8.self))
            }
            let bill = try await client.bill(of: consumer, month: month.month)
            try options.show(bill) { BillTables.text(bill) }
        }
    }

    struct Close: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a month's bill final.",
            discussion: """
                A closed bill never changes; what is found out later is a correction in one of the next three bills. \
                Closing it again shows the same bill.
                """)
        @Argument(help: "Who pays.") var consumer: String
        @Option(help: ArgumentHelp("The month, as 2026-11.", valueName: "month")) var month: String
        @Flag(help: "What is in doubt is due as well: you have looked at it with `reconcile`.") var includeHeld = false
        @OptionGroup var options: GlobalOptions

        func validate() throws { try MonthOptions.check(month) }

        func run() async throws {
            let bill = try await options.client().closeBill(of: consumer, month: month, includeHeld: includeHeld)
            try options.show(bill) { BillTables.text(bill) }
        }
    }

    struct Export: AsyncParsableCommand {
        enum Format: String, ExpressibleByArgument, CaseIterable { case focus, proof }

        static let configuration = CommandConfiguration(
            abstract: "Print a bill as a FOCUS table (CSV), or with the proof that it is right (JSON).",
            discussion: """
                FOCUS is the FinOps Open Cost and Usage Specification. A proof is of a closed bill: `cloudwright \
                verify` checks it offline, with the public key alone.
                """)
        @Argument(help: "Who pays.") var consumer: String
        @OptionGroup var month: MonthOptions
        @Option(help: "What is printed: focus or proof.") var format = Format.focus
        @Option(help: ArgumentHelp("The version of FOCUS: 1.2 or 1.3.", valueName: "version"))
        var focus = API.FocusVersion.focus12
        @Option(
            help: ArgumentHelp(
                "Usage records that a proof carries at most (10000 at most); where there are more, it has none and is "
                    + "checked with the log database.", valueName: "count"))
        var records = 1_000
        @OptionGroup var options: GlobalOptions

        func validate() throws {
            guard format == .focus || month.month != nil else {
                throw ValidationError("A proof is of a closed bill; give its --month.")
            }
            guard (0...10_000).contains(records) else {
                throw ValidationError("--records is \(records); give 0 to 10000.")
            }
        }

        func run() async throws {
            let client = try options.client()
            let content =
                format == .proof
                ? try await client.proveBill(of: consumer, month: month.month ?? "", records: records)
                : try await client.exportBill(of: consumer, month: month.month, version: focus)
            Terminal.current.output(String(decoding: content, as: UTF8.self))
        }
    }

    struct Credit: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give a consumer something back, on the bill of the present month.")
        @Argument(help: "Who is given it.") var consumer: String
        @Argument(help: "How much, in the currency of the consumer's plan: 12.50.") var amount: String
        @Option(help: "What the consumer reads on the bill.") var reason: String
        @Option(help: "Names the credit; given again, it is the same one. Made up if not given.") var id: String?
        @OptionGroup var options: GlobalOptions

        func run() async throws {
            let credit = try await options.client().credit(
                API.CreditRequest(
                    id: id ?? UUID().uuidString.lowercased(), amount: amount, reason: reason), to: consumer)
            try options.show(credit) {
                "\(credit.consumer) is given \(credit.amount) \(credit.currency) (\(credit.id))\n"
            }
        }
    }
}

struct Reconcile: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Hold the figures of both pay-per-use agents against each other.",
        discussion: """
            Names for each instance what does not fit, why, and what it is worth. Where that is more than the plan's \
            tolerance, the service's lines are held on the bill. Exit code 1 if anything has to be looked at.
            """)
    @Option(help: "Only instances that this consumer pays for.") var consumer: String?
    @OptionGroup var month: BillCommand.MonthOptions
    @OptionGroup var period: PeriodOptions
    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let (from, until) = period.rfc3339
        let found = try await options.client().reconciliation(
            consumer: consumer, month: month.month, from: from, until: until)
        try options.show(found) { BillTables.text(found) }
        if !found.settled { throw ExitCode(1) }
    }
}

enum BillTables {
    static func held(_ bill: API.Bill) -> Table.Cell {
        let isNone = bill.held.utf8.allSatisfy { $0 == UInt8(ascii: "0") || $0 == UInt8(ascii: ".") }
        return isNone ? "-" : Table.Cell(bill.held, .doubtful)
    }

    static func text(_ bill: API.Bill) -> String {
        var table = Table(
            .left("what"), .right("quantity"), .right("charged"), .left("unit"), .right("price"), .right("amount"),
            .left("note"))
        for line in bill.lines {
            let note = line.hold.map { Table.Cell("held: " + Table.printable($0), .doubtful) }
            let isPriced = line.kind == .usage || line.kind == .fixed
            table.add(
                Table.Cell(Table.printable(line.text)), Table.Cell(isPriced ? line.quantity : nil),
                Table.Cell(isPriced ? line.pricedQuantity : nil), Table.Cell(isPriced ? line.pricedUnit : nil),
                Table.Cell(line.unitPrice), Table.Cell(line.amount),
                note ?? (line.inferred ? Table.Cell("inferred", .doubtful) : "-"))
        }
        let state = bill.closedAt.map { "closed \(Formats.time($0))" } ?? "open"
        let due = "Total due: \(bill.total) \(bill.currency)"
        let rest = held(bill).text == "-" ? "" : "; held: \(bill.held) \(bill.currency)"
        return "Bill \(bill.id) (\(state)), plan \(bill.pricePlan), \(bill.timeZone)\n"
            + table.rendered(inColour: Terminal.current.hasColour) + due + rest + "\n"
    }

    static func text(_ found: API.Reconciliation) -> String {
        var table = Table(
            .left("service"), .left("instance"), .left("owner"), .right("running"), .right("requests"),
            .left("cause"), .left("from"), .left("until"), .right("count"), .right("time"), .right("amount"))
        for instance in found.instances {
            let known = [
                Table.Cell(instance.service), Table.Cell(instance.instance), Table.Cell(instance.owner),
                Table.Cell(Formats.duration(microseconds: instance.runningMicroseconds)),
                Table.Cell(instance.requests),
            ]
            if instance.differences.isEmpty {
                table.rows.append(known + [Table.Cell("settled", .good), "-", "-", "-", "-", "-"])
            }
            for difference in instance.differences {
                let isMoney = difference.amount.map { $0.utf8.contains { (0x31...0x39).contains($0) } } ?? false
                let amount = difference.amount.map { "\($0) \(difference.currency ?? "")" }
                table.rows.append(
                    known + [
                        Table.Cell(difference.cause.rawValue, isMoney ? .bad : .doubtful),
                        Table.Cell(Formats.time(difference.from)), Table.Cell(Formats.time(difference.until)),
                        Table.Cell(difference.count),
                        Table.Cell(Formats.duration(microseconds: difference.microseconds)), Table.Cell(amount),
                    ])
            }
        }
        var text = found.instances.isEmpty ? "" : table.rendered(inColour: Terminal.current.hasColour)
        for doubt in found.records { text += "\(doubt.cause.rawValue): \(doubt.count) of \(doubt.what)\n" }
        for instance in found.unknownInstances { text += "seen running without any event: \(instance)\n" }
        for hold in found.holds { text += "held: \(hold.service): \(hold.reason)\n" }
        return text + (found.settled ? "Settled.\n" : "Not settled.\n")
    }
}
