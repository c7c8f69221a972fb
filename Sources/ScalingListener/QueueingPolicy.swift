public import CloudModel

/// Erlang's waiting system M/M/m: the fewest instances with which no more than `latePart` of the requests wait longer
/// than the objective. Offered load is the demand (Little: rate times service time), smoothed by the highest of a
/// window.
///
/// P(wait > T) = C(m, a) exp(-(m - a) T / W), with Erlang's C by the stable recursion of his B.
public struct QueueingPolicy: DemandPolicy, Hashable {
    /// Part of the requests that may wait longer than the objective.
    public var latePart: Double
    /// The objective in mean service times.
    public var waitInServiceTimes: Double
    /// Requests that an instance serves at once.
    public var placesPerInstance: Int
    public var window: TimeSpan
    private var highest = MaximumWindow()

    public init(
        latePart: Double = 0.05, waitInServiceTimes: Double = 1, placesPerInstance: Int = 1,
        window: TimeSpan = .minutes(5)
    ) {
        self.latePart = latePart
        self.waitInServiceTimes = waitInServiceTimes
        self.placesPerInstance = max(1, placesPerInstance)
        self.window = window
    }

    public mutating func wish(_ sample: DemandSample) -> DemandWish {
        let (needed, chance) = fewest(forOffered: sample.demand * Double(placesPerInstance))
        highest.add(needed, at: sample.at, length: window)
        if highest.maximum > needed { return DemandWish(highest.maximum, .highestOfWindow) }
        return DemandWish(needed, .waitingChance(chance))
    }

    /// The fewest instances, and the chance of waiting too long with one fewer.
    package func fewest(forOffered offered: Double) -> (instances: Int, chanceWithOneFewer: Double) {
        guard offered > 0 else { return (0, 1) }
        // Beyond what Erlang's formula is worth computing for, the square-root rule (Halfin and Whitt, 1981).
        guard offered < 5_000 else {
            return (wholeInstances((offered + 2 * offered.squareRoot()) / Double(placesPerInstance)), 1)
        }
        var blocking = 1.0
        var before = 1.0
        let last = Int(offered + 20 * offered.squareRoot()) + 20 + placesPerInstance
        for servers in 1...last {
            blocking = offered * blocking / (Double(servers) + offered * blocking)
            guard servers % placesPerInstance == 0 else { continue }
            guard Double(servers) > offered else { continue }
            let used = offered / Double(servers)
            let waiting = blocking / (1 - used * (1 - blocking))
            let late = waiting * Elementary.exponential(-(Double(servers) - offered) * waitInServiceTimes)
            if late <= latePart { return (servers / placesPerInstance, before) }
            before = late
        }
        return ((last + placesPerInstance - 1) / placesPerInstance, before)
    }
}
