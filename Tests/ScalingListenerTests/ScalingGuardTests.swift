import CloudModel
import ScalingListener
import Testing

@Suite struct ScalingGuardTests {
    private func sample(_ minute: Int64, _ demand: Double, ready: Int, committed: Int? = nil) -> DemandSample {
        DemandSample(at: .epoch + .minutes(minute), demand: demand, ready: ready, committed: committed ?? ready)
    }

    @Test func theCapIsHard() {
        var bounds = ScalingGuard(minimum: 2, maximum: 5)
        #expect(bounds.allow(100, sample(0, 100, ready: 3)) == 5)
        #expect(bounds.allow(0, sample(1, 0, ready: 3)) == 2)
        #expect(bounds.allow(9, sample(2, 9, ready: 9)) == 5, "above a cap that was lowered")
    }

    @Test func neverInWhileStartingOrOntoTheEdge() {
        var bounds = ScalingGuard()
        #expect(bounds.allow(2, sample(0, 1, ready: 3, committed: 4)) == 4)
        #expect(bounds.allow(4, sample(1, 3.9, ready: 6)) == 5, "3.9 of 4 is above 95 %")
        #expect(bounds.allow(4, sample(2, 3.9, ready: 5)) == 5)
    }

    @Test func aMistakenScaleInMakesTheNextWait() {
        var bounds = ScalingGuard()
        #expect(bounds.allow(4, sample(0, 3, ready: 5)) == 4)
        #expect(bounds.allow(5, sample(1, 5, ready: 4)) == 5)
        #expect(bounds.allow(4, sample(5, 3, ready: 5)) == 5, "five minutes from the change on")
        #expect(bounds.allow(4, sample(6, 3, ready: 5)) == 4)
        #expect(bounds.allow(5, sample(7, 5, ready: 4)) == 5)
        #expect(bounds.allow(4, sample(16, 3, ready: 5)) == 5, "ten minutes now")
        #expect(bounds.allow(4, sample(17, 3, ready: 5)) == 4)
    }

    @Test func theSupplyStartsInItsTimeAndStopsTheNewestFirst() {
        var supply = ShadowSupply(ready: 1, startupTime: .minutes(3))
        supply.set(4, at: .epoch)
        supply.set(6, at: .epoch + .minutes(1))
        supply.set(5, at: .epoch + .minutes(1))
        #expect((supply.ready, supply.committed) == (1, 5))
        supply.advance(to: .epoch + .minutes(3))
        #expect((supply.ready, supply.committed) == (4, 5))
        supply.set(2, at: .epoch + .minutes(3))
        supply.advance(to: .epoch + .minutes(9))
        #expect((supply.ready, supply.committed) == (2, 2))
    }
}
