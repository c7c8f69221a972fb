import CloudModel
import ScalingListener
import Testing

/// The same books kept the naive way: every question is answered by counting.
private struct NaiveLedger {
    var constraints: WorkloadConstraints
    /// One entry for each admitted request.
    var inFlight: [UInt32] = []
    /// One entry for each request that waits at a ceiling.
    var waiting: [UInt32] = []
    var seats: Set<UInt32> = []
    var idleSince: [UInt32: Timestamp] = [:]
    /// Tokens in the bucket, in nanoseconds of refill, and when that was so.
    var buckets: [UInt32: (level: Int64, at: Timestamp)] = [:]

    var interval: Int64 { 1_000_000_000 / Int64(constraints.requestsPerSecondPerConsumer ?? 1) }
    var depth: Int64 { Int64(constraints.burstPerConsumer ?? 1) * interval }

    func level(_ consumer: UInt32, _ now: Timestamp) -> Int64 {
        guard let bucket = buckets[consumer] else { return depth }
        return min(depth, bucket.level + (now - bucket.at).microseconds * 1_000)
    }

    mutating func expire(_ now: Timestamp) {
        for consumer in seats.sorted() where !inFlight.contains(consumer) {
            if let since = idleSince[consumer], since + constraints.consumerHold <= now { seats.remove(consumer) }
        }
    }

    func barrier(_ consumer: UInt32, _ now: Timestamp) -> AdmissionRefusal.Barrier? {
        if constraints.requestsPerSecondPerConsumer != nil && level(consumer, now) < interval { return .rate }
        let own = inFlight.count { $0 == consumer } + waiting.count { $0 == consumer }
        if let limit = constraints.concurrentRequestsPerConsumer, own >= limit { return .consumerConcurrency }
        if let each = constraints.activeConsumersPerInstance, !seats.contains(consumer),
            seats.count >= constraints.maximumInstances * each
        {
            return .seats
        }
        if let each = constraints.concurrentRequestsPerInstance,
            inFlight.count >= constraints.maximumInstances * each
        {
            return .requests
        }
        return nil
    }

    mutating func pay(_ consumer: UInt32, _ now: Timestamp) {
        guard constraints.requestsPerSecondPerConsumer != nil else { return }
        buckets[consumer] = (level(consumer, now) - interval, now)
    }

    mutating func enter(_ consumer: UInt32) {
        inFlight.append(consumer)
        seats.insert(consumer)
    }

    mutating func end(_ consumer: UInt32, _ now: Timestamp) {
        if let position = inFlight.firstIndex(of: consumer) { inFlight.remove(at: position) }
        if !inFlight.contains(consumer) { idleSince[consumer] = now }
        expire(now)
    }
}

@Suite struct AdmissionLedgerPropertyTests {
    private func constraints(_ random: inout SeededGenerator) -> WorkloadConstraints {
        func maybe(_ range: ClosedRange<Int>) -> Int? {
            Bool.random(using: &random) ? Int.random(in: range, using: &random) : nil
        }
        return WorkloadConstraints(
            maximumInstances: Int.random(in: 1...4, using: &random),
            concurrentRequestsPerInstance: maybe(1...4), activeConsumersPerInstance: maybe(1...3),
            consumerHold: [TimeSpan.zero, .milliseconds(20), .milliseconds(200)].randomElement(using: &random) ?? .zero,
            concurrentRequestsPerConsumer: maybe(1...4), requestsPerSecondPerConsumer: maybe(5...200),
            burstPerConsumer: Int.random(in: 1...8, using: &random))
    }

    @Test(arguments: UInt64(0)..<300)
    func agreesWithCounting(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var naive = NaiveLedger(constraints: constraints(&random))
        var ledger = AdmissionLedger(naive.constraints)
        var now = noon
        for _ in 0..<600 {
            now = now + .microseconds(Int64.random(in: 0...20_000, using: &random))
            _ = ledger.observe(now)
            _ = ledger.expireAllHolds(now: now)
            ledger.forgetCooled(now: now)
            naive.expire(now)
            step(&ledger, &naive, now, &random)
            #expect(ledger.admitted == naive.inFlight.count)
            #expect(ledger.seatsHeld == naive.seats.count)
            #expect(ledger.consumersWaiting == Set(naive.waiting).count)
        }
        drain(&ledger, &naive, now)
    }

    private func step(
        _ ledger: inout AdmissionLedger, _ naive: inout NaiveLedger, _ now: Timestamp, _ random: inout SeededGenerator
    ) {
        let consumer = UInt32.random(in: 0..<9, using: &random)
        let key = ConsumerKey(consumer)
        switch Int.random(in: 0..<20, using: &random) {
        case 0..<9:
            let index = ledger.index(of: key)
            let refusal = ledger.refusal(of: index, now: now)
            #expect(refusal?.barrier == naive.barrier(consumer, now))
            guard let refusal else {
                _ = ledger.admit(key, index, now: now)
                naive.pay(consumer, now)
                return naive.enter(consumer)
            }
            guard refusal.isWaitable, refusal.barrier != .consumerConcurrency else { return }
            _ = ledger.beginWait(key, index, at: refusal.barrier, now: now)
            naive.pay(consumer, now)
            naive.waiting.append(consumer)
        case 9..<16:
            guard let ending = naive.inFlight.randomElement(using: &random) else { return }
            ledger.finish(ending, now: now)
            naive.end(ending, now)
        case 16..<19:
            guard let position = naive.waiting.indices.randomElement(using: &random) else { return }
            let waiter = naive.waiting.remove(at: position)
            let index = ledger.index(of: ConsumerKey(waiter))
            let isFree = ledger.ceilingRefusal(of: index, now: now) == nil
            if isFree {
                ledger.admitWaiting(index, at: .requests)
                naive.enter(waiter)
            } else {
                ledger.endWait(index, at: .requests, now: now)
            }
        default:
            // Limits of the same kinds change; what is in use stays.
            naive.constraints.maximumInstances = Int.random(in: 1...4, using: &random)
            ledger.setLimits(AdmissionLimits(naive.constraints))
        }
    }

    private func drain(_ ledger: inout AdmissionLedger, _ naive: inout NaiveLedger, _ now: Timestamp) {
        for consumer in naive.waiting {
            ledger.endWait(ledger.index(of: ConsumerKey(consumer)), at: .requests, now: now)
        }
        for consumer in naive.inFlight { ledger.finish(consumer, now: now) }
        let later = now + .hours(1)
        _ = ledger.expireAllHolds(now: later)
        for _ in 0..<10 { ledger.forgetCooled(now: later) }
        #expect(ledger.admitted == 0 && ledger.seatsHeld == 0 && ledger.consumersWaiting == 0)
        #expect(ledger.consumersRemembered == 0)
    }
}

@Suite struct AdmissionIndexTests {
    @Test(arguments: UInt64(0)..<50)
    func findsWhatADictionaryFinds(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var index = AdmissionIndex()
        var dictionary: [UInt64: Int32] = [:]
        // Few distinct keys, so that chains form, break and grow together again.
        let range = UInt64([40, 300, 5_000].randomElement(using: &random) ?? 40)
        for value in Int32(0)..<3_000 {
            let key = UInt64.random(in: 0..<range, using: &random)
            if dictionary.removeValue(forKey: key) != nil {
                index.remove(key)
            } else {
                dictionary[key] = value
                index.insert(key, value)
            }
            let probe = UInt64.random(in: 0..<range, using: &random)
            #expect(index.value(of: probe) == dictionary[probe] ?? -1)
            #expect(index.count == dictionary.count)
        }
        for key in 0..<range { #expect(index.value(of: key) == dictionary[key] ?? -1) }
        #expect(index.values.sorted() == dictionary.values.sorted())
    }
}
