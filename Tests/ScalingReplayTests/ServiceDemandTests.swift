import CloudModel
import ScalingReplay
import Testing

@Suite struct ServiceDemandTests {
    private static let start = Timestamp(microseconds: 1_790_000_000_000_000)

    private static func demand(
        steps: Int = 5, requests: Int? = 2, consumers: Int? = nil
    ) -> ServiceDemand {
        ServiceDemand(
            startsAt: start, step: .seconds(10), steps: steps,
            capacity: ServiceDemand.Capacity(requests: requests, consumers: consumers))
    }

    private static func values(_ demand: ServiceDemand) -> [Double] { demand.trace?.demand.compactMap { $0 } ?? [] }

    @Test("requests in flight are their mean over a step, in instances; worked by hand")
    func requests() {
        var demand = Self.demand()
        // 5 s of the first step, all of the second, 3 s of the third.
        demand.add(consumer: "a", from: Self.start + .seconds(5), until: Self.start + .seconds(23))
        // Within one step.
        demand.add(consumer: "a", from: Self.start + .seconds(31), until: Self.start + .seconds(33))
        demand.add(consumer: "b", from: Self.start + .seconds(30), until: Self.start + .seconds(40))
        let found = Self.values(demand)
        for (value, expected) in zip(found, [0.25, 0.5, 0.15, 0.6, 0]) {
            #expect(abs(value - expected) < 1e-12, "\(found)")
        }
        #expect(found.count == 5 && demand.requests == 3)
    }

    @Test("a consumer counts once however many requests it has; the constraint that asks for most decides")
    func consumers() {
        var demand = Self.demand(steps: 1, requests: 10, consumers: 1)
        for consumer in ["a", "a", "a", "b"] {
            demand.add(consumer: ConsumerID(consumer), from: Self.start, until: Self.start + .seconds(10))
        }
        #expect(Self.values(demand) == [2], "two consumers at one for each instance, and 4 of 10 requests")
        var more = Self.demand(steps: 1, requests: 1, consumers: 4)
        for _ in 0..<3 { more.add(consumer: "a", from: Self.start, until: Self.start + .seconds(10)) }
        #expect(Self.values(more) == [3], "three requests at one for each instance")
    }

    @Test("what is outside the time is cut off, and nothing is known without a capacity")
    func edges() {
        var demand = Self.demand(steps: 2)
        demand.add(consumer: "a", from: Self.start - .seconds(30), until: Self.start + .seconds(1))
        demand.add(consumer: "a", from: Self.start + .seconds(19), until: Self.start + .hours(9))
        demand.add(consumer: "a", from: Self.start + .seconds(9), until: Self.start + .seconds(9))
        demand.add(consumer: "a", from: Self.start + .seconds(50), until: Self.start + .seconds(60))
        #expect(Self.values(demand) == [0.05, 0.05])
        #expect(Self.demand(requests: nil).trace == nil)
        #expect(Self.demand(requests: 0).trace == nil, "no instance takes nothing")
    }

    @Test("against a computation of its own: every microsecond step by step, with random requests")
    func independent() {
        var state: UInt64 = 5
        func next(_ bound: Int64) -> Int64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int64(state >> 33) % bound
        }
        var demand = Self.demand(steps: 20, requests: 3, consumers: 2)
        var busy = [[String: Int64]](repeating: [:], count: 20)
        for _ in 0..<300 {
            let consumer = "c-\(next(4))"
            let begin = next(200_000_000)
            let end = begin + next(40_000_000)
            demand.add(
                consumer: ConsumerID(consumer), from: Self.start + .microseconds(begin),
                until: Self.start + .microseconds(end))
            for step in 0..<20 {
                let (from, until) = (Int64(step) * 10_000_000, Int64(step + 1) * 10_000_000)
                let overlap = min(end, until) - max(begin, from)
                if overlap > 0 { busy[step][consumer, default: 0] += overlap }
            }
        }
        let expected = busy.map { step in
            let all = Double(step.values.reduce(0, +)) / 10_000_000 / 3
            let active = step.values.reduce(0.0) { $0 + min(1, Double($1) / 10_000_000) } / 2
            return max(all, active)
        }
        for (value, wanted) in zip(Self.values(demand), expected) { #expect(abs(value - wanted) < 1e-9) }
    }
}
