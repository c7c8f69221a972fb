import CloudModel
import ScalingListener
import Testing

@Suite struct EscalationTests {
    private typealias Member = Escalation.Member

    private static func member(_ name: String, _ units: Int, here: Int, elsewhere: Int = 0) -> Escalation.Member {
        Escalation.Member(instance: InstanceID(name), units: units, unitsHere: here, unitsElsewhere: elsewhere)
    }

    @Test("first larger where it is, the one with the most room first")
    func inPlace() {
        let members = [Self.member("a", 1, here: 2), Self.member("b", 1, here: 4, elsewhere: 9)]
        #expect(Escalation.up(by: 2, members: members, instances: 3) == [.scaleUp("b", units: 3)])
        #expect(
            Escalation.up(by: 4, members: members, instances: 3)
                == [.scaleUp("b", units: 4), .scaleUp("a", units: 2)])
    }

    @Test("else larger on another host, and no larger than needed")
    func elsewhere() {
        let members = [Self.member("a", 1, here: 2, elsewhere: 4)]
        #expect(Escalation.up(by: 2, members: members, instances: 3) == [.relocate("a", units: 3)])
        // One that could have no more elsewhere is not moved for it.
        let full = [Self.member("a", 2, here: 2, elsewhere: 2)]
        #expect(Escalation.up(by: 1, members: full, instances: 3) == [.scaleOut(1)])
    }

    @Test("else more instances, else somebody is told")
    func outAndNotify() {
        let members = [Self.member("a", 1, here: 2, elsewhere: 3)]
        #expect(
            Escalation.up(by: 5, members: members, instances: 2)
                == [.relocate("a", units: 3), .scaleOut(2), .notify(missing: 1)])
        #expect(Escalation.up(by: 1, members: [], instances: 0) == [.notify(missing: 1)])
        #expect(Escalation.up(by: 0, members: members, instances: 1).isEmpty)
    }

    @Test("back the other way: instances beyond the minimum first, then sizes, and never more than is not needed")
    func down() {
        let members = [Self.member("a", 4, here: 4), Self.member("b", 2, here: 2), Self.member("c", 1, here: 1)]
        #expect(Escalation.down(by: 3, members: members, minimum: 1) == [.scaleIn(2)])
        // The newest is larger than what is not needed: it stays, and another shrinks.
        let uneven = [Self.member("a", 4, here: 4), Self.member("b", 3, here: 3)]
        #expect(Escalation.down(by: 2, members: uneven, minimum: 1) == [.scaleDown("a", units: 2)])
        #expect(
            Escalation.down(by: 9, members: [Self.member("a", 3, here: 3)], minimum: 1) == [.scaleDown("a", units: 1)])
    }

    /// Up finds what is asked for or says what is missing, and takes no more than there is; down gives back no more
    /// than is not needed.
    @Test(arguments: 0..<300)
    func accounts(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let members = (0..<Int.random(in: 0...5, using: &random)).map { index in
            let units = Int.random(in: 1...4, using: &random)
            return Self.member(
                "i\(index)", units, here: units + Int.random(in: 0...3, using: &random),
                elsewhere: Int.random(in: 0...8, using: &random))
        }
        let wanted = Int.random(in: 1...15, using: &random)
        let allowed = Int.random(in: 0...4, using: &random)
        var gained = 0
        var missing = 0
        for step in Escalation.up(by: wanted, members: members, instances: allowed) {
            switch step {
            case .scaleUp(let id, let units):
                guard let member = members.first(where: { $0.instance == id }) else { continue }
                #expect(units <= member.unitsHere && units > member.units)
                gained += units - member.units
            case .relocate(let id, let units):
                guard let member = members.first(where: { $0.instance == id }) else { continue }
                #expect(units <= member.unitsElsewhere && units > member.unitsHere, "seed \(seed)")
                gained += units - member.units
            case .scaleOut(let count):
                #expect(count <= allowed)
                gained += count
            case .notify(let count): missing = count
            case .scaleIn, .scaleDown: Issue.record("that is the wrong way")
            }
        }
        #expect(gained + missing == wanted, "seed \(seed)")
        var given = 0
        for step in Escalation.down(by: wanted, members: members, minimum: 1) {
            switch step {
            case .scaleIn(let count): given += members.suffix(count).reduce(0) { $0 + $1.units }
            case .scaleDown(let id, let units):
                given += (members.first { $0.instance == id }?.units ?? 0) - units
                #expect(units >= 1)
            default: Issue.record("that is the wrong way")
            }
        }
        #expect(given <= wanted)
    }
}
