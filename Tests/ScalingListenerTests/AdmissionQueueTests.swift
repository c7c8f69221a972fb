import CloudModel
import ScalingListener
import Testing

@Suite struct AdmissionQueueTests {
    private func waiter(_ number: UInt32, consumer: Int32 = 0, barrier: AdmissionRefusal.Barrier? = nil) -> Waiter {
        Waiter(
            ticket: AdmissionTicket(loop: 0, slot: number, generation: 0), consumer: consumer, hash: 0,
            deadline: noon, barrier: barrier)
    }

    private func numbers(_ queue: AdmissionQueue, _ line: AdmissionQueue.Line) -> [UInt32] {
        var numbers: [UInt32] = []
        var next = queue.first(of: line)
        while let index = next {
            numbers.append(queue.waiter(at: index).ticket.slot)
            next = queue.next(after: index)
        }
        return numbers
    }

    /// Every line against an array, under random joins, moves and ends.
    @Test(arguments: UInt64(0)..<100)
    func linesKeepTheirOrder(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var queue = AdmissionQueue()
        let lines: [AdmissionQueue.Line] = [
            .ready, .retried, .deferred, .places, .backend(0), .backend(3), .consumer(5), .consumer(0), .own(2),
        ]
        var expected = [[UInt32]](repeating: [], count: lines.count)
        var live: [(number: UInt32, handle: WaitHandle, line: Int)] = []
        var stale: [WaitHandle] = []
        for number in UInt32(0)..<500 {
            let target = lines.indices.randomElement(using: &random) ?? 0
            let barrier: AdmissionRefusal.Barrier? = lines[target] == .places || lines[target] == .own(2) ? .seats : nil
            switch live.indices.randomElement(using: &random) {
            case let position? where Int.random(in: 0..<3, using: &random) == 0:
                let ended = live.remove(at: position)
                expected[ended.line].removeAll { $0 == ended.number }
                if let index = queue.index(of: ended.handle) {
                    #expect(queue.remove(index).ticket.slot == ended.number)
                }
                stale.append(ended.handle)
            case let position? where Int.random(in: 0..<3, using: &random) == 0:
                expected[live[position].line].removeAll { $0 == live[position].number }
                expected[target].append(live[position].number)
                if let index = queue.index(of: live[position].handle) {
                    queue.move(index, to: lines[target], barrier: barrier)
                }
                live[position].line = target
            default:
                let handle = queue.append(waiter(number, barrier: barrier), to: lines[target])
                expected[target].append(number)
                live.append((number, handle, target))
            }
            for (line, numbers) in zip(lines, expected) { #expect(self.numbers(queue, line) == numbers) }
            #expect(queue.admittedCount + queue.limitedCount == live.count)
            #expect(queue.limitedCount == expected[3].count + expected[8].count)
        }
        #expect(stale.allSatisfy { queue.index(of: $0) == nil })
        #expect(live.allSatisfy { queue.index(of: $0.handle) != nil })
    }

    @Test(arguments: UInt64(0)..<100)
    func consumersStandInOneLineAtATime(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var queue = AdmissionQueue()
        var expected: [AdmissionQueue.ConsumerLine: [Int32]] = [.unbound: [], .seatless: []]
        for _ in 0..<400 {
            let consumer = Int32.random(in: 0..<12, using: &random)
            let line: AdmissionQueue.ConsumerLine = Bool.random(using: &random) ? .unbound : .seatless
            if Int.random(in: 0..<3, using: &random) == 0 {
                queue.delist(consumer)
                for line in [AdmissionQueue.ConsumerLine.unbound, .seatless] {
                    expected[line]?.removeAll { $0 == consumer }
                }
            } else {
                queue.enlist(consumer, in: line)
                if expected[line]?.contains(consumer) == false {
                    expected[line == .unbound ? .seatless : .unbound]?.removeAll { $0 == consumer }
                    expected[line]?.append(consumer)
                }
            }
            for line in [AdmissionQueue.ConsumerLine.unbound, .seatless] {
                #expect(queue.first(of: line) == expected[line]?.first)
            }
            #expect(queue.line(ofConsumer: consumer).map { expected[$0]?.contains(consumer) } ?? true == true)
        }
        for line in [AdmissionQueue.ConsumerLine.unbound, .seatless] {
            var order: [Int32] = []
            while let first = queue.first(of: line) {
                order.append(first)
                queue.delist(first)
            }
            #expect(order == expected[line])
        }
    }

    @Test func anExtensionIsToldOnce() throws {
        var queue = AdmissionQueue()
        let handle = queue.append(waiter(1, barrier: .seats), to: .consumer(0))
        let index = try #require(queue.index(of: handle))
        #expect(queue.takeExtension(index) == nil as Timestamp?)
        queue.move(index, to: .ready, barrier: nil)
        queue.extend(index, until: noon + .seconds(9))
        #expect(queue.takeExtension(index) == noon + .seconds(9))
        #expect(queue.takeExtension(index) == nil as Timestamp?)
    }
}

@Suite struct RefusalBookTests {
    private let refusal = AdmissionRefusal(barrier: .seats, limit: 3, current: 3, retryAfter: .seconds(1))

    @Test func reportsTenASecondAndSumsUpTheRest() {
        var book = RefusalBook()
        var reports: [Int] = []
        for step in Int64(0)..<1_000 {
            let count = book.note(ConsumerKey(1), refusal, waiting: false, now: noon + .milliseconds(step))
            if count > 0 { reports.append(count) }
        }
        #expect(reports == [1] + [Int](repeating: 100, count: 9))
        let rest = book.takeUnreported(now: noon + .seconds(1))
        #expect(rest.map(\.count) == [99])
        #expect(book.takeUnreported(now: noon + .seconds(1)).isEmpty)
    }

    @Test func everyConsumerAndConstraintForItself() {
        var book = RefusalBook()
        let rate = AdmissionRefusal(barrier: .rate, limit: 5, current: 5, retryAfter: .seconds(1))
        #expect(book.note(ConsumerKey(1), refusal, waiting: false, now: noon) == 1)
        #expect(book.note(ConsumerKey(2), refusal, waiting: false, now: noon) == 1)
        #expect(book.note(ConsumerKey(1), rate, waiting: false, now: noon) == 1)
        #expect(book.note(ConsumerKey(1), rate, waiting: false, now: noon) == 0)
        let full = AdmissionRefusal(barrier: .queueFull, limit: 5, current: 5, retryAfter: .seconds(1))
        #expect(book.note(ConsumerKey(1), full, waiting: false, now: noon) == 0, "no constraint is to be raised")
    }

    @Test func servedAfterRefusalIsToldOnce() {
        var book = RefusalBook()
        #expect(book.noteServed(ConsumerKey(1), now: noon) == false)
        _ = book.note(ConsumerKey(1), refusal, waiting: true, now: noon)
        #expect(book.noteServed(ConsumerKey(2), now: noon) == false)
        #expect(book.noteServed(ConsumerKey(1), now: noon) == true)
        #expect(book.noteServed(ConsumerKey(1), now: noon) == false)
        _ = book.note(ConsumerKey(1), refusal, waiting: true, now: noon)
        #expect(book.noteServed(ConsumerKey(1), now: noon + .milliseconds(999)) == false, "not more than once a second")
        #expect(book.noteServed(ConsumerKey(1), now: noon + .seconds(1)) == true)
        #expect(book.openCount == 0)
    }

    @Test func forgetsWhoWasRefusedFirst() {
        var book = RefusalBook(capacity: 10)
        for consumer in UInt32(0)..<25 { _ = book.note(ConsumerKey(consumer), refusal, waiting: false, now: noon) }
        #expect(book.openCount == 10)
        let served = (UInt32(0)..<25).filter { book.noteServed(ConsumerKey($0), now: noon) }
        #expect(served == Array(15..<25))
    }
}
