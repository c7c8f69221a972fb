import CloudModel
import ScalingListener
import Testing

/// Lines in turns, against arrays of arrays.
@Suite struct ConsumerTurnsTests {
    /// What is in one line: the consumers in order of their turns, each with its items.
    private typealias NaiveLine = [(consumer: Int32, items: [Int32])]

    @Test(arguments: UInt64(0)..<100)
    func agreesWithTheNaiveModel(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var turns = ConsumerTurns()
        var lines = [NaiveLine](repeating: [], count: 4)
        var free = Array(Int32(0)..<60)
        for _ in 0..<1_500 {
            let line = Int.random(in: 0..<lines.count, using: &random)
            switch Int.random(in: 0..<5, using: &random) {
            case 0..<2 where !free.isEmpty:
                let item = free.remove(at: Int.random(in: 0..<free.count, using: &random))
                let consumer = Int32.random(in: 0..<7, using: &random)
                turns.append(item, of: consumer, to: Int32(line))
                if let position = lines[line].firstIndex(where: { $0.consumer == consumer }) {
                    lines[line][position].items.append(item)
                } else {
                    lines[line].append((consumer, [item]))
                }
            case 2 where !lines[line].isEmpty:
                // Somebody leaves: nobody's turn is over.
                let position = Int.random(in: 0..<lines[line].count, using: &random)
                let place = Int.random(in: 0..<lines[line][position].items.count, using: &random)
                let item = lines[line][position].items.remove(at: place)
                if lines[line][position].items.isEmpty { lines[line].remove(at: position) }
                turns.remove(item, served: false)
                free.append(item)
            case 3..<5 where !lines[line].isEmpty:
                var served = lines[line].removeFirst()
                let item = served.items.removeFirst()
                if !served.items.isEmpty { lines[line].append(served) }
                #expect(turns.first(of: Int32(line)) == item)
                turns.remove(item, served: true)
                free.append(item)
            default: break
            }
            for (number, line) in lines.enumerated() {
                #expect(turns.first(of: Int32(number)) == line.first?.items.first)
                for (_, items) in line {
                    for (item, next) in zip(items, items.dropFirst()) { #expect(turns.next(after: item) == next) }
                    #expect(items.last.map { turns.next(after: $0) } == .some(nil))
                }
            }
        }
    }

    @Test func oneOfTwoWithAThousandItemsGetsHalf() {
        var turns = ConsumerTurns()
        for item in Int32(0)..<1_000 { turns.append(item, of: 1, to: 0) }
        for item in Int32(1_000)..<1_010 { turns.append(item, of: 2, to: 0) }
        var served: [Int32] = []
        for _ in 0..<20 {
            guard let item = turns.first(of: 0) else { break }
            turns.remove(item, served: true)
            served.append(item)
        }
        #expect(served.count { $0 >= 1_000 } == 10)
        #expect(served.filter { $0 >= 1_000 } == Array(1_000..<1_010))
    }
}

@Suite struct ConsumerBacklogTests {
    @Test(arguments: UInt64(0)..<100)
    func agreesWithCounting(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var backlog = ConsumerBacklog()
        var waiting: [Int32: [Int32]] = [:]
        var free = Array(Int32(0)..<80)
        for step in 0..<1_500 {
            // Fills for a while and then empties, so that the greatest number rises and falls.
            let fills = Int.random(in: 0..<10, using: &random) < (step / 200 % 2 == 0 ? 7 : 3)
            if fills, !free.isEmpty {
                let item = free.remove(at: Int.random(in: 0..<free.count, using: &random))
                let consumer = Int32.random(in: 0..<6, using: &random)
                backlog.insert(item, of: consumer)
                waiting[consumer, default: []].append(item)
            } else if let consumer = waiting.filter({ !$0.value.isEmpty }).keys.sorted().randomElement(using: &random),
                let item = waiting[consumer]?.randomElement(using: &random)
            {
                waiting[consumer]?.removeAll { $0 == item }
                backlog.remove(item)
                backlog.remove(item)
                #expect(!backlog.contains(item))
                free.append(item)
            }
            for consumer in Int32(0)..<6 {
                #expect(backlog.count(of: consumer) == waiting[consumer]?.count ?? 0)
                #expect(backlog.newest(of: consumer) == waiting[consumer]?.last)
            }
            let greatest = waiting.values.map(\.count).max() ?? 0
            #expect(backlog.greatest == greatest)
            #expect(backlog.longest.map { waiting[$0]?.count ?? 0 } ?? 0 == greatest)
        }
        #expect(backlog.count(of: -1) == 0 && backlog.count(of: 99) == 0 && backlog.newest(of: 99) == nil)
    }
}
