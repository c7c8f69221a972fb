import CloudModel
import CloudPorts

extension LogDatabaseContract {
    static let controlChecks: [LogDatabaseContract] = [
        LogDatabaseContract("an empty database has no state") { open in
            try await session(open) { database in
                try requireEqual(try await database.recoveredState(), StoredState(), "nothing is stored")
                try requireEqual(try await database.lastEventPosition(), 0, "no event")
                try requireEqual(try await database.operations(limit: 10), [], "no operation")
                try require(try await database.operation("none") == nil, "an unknown operation is nil")
            }
        },
        LogDatabaseContract("a decision is stored whole and survives a reopening") { open in
            var transaction = ControlTransaction()
            transaction.configuration = Samples.configuration
            transaction.instances = [Samples.instance("shop-1"), Samples.instance("shop-2", phase: .failed)]
            transaction.incidents = [
                StoredIncident(id: "limit/1", open: true, json: #"{"a":"nul\u0000"}"#),
                StoredIncident(id: "limit/0", open: false, json: "{}"),
            ]
            transaction.ordinals = ["shop": 12, "old": 1]
            transaction.operations = [Samples.operation("op-1"), Samples.operation("op-2", state: .failed)]
            transaction.events = [Samples.event("a"), Samples.event("b")]
            transaction.settings = ["demand/shop/3": "1 5r/0c 20000 7", "": ""]
            let committed = transaction
            let position = try await session(open) { try await $0.commit(committed) }
            try requireEqual(position, 2, "the last event's position")
            try await session(open) { database in
                let state = try await database.recoveredState()
                try requireEqual(state.configuration, committed.configuration, "the configuration")
                try requireEqual(state.instances, committed.instances, "the instances, by id")
                try requireEqual(state.incidents, [committed.incidents[0]], "the open incidents")
                try requireEqual(state.ordinals, committed.ordinals, "the ordinals")
                try requireEqual(state.unfinishedOperations, [committed.operations[0]], "the running operations")
                for (name, value) in committed.settings {
                    try requireEqual(try await database.setting(name), value, "setting \(name)")
                }
                try requireEqual(
                    try await database.operation("op-2"), committed.operations[1], "a finished operation")
            }
        },
        LogDatabaseContract("what is persisted again replaces what was") { open in
            try await session(open) { database in
                var transaction = ControlTransaction()
                transaction.instances = [Samples.instance("a"), Samples.instance("b")]
                transaction.incidents = [StoredIncident(id: "i", open: true, json: "1")]
                transaction.ordinals = ["shop": 5]
                transaction.operations = [Samples.operation("op")]
                transaction.configuration = Samples.configuration
                try await database.commit(transaction)
                transaction = ControlTransaction()
                transaction.instances = [
                    Samples.instance("a", phase: .stopping), Samples.instance("b", phase: .removed),
                ]
                transaction.incidents = [StoredIncident(id: "i", open: false, json: "2")]
                transaction.ordinals = ["shop": 3]
                transaction.operations = [Samples.operation("op", state: .succeeded)]
                transaction.configuration = CloudConfiguration()
                try await database.commit(transaction)
                let state = try await database.recoveredState()
                try requireEqual(state.instances, [Samples.instance("a", phase: .stopping)], "a removed one is gone")
                try requireEqual(state.incidents, [], "a closed incident is not open")
                try requireEqual(state.ordinals, ["shop": 5], "the highest ordinal stays")
                try requireEqual(state.unfinishedOperations, [], "a finished operation is not running")
                try requireEqual(state.configuration, CloudConfiguration(), "the newest configuration")
            }
        },
        LogDatabaseContract("operations come newest first") { open in
            try await session(open) { database in
                var transaction = ControlTransaction()
                transaction.operations = (0..<5).map {
                    Samples.operation(OperationID("op-\($0)"), startedAt: Samples.start + .seconds($0))
                }
                try await database.commit(transaction)
                let found = try await database.operations(limit: 3)
                try requireEqual(found.map(\.id), ["op-4", "op-3", "op-2"], "newest first")
            }
        },
        LogDatabaseContract("operations are read in parts, in either order, whichever began at the same time") { open in
            try await session(open) { database in
                var transaction = ControlTransaction()
                transaction.operations = (0..<6).map {
                    Samples.operation(OperationID("op-\($0)"), startedAt: Samples.start + .seconds($0 / 4))
                }
                try await database.commit(transaction)
                for oldestFirst in [false, true] {
                    var query = OperationQuery(limit: 2)
                    query.oldestFirst = oldestFirst
                    var ids: [OperationID] = []
                    repeat {
                        let part = try await database.operations(query)
                        ids += part.map(\.id)
                        query.after = part.last?.id
                    } while query.after != nil && ids.count < 10
                    let all = (0..<6).map { OperationID("op-\($0)") }
                    try requireEqual(ids, oldestFirst ? all : all.reversed(), "each once")
                }
                var query = OperationQuery()
                query.after = "of no operation"
                try requireEqual(try await database.operations(query), [], "after what is not there nothing comes")
            }
        },
    ]

    static let eventChecks: [LogDatabaseContract] = [
        LogDatabaseContract("events get consecutive positions and come back as they were") { open in
            var expected: [PlatformEvent] = []
            for (index, text) in Samples.oddTexts.enumerated() {
                var event = Samples.event(
                    "kind." + text, instance: InstanceID(text),
                    step: TimelineStep(mechanism: .failoverActivePassive, incident: text, number: "3a"),
                    summary: text, details: [text: text, "other": "value"])
                event.actor = text
                expected.append(event)
                event.step = nil
                event.service = nil
                event.instance = nil
                event.consumer = nil
                event.details = [:]
                expected.append(event)
                for place in [2 * index, 2 * index + 1] { expected[place].position = Int64(place + 1) }
            }
            let events = expected
            try await session(open) { database in
                for chunk in stride(from: 0, to: events.count, by: 5) {
                    var transaction = ControlTransaction()
                    transaction.events = Array(events[chunk..<min(chunk + 5, events.count)])
                    let last = try await database.commit(transaction)
                    try requireEqual(last, Int64(min(chunk + 5, events.count)), "the last position")
                }
                try requireEqual(
                    try await database.commit(ControlTransaction()), Int64(events.count), "nothing new: the last one")
            }
            try await session(open) { database in
                var query = EventQuery()
                query.limit = 1_000
                let page = try await database.events(query)
                try requireEqual(page.elements, events, "all events")
                try require(page.next == nil, "no page after the last")
            }
        },
        LogDatabaseContract("events are found by every filter, page by page") { open in
            try await session(open) { database in
                var transaction = ControlTransaction()
                for index in 0..<40 {
                    transaction.events.append(
                        Samples.event(
                            index % 2 == 0 ? "scaling.decided" : "instance.started",
                            at: Samples.start + .seconds(Int64(index)), service: index % 4 == 0 ? "shop" : "old",
                            instance: index % 5 == 0 ? "shop-1" : nil,
                            step: index % 8 == 0
                                ? TimelineStep(mechanism: .failoverActiveActive, incident: "run-\(index)", number: "1")
                                : nil))
                }
                try await database.commit(transaction)
                func positions(_ change: (inout EventQuery) -> Void) async throws -> [Int64] {
                    var query = EventQuery()
                    change(&query)
                    return try await database.events(query).elements.map(\.position)
                }
                let all = Array(Int64(1)...40)
                try requireEqual(try await positions { $0.service = "shop" }, all.filter { $0 % 4 == 1 }, "service")
                try requireEqual(
                    try await positions { $0.instance = "shop-1" }, all.filter { $0 % 5 == 1 }, "instance")
                try requireEqual(
                    try await positions { $0.kindPrefix = "scaling." }, all.filter { $0 % 2 == 1 }, "prefix of the kind"
                )
                try requireEqual(try await positions { $0.kindPrefix = "s%" }, [], "a prefix is no pattern")
                try requireEqual(
                    try await positions { $0.mechanism = .failoverActiveActive }, all.filter { $0 % 8 == 1 },
                    "mechanism")
                try requireEqual(try await positions { $0.incident = "run-8" }, [9], "incident")
                try requireEqual(
                    try await positions {
                        $0.from = Samples.start + .seconds(10)
                        $0.until = Samples.start + .seconds(12)
                    }, [11, 12], "time; the end is exclusive")
                try requireEqual(
                    try await positions {
                        $0.newest = true
                        $0.limit = 3
                    }, [38, 39, 40], "the newest, in order of position")
                try requireEqual(
                    try await positions {
                        $0.newest = true
                        $0.before = 38
                        $0.limit = 3
                    }, [35, 36, 37], "the newest before a position")
                var newest = EventQuery()
                (newest.newest, newest.limit) = (true, 15)
                var found: [Int64] = []
                repeat {
                    let page = try await database.events(newest)
                    found = page.elements.map(\.position) + found
                    newest.before = page.next
                } while newest.before != nil && found.count < 100
                try requireEqual(found, Array(1...40), "from the newest to the oldest, each once")
                try await pageThrough(database)
            }
        },
    ]

    private static func pageThrough(_ database: any LogDatabase) async throws {
        var query = EventQuery()
        query.service = "old"
        query.limit = 7
        var found: [Int64] = []
        var pages = 0
        while true {
            let page = try await database.events(query)
            found += page.elements.map(\.position)
            pages += 1
            guard let next = page.next, pages < 100 else { break }
            query.after = next
        }
        try requireEqual(found, (1...40).filter { $0 % 4 != 1 }, "every page once")
        try requireEqual(pages, 5, "30 events in pages of 7")
    }
}
