import Foundation
import HypervisorLibvirt
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1)))
struct AnswerWatchTests {
    @Test("a question waits as long as the looks say, and anew for each question")
    func patience() {
        var patience = AnswerPatience()
        var now = SuspendingClock.now
        func after(_ span: Duration, _ question: Int?) -> Duration {
            now = now + span
            patience.look(at: now, waitingFor: question)
            return patience.waited
        }
        #expect(after(.zero, 1) == .zero)
        #expect(after(.milliseconds(100), 1) == .milliseconds(100))
        #expect(after(.milliseconds(300), 1) == .milliseconds(400))
        #expect(after(.milliseconds(100), 2) == .zero)
        #expect(after(.milliseconds(100), 2) == .milliseconds(100))
        #expect(after(.milliseconds(100), nil) == .zero)
    }

    @Test("whoever was asleep for a minute has not waited for a minute")
    func ownPause() {
        var patience = AnswerPatience()
        let begun = SuspendingClock.now
        patience.look(at: begun, waitingFor: 1)
        patience.look(at: begun + .seconds(60), waitingFor: 1)
        #expect(patience.waited == AnswerPatience.longestLook)
    }

    @Test("a question that stays unanswered is told, and no other is asked meanwhile")
    func silence() async {
        let asked = Mutex(0)
        let answer = DispatchSemaphore(value: 0)
        let begun = SuspendingClock.now
        let watch = AnswerWatch(limit: .milliseconds(700), interval: .milliseconds(1)) {
            let number = asked.withLock { count in
                count += 1
                return count
            }
            // The first three are answered.
            if number > 3 { answer.wait() }
        }
        await watch.untilSilent()
        #expect(SuspendingClock.now - begun >= .milliseconds(700))
        #expect(asked.withLock { $0 } == 4)
        answer.signal()
    }

    @Test("whoever answers is not silent, however often it is asked")
    func answers() async {
        let asked = Mutex(0)
        let hasEnded = Mutex(false)
        let watch = AnswerWatch(limit: .milliseconds(200), interval: .milliseconds(1)) {
            asked.withLock { $0 += 1 }
        }
        let task = Task {
            await watch.untilSilent()
            hasEnded.withLock { $0 = true }
        }
        #expect(await eventually(within: .seconds(40)) { asked.withLock { $0 } > 100 })
        #expect(!hasEnded.withLock { $0 })
        task.cancel()
        await task.value
    }
}
