import ControlPlane
import Foundation
import Testing

/// What no test with two platforms can bring about at will: a process that is frozen between its last look at the clock
/// and the action.
struct LeaseFenceTests {
    @Test func whoIsFrozenWhileItBeginsToActNeverWakesUp() async {
        await #expect(processExitsWith: .signal(SIGKILL)) {
            let fence = LeaseFence(duration: 2_000_000)
            fence.extend(until: LeaseFence.now() + 1_000_000, epoch: 7)
            _ = fence.perform { _ in
                raise(SIGSTOP)
                // Nobody wakes it: without the kernel's timer it stays here for ever.
            }
        }
    }

    @Test func anActionThatHasBegunOrEndedIsNobodysEnd() async {
        await #expect(processExitsWith: .success) {
            let fence = LeaseFence(duration: 400_000)
            fence.extend(until: LeaseFence.now() + 400_000, epoch: 7)
            let epoch = fence.perform { epoch in epoch }
            #expect(epoch == 7)
            // One that takes longer than the lease: it had begun while that was held.
            let isDone: Bool? = fence.perform { _ in
                Thread.sleep(forTimeInterval: 0.8)
                return true
            }
            #expect(isDone == true)
        }
    }

    @Test func nothingBeginsNearOrBehindTheEnd() {
        let fence = LeaseFence(duration: 4_000_000)
        #expect(!fence.isOpen)
        // A quarter of the duration must be left.
        fence.extend(until: LeaseFence.now() + 900_000, epoch: 1)
        let late: Bool? = fence.perform { _ in true }
        #expect(late == nil)
        fence.extend(until: LeaseFence.now() + 4_000_000)
        let early: Bool? = fence.perform { _ in true }
        #expect(early == true)
        fence.shut()
        let lost: Bool? = fence.perform { _ in true }
        #expect(lost == nil)
    }
}
