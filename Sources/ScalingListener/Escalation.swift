public import CloudModel

/// How more capacity is found for a service on virtual servers, and given back: larger where it is, else larger on
/// another host, else more instances, else somebody is told.
///
/// Capacity is counted in units: what one instance of the template's size is. So the policies that say how many
/// instances a load needs say how many units it needs, and this says whose.
public enum Escalation {
    /// A virtual server that does the work, or is about to.
    public struct Member: Hashable, Sendable {
        public var instance: InstanceID
        /// What it has, or is on its way to have.
        public var units: Int
        /// What it could have where it is; not less than `units`.
        public var unitsHere: Int
        /// What it could have on the best other host; 0 where it cannot be moved.
        public var unitsElsewhere: Int

        public init(instance: InstanceID, units: Int, unitsHere: Int, unitsElsewhere: Int = 0) {
            self.instance = instance
            self.units = units
            self.unitsHere = unitsHere
            self.unitsElsewhere = unitsElsewhere
        }
    }

    public enum Step: Hashable, Sendable {
        case scaleUp(InstanceID, units: Int)
        /// By a live migration to a host that has the room.
        case relocate(InstanceID, units: Int)
        /// So many more instances.
        case scaleOut(Int)
        /// So many units are found nowhere.
        case notify(missing: Int)
        /// So many fewer instances.
        case scaleIn(Int)
        case scaleDown(InstanceID, units: Int)
    }

    /// - Parameters:
    ///   - units: that are missing.
    ///   - instances: that may still be added.
    public static func up(by units: Int, members: [Member], instances: Int) -> [Step] {
        var missing = units
        guard missing > 0 else { return [] }
        var steps: [Step] = []
        var members = members.sorted { left, right in
            let (first, second) = (left.unitsHere - left.units, right.unitsHere - right.units)
            return first == second ? left.instance < right.instance : first > second
        }
        let inPlace = members.reduce(0) { $0 + max(0, $1.unitsHere - $1.units) }
        if inPlace < missing, let moved = mostToGain(members) {
            // The others grow where they are; the one that is moved gets no more than what is then missing.
            let rest = missing - (inPlace - max(0, moved.unitsHere - moved.units))
            let target = min(moved.unitsElsewhere, moved.units + rest)
            steps.append(.relocate(moved.instance, units: target))
            missing -= target - moved.units
            members.removeAll { $0.instance == moved.instance }
        }
        for member in members where missing > 0 && member.unitsHere > member.units {
            let more = min(missing, member.unitsHere - member.units)
            steps.append(.scaleUp(member.instance, units: member.units + more))
            missing -= more
        }
        let more = min(missing, max(0, instances))
        if more > 0 { steps.append(.scaleOut(more)) }
        missing -= more
        if missing > 0 { steps.append(.notify(missing: missing)) }
        return steps
    }

    private static func mostToGain(_ members: [Member]) -> Member? {
        let gaining = members.filter { $0.unitsElsewhere > $0.unitsHere }
        return gaining.max { left, right in
            let (first, second) = (left.unitsElsewhere - left.unitsHere, right.unitsElsewhere - right.unitsHere)
            return first == second ? left.instance > right.instance : first < second
        }
    }

    /// The other way round: instances beyond the minimum go first, the newest first, as long as they are not larger
    /// than what is to be given back; then the largest are made smaller.
    /// - Parameters:
    ///   - units: that are not needed.
    ///   - members: in the order in which they were made.
    ///   - minimum: instances that stay.
    public static func down(by units: Int, members: [Member], minimum: Int) -> [Step] {
        var surplus = units
        var members = members
        var gone = 0
        while let newest = members.last, members.count > max(1, minimum), newest.units <= surplus {
            surplus -= newest.units
            gone += 1
            members.removeLast()
        }
        var steps: [Step] = gone > 0 ? [.scaleIn(gone)] : []
        let bySize = members.sorted { $0.units == $1.units ? $0.instance < $1.instance : $0.units > $1.units }
        for member in bySize where surplus > 0 && member.units > 1 {
            let less = min(surplus, member.units - 1)
            steps.append(.scaleDown(member.instance, units: member.units - less))
            surplus -= less
        }
        return steps
    }
}
