import CloudModel
import PayPerUse
import Testing

private let plan = PricePlan(
    id: "p", currency: euro, tolerance: .zero,
    prices: [
        Price(id: "hours", meter: .instanceHour, model: .perUnit(decimal("1.2"))),
        Price(id: "cpu", meter: .vcpuSecond, model: .perUnit(decimal("0.0004"))),
        Price(
            id: "memory", meter: .gibHour,
            model: .graduated([
                .init(upTo: decimal("10"), price: decimal("0.1")), .init(upTo: nil, price: decimal("0.05")),
            ])),
        Price(id: "requests", meter: .request, model: .perUnit(decimal("0.01"))),
        Price(id: "bytes", meter: .byteOut, model: .perUnit(decimal("0.000001"))),
    ])

private let run = BillRun(plan: plan, window: SeededCloud.window)

private func bill(_ use: MeteredUse, holds: [ServiceID: String] = [:], of consumer: ConsumerID = "acme") -> Bill {
    Bill(
        consumer: consumer, consumerName: "", month: SeededCloud.month, window: SeededCloud.window, plan: plan,
        cutoff: SeededCloud.window.end, lines: run.lines(use: [SeededCloud.window: use], holds: holds))
}

extension SeededCloud {
    fileprivate func truth(of consumer: ConsumerID) -> MeteredUse {
        var use = MeteredUse()
        for run in runs where consumer == Self.owner {
            let length = Int128((run.stop - run.start).microseconds)
            use.add(length, .instanceHour, of: run.service)
            use.add(length * Int128(run.resources.cpuMillicores ?? 0), .vcpuSecond, of: run.service)
            use.add(length * Int128(run.resources.memory?.bytes ?? 0), .gibHour, of: run.service)
        }
        for request in requests where request.consumer == consumer {
            use.add(1, .request, of: request.service)
            use.add(Int128(request.bytesIn), .byteIn, of: request.service)
            use.add(Int128(request.bytesOut), .byteOut, of: request.service)
            use.add(Int128(request.busyTime.microseconds), .busySecond, of: request.service)
        }
        return use
    }

    fileprivate func running(_ instance: InstanceID) -> Int128 {
        runs.filter { $0.instance == instance }.reduce(0) { $0 + Int128(($1.stop - $1.start).microseconds) }
    }
}

@Suite struct GroundTruthTests {
    private static let seeds: UInt64 = 1_000
    /// Nothing is wrong with what these name.
    private static let harmless: Set<UsageDifference.Cause> = [.abortedStream, .bypass]

    @Test func whatTheBillDoesNotSayRightIsFlaggedWithItsCause() throws {
        var wrong = 0
        var causes: [UsageDifference.Cause: Int] = [:]
        for seed in 1...Self.seeds {
            let cloud = SeededCloud(seed: seed, hasLosses: true)
            let books = SeededBooks(cloud, withLate: false)
            let use = try books.use(of: "acme")
            let reconciliation = books.reconciliation()
            let verdict = reconciliation.verdict(for: "acme", plan: plan, use: [SeededCloud.window: use])
            let found = Dictionary(uniqueKeysWithValues: verdict.instances.map { ($0.instance, $0) })
            for instance in Set(cloud.runs.map(\.instance)).sorted() {
                let truth = cloud.running(instance)
                let flags = (found[instance]?.differences ?? []).filter { !Self.harmless.contains($0.cause) }
                for flag in flags { causes[flag.cause, default: 0] += 1 }
                let touched = cloud.runs.contains { $0.instance == instance && $0.wasTouched }
                if !touched { #expect(flags.isEmpty, "seed \(seed), \(instance): a false alarm \(flags)") }
                let counted = found[instance]?.runningMicroseconds ?? 0
                guard counted != truth else { continue }
                wrong += 1
                #expect(
                    !flags.isEmpty || reconciliation.unknownInstances.contains(instance),
                    "seed \(seed), \(instance): \(counted) instead of \(truth)")
                // A run that no event tells of keeps the one before it alive by its heartbeats.
                if Set(flags.map(\.cause)) == [.missingStop], cloud.untold[instance] == nil {
                    let doubt = flags.reduce(Int128(0)) { $0 + $1.microseconds }
                    #expect(counted + doubt <= truth && truth <= counted, "seed \(seed), \(instance)")
                }
            }
            try check(cloud, books, verdict, use, seed)
        }
        // The faults did happen, and each kind of cause was found.
        #expect(wrong > 500)
        for cause in [UsageDifference.Cause.missingStart, .missingStop, .duplicate, .outsideLifetime] {
            #expect((causes[cause] ?? 0) > 20, "\(cause.rawValue)")
        }
    }

    /// A line that is due is right to the minor unit, or an amount that cannot be told stands beside it.
    private func check(
        _ cloud: SeededCloud, _ books: SeededBooks, _ verdict: Reconciliation.Verdict, _ use: MeteredUse, _ seed: UInt64
    ) throws {
        let truth = bill(cloud.truth(of: "acme"))
        let made = bill(use, holds: verdict.holds)
        let unknown = Set(
            verdict.instances.flatMap(\.differences).filter { $0.minorUnits == nil }.map(\.service)
        ).union(
            books.reconciliation().unknownInstances.compactMap { id in cloud.runs.first { $0.instance == id }?.service }
        )
        for line in made.lines where line.hold == nil && line.meter?.isHeld == true {
            guard let service = line.key.service, !unknown.contains(service) else { continue }
            let expected = truth.lines.first { $0.key == line.key }?.minorUnits
            #expect(line.minorUnits == expected, "seed \(seed): \(line.text)")
        }
        for consumer in [ConsumerID("acme"), "beta"] {
            let sent = cloud.requests.filter { $0.consumer == consumer }.count
            let arrived = books.records.filter { $0.consumer == consumer }.count
            let billed = try books.services(of: consumer).reduce(Int128(0)) {
                $0 + (try books.use(of: consumer)).counts(.request, of: $1)
            }
            // Never twice; what is missing is a hole in the numbers.
            #expect(billed == Int128(arrived) && arrived <= sent, "seed \(seed)")
        }
        let numbers = Set(cloud.records.map(\.sequence))
        #expect(books.records.count == numbers.count, "seed \(seed): duplicates count once")
    }

    /// What was only late: the bill of the month and its corrections are the truth, to the minor unit.
    @Test func lateRecordsAreCorrectedToTheTruth() throws {
        for seed in 1...Self.seeds {
            let cloud = SeededCloud(seed: seed &+ 1_000_000, hasLosses: false)
            let early = SeededBooks(cloud, withLate: false), all = SeededBooks(cloud, withLate: true)
            for consumer in [ConsumerID("acme"), "beta"] {
                let use = try early.use(of: consumer)
                let verdict = early.reconciliation().verdict(for: consumer, plan: plan, use: [SeededCloud.window: use])
                let closed = bill(use, holds: verdict.holds, of: consumer)
                let later = try all.use(of: consumer)
                let now = all.reconciliation().verdict(for: consumer, plan: plan, use: [SeededCloud.window: later])
                let corrections = BillRun.corrections(
                    of: closed, recomputed: bill(later, holds: now.holds, of: consumer).lines, later: [])
                let total = closed.total.minorUnits + corrections.reduce(0) { $0 + $1.minorUnits }
                #expect(now.holds.isEmpty, "seed \(seed): \(now.holds)")
                #expect(total == bill(cloud.truth(of: consumer)).total.minorUnits, "seed \(seed), \(consumer)")
            }
        }
    }
}

extension SeededBooks {
    fileprivate func services(of consumer: ConsumerID) throws -> [ServiceID] { try use(of: consumer).services }
}
