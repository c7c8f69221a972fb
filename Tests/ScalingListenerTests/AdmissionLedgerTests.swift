import CloudModel
import ScalingListener
import Testing

let noon = Timestamp(microseconds: 1_800_000_000_000_000)

extension AdmissionLedger {
    init(_ constraints: WorkloadConstraints) { self.init(limits: AdmissionLimits(constraints)) }

    /// Admits where nothing is in the way.
    mutating func request(_ consumer: UInt32, now: Timestamp = noon) -> AdmissionRefusal? {
        let key = ConsumerKey(consumer)
        let index = index(of: key)
        if let refusal = refusal(of: index, now: now) { return refusal }
        _ = admit(key, index, now: now)
        return nil
    }

    @discardableResult
    mutating func finish(_ consumer: UInt32, now: Timestamp = noon) -> SeatBinding? {
        end(index(of: ConsumerKey(consumer)), now: now)
    }

    mutating func expireAllHolds(now: Timestamp) -> Int {
        var count = 0
        while expireHold(now: now) != nil { count += 1 }
        return count
    }
}

@Suite struct AdmissionLimitTests {
    @Test func requestsAreBoundedByWhatAllInstancesTake() {
        var ledger = AdmissionLedger(WorkloadConstraints(maximumInstances: 3, concurrentRequestsPerInstance: 2))
        for consumer in UInt32(0)..<6 { #expect(ledger.request(consumer) == nil) }
        #expect(
            ledger.request(0)
                == AdmissionRefusal(barrier: .requests, limit: 3, current: 3, retryAfter: .seconds(1)))
        #expect(ledger.request(9)?.constraint == .maximumInstances)
        ledger.finish(4)
        #expect(ledger.request(9) == nil)
        #expect(ledger.request(9)?.barrier == .requests)
    }

    @Test func seatsAreHeldUntilTheHoldIsOver() {
        var ledger = AdmissionLedger(
            WorkloadConstraints(maximumInstances: 3, activeConsumersPerInstance: 1, consumerHold: .seconds(2)))
        for consumer in UInt32(1)...3 { #expect(ledger.request(consumer) == nil) }
        #expect(ledger.request(2) == nil, "who has a seat may send more")
        ledger.finish(2)
        ledger.finish(1, now: noon + .seconds(1))
        #expect(
            ledger.request(4, now: noon + .seconds(2))
                == AdmissionRefusal(barrier: .seats, limit: 3, current: 3, retryAfter: .seconds(1)))
        #expect(ledger.expireAllHolds(now: noon + .milliseconds(2_999)) == 0)
        #expect(ledger.expireAllHolds(now: noon + .seconds(3)) == 1)
        #expect(ledger.request(4, now: noon + .seconds(3)) == nil)
        #expect(ledger.request(1, now: noon + .seconds(3))?.barrier == .seats)
    }

    @Test func aSeatIsKeptWhereTheConsumerComesBackInTime() {
        var ledger = AdmissionLedger(
            WorkloadConstraints(maximumInstances: 1, activeConsumersPerInstance: 1, consumerHold: .seconds(2)))
        #expect(ledger.request(1) == nil)
        ledger.finish(1)
        #expect(ledger.request(1, now: noon + .seconds(1)) == nil)
        #expect(ledger.expireAllHolds(now: noon + .seconds(60)) == 0)
        #expect(ledger.request(2, now: noon + .seconds(60))?.retryAfter == .seconds(1), "nobody can know")
        ledger.finish(1, now: noon + .seconds(60))
        #expect(ledger.request(2, now: noon + .seconds(61))?.retryAfter == .seconds(1))
        #expect(ledger.request(2, now: noon + .milliseconds(60_300))?.retryAfter == .milliseconds(1_700))
    }

    @Test func theConsumersOwnLimitsComeFirst() {
        var ledger = AdmissionLedger(
            WorkloadConstraints(
                maximumInstances: 1, concurrentRequestsPerInstance: 2, concurrentRequestsPerConsumer: 2,
                requestsPerSecondPerConsumer: 1, burstPerConsumer: 3))
        #expect(ledger.request(1) == nil)
        #expect(ledger.request(1) == nil)
        #expect(
            ledger.request(1)
                == AdmissionRefusal(barrier: .consumerConcurrency, limit: 2, current: 2, retryAfter: .seconds(1)))
        #expect(ledger.request(2)?.barrier == .requests)
        ledger.finish(1)
        #expect(ledger.request(1) == nil, "refused requests cost no token")
        ledger.finish(1)
        #expect(
            ledger.request(1) == AdmissionRefusal(barrier: .rate, limit: 1, current: 1, retryAfter: .seconds(1)))
        #expect(ledger.request(1)?.constraint == .requestsPerSecondPerConsumer)
    }

    @Test func loweredLimitsCutNothing() {
        var ledger = AdmissionLedger(WorkloadConstraints(maximumInstances: 5, activeConsumersPerInstance: 1))
        for consumer in UInt32(1)...5 { #expect(ledger.request(consumer) == nil) }
        ledger.setLimits(
            AdmissionLimits(WorkloadConstraints(maximumInstances: 2, activeConsumersPerInstance: 1)))
        #expect(ledger.admitted == 5 && ledger.seatsHeld == 5)
        #expect(ledger.request(1) == nil)
        #expect(ledger.request(6) == AdmissionRefusal(barrier: .seats, limit: 2, current: 5, retryAfter: .seconds(1)))
        for consumer in UInt32(2)...4 { ledger.finish(consumer) }
        #expect(ledger.request(6)?.current == 2)
        ledger.finish(5)
        #expect(ledger.request(6) == nil)
    }

    @Test func withoutLimitsNothingIsRefused() {
        var ledger = AdmissionLedger(WorkloadConstraints(maximumInstances: 1))
        for number in UInt32(0)..<10_000 { #expect(ledger.request(number % 700) == nil) }
        #expect(ledger.admitted == 10_000 && ledger.seatsHeld == 700)
    }

    @Test func enormousLimitsDoNotOverflow() {
        var ledger = AdmissionLedger(
            WorkloadConstraints(
                maximumInstances: .max, concurrentRequestsPerInstance: .max, activeConsumersPerInstance: .max,
                consumerHold: TimeSpan(microseconds: .max), requestsPerSecondPerConsumer: .max, burstPerConsumer: .max))
        #expect(ledger.request(1) == nil)
        ledger.finish(1)
        #expect(ledger.expireAllHolds(now: noon + .hours(1_000_000)) == 0)
    }

    @Test func idleConsumersAreForgotten() {
        var ledger = AdmissionLedger(
            WorkloadConstraints(consumerHold: .seconds(5), requestsPerSecondPerConsumer: 1, burstPerConsumer: 10))
        for consumer in UInt32(0)..<1_000 {
            #expect(ledger.request(consumer) == nil)
            ledger.finish(consumer)
        }
        #expect(ledger.consumersRemembered == 1_000)
        #expect(ledger.expireAllHolds(now: noon + .seconds(5)) == 1_000)
        #expect(ledger.consumersRemembered == 0, "after five seconds the one token is long paid back")

        for _ in 0..<10 { #expect(ledger.request(7, now: noon + .seconds(5)) == nil) }
        for _ in 0..<10 { ledger.finish(7, now: noon + .seconds(5)) }
        #expect(ledger.expireAllHolds(now: noon + .seconds(10)) == 1)
        #expect(ledger.consumersRemembered == 1, "it still owes five tokens")
        ledger.forgetCooled(now: noon + .seconds(16))
        #expect(ledger.consumersRemembered == 0)
    }

    @Test func theNumberOfIdleConsumersIsBounded() {
        var ledger = AdmissionLedger(WorkloadConstraints(consumerHold: .hours(1)))
        for consumer in UInt32(0)..<70_000 {
            _ = ledger.request(consumer)
            ledger.finish(consumer)
        }
        #expect(ledger.consumersRemembered == 65_536)
        #expect(ledger.index(of: ConsumerKey(0)) < 0 && ledger.index(of: ConsumerKey(69_999)) >= 0)
    }

    @Test func aClockThatIsSetBackProlongsNothing() {
        var ledger = AdmissionLedger(
            WorkloadConstraints(maximumInstances: 1, activeConsumersPerInstance: 1, consumerHold: .seconds(2)))
        #expect(ledger.observe(noon) == false)
        #expect(ledger.request(1) == nil)
        ledger.finish(1)
        #expect(ledger.observe(noon - .seconds(1)) == false, "loops read the clock at different times")
        #expect(ledger.observe(noon - .hours(1)) == true)
        #expect(ledger.expireAllHolds(now: noon - .hours(1) + .milliseconds(1_999)) == 0)
        #expect(ledger.expireAllHolds(now: noon - .hours(1) + .seconds(2)) == 1)
    }

    @Test func waitingRequestsCountAsTheConsumersOwn() {
        var ledger = AdmissionLedger(
            WorkloadConstraints(
                maximumInstances: 1, concurrentRequestsPerInstance: 1, concurrentRequestsPerConsumer: 2))
        #expect(ledger.request(1) == nil)
        let waiting = ledger.beginWait(ConsumerKey(2), ledger.index(of: ConsumerKey(2)), at: .requests, now: noon)
        _ = ledger.beginWait(ConsumerKey(2), waiting, at: .requests, now: noon)
        #expect(ledger.consumersWaiting == 1)
        #expect(ledger.request(2)?.barrier == .consumerConcurrency)
        ledger.finish(1)
        ledger.admitWaiting(waiting, at: .requests)
        #expect(ledger.admitted == 1 && ledger.seatsHeld == 1 && ledger.consumersWaiting == 1)
        ledger.endWait(waiting, at: .requests, now: noon)
        #expect(ledger.consumersWaiting == 0)
        ledger.finish(2)
        #expect(ledger.consumersRemembered == 0 && ledger.seatsHeld == 0)
    }
}

@Suite struct AdmissionRateTests {
    /// Against a bucket of whole tokens that is kept in exact fractions: interval and depth in nanoseconds.
    @Test(arguments: UInt64(0)..<100)
    func isATokenBucket(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let rate = [1, 2, 3, 7, 50, 999].randomElement(using: &random) ?? 1
        let burst = Int.random(in: 1...20, using: &random)
        var ledger = AdmissionLedger(
            WorkloadConstraints(requestsPerSecondPerConsumer: rate, burstPerConsumer: burst))
        let interval = Int64(1_000_000_000 / rate)
        var level = Int64(burst) * interval
        var now = noon
        for _ in 0..<500 {
            let pause = Int64.random(in: 0...3_000_000 / Int64(rate), using: &random)
            now = now + .microseconds(pause)
            level = min(Int64(burst) * interval, level + pause * 1_000)
            ledger.forgetCooled(now: now)
            if level >= interval {
                level -= interval
                #expect(ledger.request(5, now: now) == nil)
                ledger.finish(5, now: now)
            } else {
                let missing = (interval - level + 999) / 1_000
                #expect(ledger.request(5, now: now)?.retryAfter == .microseconds(missing))
            }
        }
    }

    @Test func sustainsTheRateOverAnHour() {
        var ledger = AdmissionLedger(WorkloadConstraints(requestsPerSecondPerConsumer: 7, burstPerConsumer: 1))
        var admitted = 0
        for step in Int64(0)..<360_000 {
            let now = noon + .milliseconds(step * 10)
            if ledger.request(1, now: now) == nil {
                admitted += 1
                ledger.finish(1, now: now)
            }
        }
        // Asked every 10 ms, an interval of 142.9 ms is met at 150: 6.67 a second.
        #expect(admitted == 24_000)
    }

    @Test func withoutABurstOneSecondsWorthIs() {
        var ledger = AdmissionLedger(WorkloadConstraints(requestsPerSecondPerConsumer: 5))
        for _ in 0..<5 { #expect(ledger.request(1) == nil) }
        #expect(ledger.request(1)?.retryAfter == .milliseconds(200))
        #expect(ledger.request(2) == nil, "every consumer has its own")
    }

    @Test func zeroAdmitsNothing() {
        var ledger = AdmissionLedger(WorkloadConstraints(requestsPerSecondPerConsumer: 0))
        #expect(ledger.request(1)?.barrier == .rate)
        #expect(ledger.request(1, now: noon + .hours(1))?.barrier == .rate)
    }

    @Test func aClockThatIsSetBackDoesNotLockOut() {
        var ledger = AdmissionLedger(WorkloadConstraints(requestsPerSecondPerConsumer: 1, burstPerConsumer: 1))
        #expect(ledger.request(1) == nil)
        let earlier = noon - .hours(1)
        #expect(ledger.request(1, now: earlier)?.retryAfter == .seconds(1))
    }
}
