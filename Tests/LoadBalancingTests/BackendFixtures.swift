import CloudModel
import LoadBalancing

let noon = Timestamp(microseconds: 1_800_000_000_000_000)

/// Backends `b0`, `b1`, … that have been up for long.
func backends(_ count: Int, weights: [Int] = [], upSince: Timestamp = .epoch) -> [Backend] {
    (0..<count).map { index in
        Backend(
            instance: InstanceID("b\(index)"), endpoint: Endpoint(address: "10.0.0.1", port: UInt16(8_000 + index)),
            weight: index < weights.count ? weights[index] : 1, upSince: upSince)
    }
}

func balancer(
    _ algorithm: LoadBalancingSettings.Algorithm, _ backends: [Backend], seed: UInt64 = 1,
    capacity: LoadBalancer.Capacity = .init(), slowStart: TimeSpan = .zero, now: Timestamp = noon
) -> LoadBalancer {
    var balancer = LoadBalancer(seed: seed)
    _ = balancer.apply(
        backends, settings: LoadBalancingSettings(algorithm: algorithm, slowStart: slowStart), capacity: capacity,
        now: now)
    return balancer
}

extension LoadBalancer {
    /// The name of the chosen instance.
    mutating func choose(
        hash: UInt64 = 0, needsSeat: Bool = false, excluding tried: TriedBackends? = nil, now: Timestamp = noon
    ) -> String? {
        pick(hash: hash, needsSeat: needsSeat, excluding: tried, now: now).flatMap { target(of: $0)?.instance.rawValue }
    }

    /// The names chosen for the hashes 0..<count.
    mutating func choices(_ count: Int, needsSeat: Bool = false, excluding tried: TriedBackends? = nil) -> Set<String?>
    {
        Set((0..<count).map { choose(hash: UInt64($0), needsSeat: needsSeat, excluding: tried) })
    }

    mutating func reapply(
        _ backends: [Backend], algorithm: LoadBalancingSettings.Algorithm = .leastRequest,
        capacity: Capacity = .init(), now: Timestamp = noon
    ) -> Changes {
        apply(
            backends, settings: LoadBalancingSettings(algorithm: algorithm, slowStart: .zero), capacity: capacity,
            now: now)
    }

    func slot(_ name: String) -> BackendSlot? {
        usableSlots.first { target(of: $0)?.instance.rawValue == name }
    }
}

/// Pearson's statistic of observed counts against expected shares.
func chiSquare(_ observed: [Int], shares: [Double]) -> Double {
    let total = Double(observed.reduce(0, +))
    let whole = shares.reduce(0, +)
    return zip(observed, shares).reduce(0) { sum, pair in
        let expected = total * pair.1 / whole
        return sum + (Double(pair.0) - expected) * (Double(pair.0) - expected) / expected
    }
}
