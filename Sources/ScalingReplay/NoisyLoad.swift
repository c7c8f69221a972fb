import CloudModel

/// A load on which nothing should happen: constant at 70 % of the target but for its noise.
public enum NoisyLoad {
    /// - Parameters:
    ///   - instances: whose target, 70 % of them, the load is 70 % of.
    ///   - noise: standard deviation, relative; the sum of four even chances is about normal.
    public static func constant(
        seed: UInt64, minutes: Int, instances: Double = 20, noise: Double = 0.03
    ) -> DemandTrace {
        var state = seed
        // The sum of four has a standard deviation of sqrt(4 / 12).
        let scale = noise * Double(3).squareRoot()
        let demand = (0..<max(0, minutes)).map { _ -> Double? in
            var sum = 0.0
            for _ in 0..<4 {
                // Knuth's MMIX generator.
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                sum += Double(state >> 40) / 16_777_216 - 0.5
            }
            return 0.7 * 0.7 * instances * (1 + scale * sum)
        }
        return DemandTrace(startsAt: .epoch, step: .minutes(1), demand: demand)
    }
}
