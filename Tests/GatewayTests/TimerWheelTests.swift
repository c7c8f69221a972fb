import CloudModel
import Gateway
import Testing

@Suite struct TimerWheelTests {
    /// The wheel against the plain rule: at each step exactly those fire whose deadline has passed, none early, and
    /// none later than one tick.
    @Test(arguments: 0..<20)
    func deadlinesFireInTimeAndOnce(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let count = 200
        var now: Int64 = 1_000_000_000
        let wheel = TimerWheel(capacity: count, now: now)
        defer { wheel.deallocate() }
        var deadlines: [Int: Int64] = [:]
        for _ in 0..<3_000 {
            let index = Int.random(in: 0..<count, using: &random)
            switch Int.random(in: 0..<10, using: &random) {
            case 0:
                wheel.cancel(index)
                deadlines[index] = nil
            case 1...6:
                // From at once to several turns of the wheel ahead.
                let span = Int64.random(in: 0..<(Bool.random(using: &random) ? 50_000 : 30_000_000), using: &random)
                wheel.schedule(index, at: now + span)
                deadlines[index] = now + span
            default:
                now += Int64.random(
                    in: 0..<(Int.random(in: 0..<50, using: &random) == 0 ? 20_000_000 : 40_000), using: &random)
                wheel.expire(now: now) { fired in
                    let deadline = deadlines.removeValue(forKey: fired)
                    #expect(deadline.map { $0 <= now } ?? false)
                }
                #expect(deadlines.values.allSatisfy { $0 > now - 8_000 })
                if let milliseconds = wheel.millisecondsToNext(now: now) {
                    #expect(milliseconds <= 8_200)
                } else {
                    #expect(deadlines.isEmpty)
                }
            }
        }
    }

    @Test func waitingUntilTheNextDeadlineIsEnough() {
        var now: Int64 = 5_000_000
        let wheel = TimerWheel(capacity: 4, now: now)
        defer { wheel.deallocate() }
        wheel.schedule(0, at: now + 3_000_000)
        // Moved earlier, later, and earlier again: the last word counts.
        wheel.schedule(0, at: now + 10_000)
        wheel.schedule(0, at: now + 9_000_000)
        wheel.schedule(0, at: now + 700_000)
        let deadline = now + 700_000
        var fired: [Int] = []
        var wakes = 0
        while fired.isEmpty, wakes < 100 {
            now += Int64(wheel.millisecondsToNext(now: now) ?? 0) * 1_000
            wheel.expire(now: now) { fired.append($0) }
            wakes += 1
        }
        #expect(fired == [0])
        #expect(now >= deadline && now <= deadline + 16_000)
        #expect(wakes <= 3)
        #expect(wheel.millisecondsToNext(now: now) == nil)
    }

    @Test func whatFiresMayBeSetAndCancelWhatElseIsDue() {
        let now: Int64 = 9_000_000
        let wheel = TimerWheel(capacity: 3, now: now)
        defer { wheel.deallocate() }
        for index in 0..<3 { wheel.schedule(index, at: now + 1_000) }
        var fired: [Int] = []
        wheel.expire(now: now + 20_000) { index in
            fired.append(index)
            if fired.count == 1 {
                wheel.schedule(index, at: now + 50_000)
                wheel.cancel((index + 1) % 3)
            }
        }
        #expect(fired.count == 2)
        wheel.expire(now: now + 70_000) { fired.append($0) }
        #expect(fired.count == 3 && fired[2] == fired[0])
    }
}

@Suite struct PreferredWaitTests {
    @Test(
        arguments: [
            ("wait=10", 10), ("respond-async, wait=3", 3), ("WAIT = 7 ; x=1", 7), ("wait=0", 0),
            ("wait=999999999999", 86_400),
            ("", nil), ("wait", nil), ("wait=", nil), ("wait=-1", nil), ("wait=1s", nil), ("waiting=5", nil),
            ("handling=lenient", nil),
        ] as [(String, Int?)])
    func isReadStrictly(_ text: String, _ seconds: Int?) {
        let bytes = Array(text.utf8)
        #expect(bytes.withUnsafeBytes { PreferredWait.seconds($0) } == seconds)
    }
}

@Suite struct EventOutboxTests {
    @Test func samplesReplaceEachOtherAndOtherEventsAreBounded() async {
        let outbox = EventOutbox()
        for round in 0..<10 {
            for service in ["a", "b"] as [ServiceID] {
                outbox.send(.load(LoadSample(service: service, at: .epoch, admitted: UInt64(round))))
            }
        }
        for index in 0..<(EventOutbox.capacity + 5) {
            outbox.send(.servedAfterRefusal(service: "a", consumer: "c", at: Timestamp(microseconds: Int64(index))))
        }
        outbox.finish()
        var others: [Int64] = []
        var samples: [LoadSample] = []
        while let event = await outbox.next() {
            switch event {
            case .load(let sample): samples.append(sample)
            case .servedAfterRefusal(_, _, let at): others.append(at.microseconds)
            default: break
            }
        }
        #expect(samples.map(\.service) == ["a", "b"])
        #expect(samples.allSatisfy { $0.admitted == 9 })
        #expect(others == Array(5..<Int64(EventOutbox.capacity + 5)))
        #expect(outbox.dropped == 5)
    }

    @Test func whoWaitsIsWoken() async {
        let outbox = EventOutbox()
        let first = Task { await outbox.next() }
        outbox.send(.servedAfterRefusal(service: "a", consumer: "c", at: .epoch))
        #expect(await first.value != nil)
        let second = Task { await outbox.next() }
        second.cancel()
        #expect(await second.value == nil)
        let third = Task { await outbox.next() }
        outbox.finish()
        #expect(await third.value == nil)
    }
}
