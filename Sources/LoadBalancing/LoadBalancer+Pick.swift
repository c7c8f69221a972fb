public import CloudModel

extension LoadBalancer {
    /// Chooses a backend with a free place; nil where no usable one has any. Takes nothing yet.
    ///
    /// - Parameters:
    ///   - hash: of the consumer, for the consistent hash.
    ///   - needsSeat: the consumer is to be bound to the backend, so it must have a free seat too; the load that is
    ///     compared is then that of consumers.
    ///   - tried: not these.
    public mutating func pick(hash: UInt64, needsSeat: Bool, excluding tried: TriedBackends? = nil, now: Timestamp)
        -> BackendSlot?
    {
        if now >= nextRefresh { refreshWeights(now: now) }
        guard !usable.isEmpty else { return nil }
        let filter = Filter(needsSeat: needsSeat, tried: tried)
        let index: Int32? =
            if usable.count == 1 {
                isEligible(usable[0], filter) ? usable[0] : nil
            } else {
                switch settings.algorithm {
                case .roundRobin: pickRoundRobin(filter)
                case .leastRequest: pickLeastRequest(filter)
                case .consistentHash: pickConsistentHash(hash, filter)
                }
            }
        guard let index else { return nil }
        return BackendSlot(index: index, generation: entries[Int(index)].generation)
    }

    struct Filter {
        var needsSeat: Bool
        var tried: TriedBackends?
    }

    @inline(__always)
    func isEligible(_ index: Int32, _ filter: Filter) -> Bool {
        let entry = entries[Int(index)]
        guard entry.inFlight < placesPerBackend, !filter.needsSeat || entry.seats < seatsPerBackend else {
            return false
        }
        guard let tried = filter.tried else { return true }
        return !tried.contains(BackendSlot(index: index, generation: entry.generation))
    }

    /// Smooth weighted round robin (nginx, `ngx_http_upstream_get_peer`): everybody's balance grows by its weight, the
    /// highest is chosen and pays what all have gained. Backends that cannot be chosen do not take part.
    private mutating func pickRoundRobin(_ filter: Filter) -> Int32? {
        var total: Int64 = 0
        var best: Int32 = -1
        var bestBalance = Int64.min
        for index in usable where isEligible(index, filter) {
            let balance = entries[Int(index)].balance + entries[Int(index)].weight
            entries[Int(index)].balance = balance
            total += entries[Int(index)].weight
            if balance > bestBalance {
                best = index
                bestBalance = balance
            }
        }
        guard best >= 0 else { return nil }
        entries[Int(best)].balance -= total
        return best
    }

    /// The less loaded of two different random backends (Mitzenmacher, "The power of two choices in randomized load
    /// balancing", 2001). They are drawn in proportion to their weights and compared by load / weight; at equal load
    /// the first drawn wins, so that an idle service is shared by weight too.
    private mutating func pickLeastRequest(_ filter: Filter) -> Int32? {
        guard filter.tried == nil else { return leastLoaded(filter) }
        let (first, second) = weightsDiffer ? drawTwoByWeight() : drawTwo()
        let firstFits = isEligible(first, filter)
        let secondFits = isEligible(second, filter)
        if firstFits && secondFits { return isLessLoaded(second, than: first, filter) ? second : first }
        if firstFits { return first }
        if secondFits { return second }
        return usable.count == 2 ? nil : leastLoaded(filter)
    }

    @inline(__always)
    private func isLessLoaded(_ candidate: Int32, than other: Int32, _ filter: Filter) -> Bool {
        let one = entries[Int(candidate)]
        let two = entries[Int(other)]
        let loads = filter.needsSeat ? (one.seats, two.seats) : (one.inFlight, two.inFlight)
        return Int64(loads.0) * two.weight < Int64(loads.1) * one.weight
    }

    /// Where most are full, two draws may miss the few that are not: look at all, from a random one on.
    private mutating func leastLoaded(_ filter: Filter) -> Int32? {
        let start = Int(randomBelow(Int64(usable.count)))
        var best: Int32?
        for step in 0..<usable.count {
            let position = start + step
            let index = usable[position < usable.count ? position : position - usable.count]
            guard isEligible(index, filter) else { continue }
            guard let current = best else {
                best = index
                continue
            }
            if isLessLoaded(index, than: current, filter) { best = index }
        }
        return best
    }

    @inline(__always)
    private mutating func drawTwo() -> (Int32, Int32) {
        let first = Int(randomBelow(Int64(usable.count)))
        var second = Int(randomBelow(Int64(usable.count - 1)))
        if second >= first { second += 1 }
        return (usable[first], usable[second])
    }

    /// The second draw is from the weights that the first leaves.
    private mutating func drawTwoByWeight() -> (Int32, Int32) {
        let total = cumulative[usable.count - 1]
        let first = position(ofShare: randomBelow(total))
        let before = first == 0 ? 0 : cumulative[first - 1]
        let own = cumulative[first] - before
        var share = randomBelow(total - own)
        if share >= before { share += own }
        return (usable[first], usable[position(ofShare: share)])
    }

    /// The first position whose cumulative weight is above the share.
    private func position(ofShare share: Int64) -> Int {
        var low = 0
        var high = usable.count - 1
        while low < high {
            let middle = (low + high) / 2
            if cumulative[middle] > share { high = middle } else { low = middle + 1 }
        }
        return low
    }

    private func pickConsistentHash(_ hash: UInt64, _ filter: Filter) -> Int32? {
        var best: Int32?
        if weightsDiffer {
            var bestScore = -1.0
            for index in usable where isEligible(index, filter) {
                let entry = entries[Int(index)]
                let draw = RendezvousHash.draw(key: hash, seed: entry.hashSeed)
                let score = RendezvousHash.score(draw: draw, weight: entry.weight)
                if score > bestScore {
                    best = index
                    bestScore = score
                }
            }
        } else {
            var bestDraw: UInt64 = 0
            for index in usable where isEligible(index, filter) {
                let draw = RendezvousHash.draw(key: hash, seed: entries[Int(index)].hashSeed)
                if best == nil || draw > bestDraw {
                    best = index
                    bestDraw = draw
                }
            }
        }
        return best
    }

    /// Uniform in 0..<bound by multiplication (Lemire, 2019, without the rejection: the bias is below bound / 2^64).
    @inline(__always)
    private mutating func randomBelow(_ bound: Int64) -> Int64 {
        Int64(random.next().multipliedFullWidth(by: UInt64(bound)).high)
    }
}
