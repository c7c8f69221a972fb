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
        bounds.mindsNoise = false
        #expect(bounds.allow(4, sample(0, 3, ready: 5)) == 4)
        #expect(bounds.allow(5, sample(1, 5, ready: 4)) == 5)
        #expect(bounds.allow(4, sample(5, 3, ready: 5)) == 5, "five minutes from the change on")
        #expect(bounds.allow(4, sample(6, 3, ready: 5)) == 4)
        #expect(bounds.allow(5, sample(7, 5, ready: 4)) == 5)
        #expect(bounds.allow(4, sample(16, 3, ready: 5)) == 5, "ten minutes now")
        #expect(bounds.allow(4, sample(17, 3, ready: 5)) == 4)
    }

    /// A spike undoes the action in: on the same load it is not tried again for twelve hours, on less it is.
    @Test func whatWasTakenBackIsNotTriedAgainOnTheSameLoad() {
        var bounds = ScalingGuard()
        for minute in Int64(0)..<60 { _ = bounds.allow(5, sample(minute, 3, ready: 5)) }
        #expect(bounds.allow(4, sample(60, 3, ready: 5)) == 4)
        for minute in Int64(61)..<90 { _ = bounds.allow(4, sample(minute, 3, ready: 4)) }
        #expect(bounds.allow(5, sample(90, 4.5, ready: 4)) == 5)
        var wishes: Set<Int> = []
        for minute in Int64(91)..<(90 + 719) { wishes.insert(bounds.allow(4, sample(minute, 3, ready: 5))) }
        #expect(wishes == [5])
        var afterwards = bounds
        #expect(afterwards.allow(4, sample(90 + 721, 3, ready: 5)) == 4, "twelve hours later")
        for minute in Int64(809)..<850 { _ = bounds.allow(5, sample(minute, 2, ready: 5)) }
        #expect(bounds.allow(4, sample(850, 2, ready: 5)) == 4, "a load that is a different one")
    }

    /// The policy would take it back: only as far in as it would not.
    @Test func thePolicyIsAskedWhatItWouldDoNext() {
        struct Wants: DemandPolicy {
            func wish(_ sample: DemandSample) -> DemandWish { DemandWish(sample.ready < 7 ? 7 : 4, .steady) }
        }
        var bounds = ScalingGuard()
        #expect(bounds.allow(4, sample(0, 3, ready: 10), asking: Wants()) == 7)
        var other = ScalingGuard()
        #expect(other.allow(4, sample(0, 3, ready: 10)) == 4)
    }

    /// Within the hour nothing on a load that only has noise, but out where the noise can exceed the supply.
    @Test func aCalmLoadAllowsOneActionAnHour() {
        var bounds = ScalingGuard()
        func noisy(_ minute: Int64, ready: Int) -> DemandSample {
            sample(minute, minute % 2 == 0 ? 9.5 : 10.5, ready: ready)
        }
        for minute in Int64(0)..<120 { _ = bounds.allow(20, noisy(minute, ready: 20)) }
        #expect(bounds.allow(21, noisy(120, ready: 20)) == 21)
        #expect(bounds.allow(22, noisy(150, ready: 21)) == 21)
        #expect(bounds.allow(19, noisy(151, ready: 21)) == 21)
        #expect(bounds.allow(12, noisy(152, ready: 10)) == 12, "10.5 is more than ten")
        for minute in Int64(153)..<230 { _ = bounds.allow(15, noisy(minute, ready: 15)) }
        #expect(bounds.allow(9, noisy(230, ready: 15)) == 13, "no further in than the noise reaches")
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
