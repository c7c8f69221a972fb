public import CloudModel
public import CloudPorts
import GRDB
import LogRecords

extension SQLiteLogDatabase {
    @discardableResult
    public func commit(_ transaction: ControlTransaction) async throws(LogDatabaseError) -> Int64 {
        try await write("committing a decision") { database in
            for event in transaction.events { try Self.append(event, to: database) }
            for instance in transaction.instances { try Self.persist(instance, in: database) }
            for incident in transaction.incidents { try Self.persist(incident, in: database) }
            if let configuration = transaction.configuration {
                try database.execute(
                    sql: "INSERT INTO configuration VALUES (1, ?) ON CONFLICT DO UPDATE SET content = excluded.content",
                    arguments: [try Document.text(configuration)])
            }
            for (service, value) in transaction.ordinals.sorted(by: { $0.key < $1.key }) {
                try database.execute(
                    sql: """
                        INSERT INTO ordinal VALUES (?, ?)
                        ON CONFLICT DO UPDATE SET value = max(value, excluded.value)
                        """, arguments: [SQLText.encoded(service.rawValue), value])
            }
            for operation in transaction.operations { try Self.persist(operation, in: database) }
            for event in transaction.lifecycle { try Self.append(event, to: database) }
            for notification in transaction.notifications { try Self.append(notification, to: database) }
            for bill in transaction.bills { try Self.append(bill, to: database) }
            for credit in transaction.credits { try Self.append(credit, to: database) }
            for (name, value) in transaction.settings.sorted(by: { $0.key < $1.key }) {
                try Self.store(setting: name, value, in: database)
            }
            return try Self.lastPosition(in: database)
        }
    }

    public func recoveredState() async throws(LogDatabaseError) -> StoredState {
        try await read("reading the state") { database in
            var state = StoredState()
            if let text = try String.fetchOne(database, sql: "SELECT content FROM configuration") {
                state.configuration = try Document.value(CloudConfiguration.self, from: text, what: "the configuration")
            }
            let instances = try Row.fetchAll(database, sql: "SELECT id, content FROM instance ORDER BY id")
            state.instances = try instances.map {
                try Document.value(ServiceInstance.self, from: $0["content"], what: "instance \($0.text("id"))")
            }
            let incidents = try Row.fetchAll(
                database, sql: "SELECT id, content FROM incident WHERE open = 1 ORDER BY id")
            state.incidents = incidents.map {
                StoredIncident(id: $0.text("id"), open: true, json: $0.text("content"))
            }
            for row in try Row.fetchAll(database, sql: "SELECT service, value FROM ordinal") {
                state.ordinals[row.identifier("service")] = row["value"]
            }
            let operations = try Row.fetchAll(
                database, sql: "SELECT content FROM operation WHERE state = 'running' ORDER BY started_at, id")
            state.unfinishedOperations = try operations.map {
                try Document.value(Operation.self, from: $0["content"], what: "an operation")
            }
            return state
        }
    }

    // MARK: Event log

    public func events(_ query: EventQuery) async throws(LogDatabaseError) -> Page<PlatformEvent> {
        var conditions = Conditions()
        conditions.add("position > ?", query.after)
        if let before = query.before { conditions.add("position < ?", before) }
        conditions.add("service", equals: query.service)
        conditions.add("instance", equals: query.instance)
        conditions.add("mechanism", equals: query.mechanism?.rawValue)
        conditions.add("incident", equals: query.incident)
        conditions.add("at", from: query.from, until: query.until)
        if let prefix = query.kindPrefix.map(SQLText.encoded) {
            conditions.add("substr(kind, 1, length(?)) = ?", prefix, prefix)
        }
        return try await page(
            "reading the event log", "platform_event", conditions, limit: query.limit, newest: query.newest,
            position: \.position, Self.event)
    }

    public func lastEventPosition() async throws(LogDatabaseError) -> Int64 {
        try await read("reading the event log", Self.lastPosition)
    }

    /// Rows of an append-only table in order of position.
    func page<Element: Sendable>(
        _ what: String, _ table: String, _ conditions: Conditions, limit: Int, newest: Bool,
        position: @escaping @Sendable (Element) -> Int64, _ element: @escaping @Sendable (Row) throws -> Element
    ) async throws(LogDatabaseError) -> Page<Element> {
        guard limit > 0 else { return Page(elements: [], next: nil) }
        let sql = """
            SELECT * FROM \(table)\(conditions.sql) ORDER BY position \(newest ? "DESC" : "ASC") LIMIT \(limit + 1)
            """
        let arguments = conditions.arguments
        return try await read(what) { database in
            var elements = try Row.fetchAll(database, sql: sql, arguments: arguments).map(element)
            let hasMore = elements.count > limit
            if hasMore { elements.removeLast() }
            let next = hasMore ? elements.last.map(position) : nil
            return Page(elements: newest ? elements.reversed() : elements, next: next)
        }
    }

    // MARK: Operations

    public func operations(_ query: OperationQuery) async throws(LogDatabaseError) -> [Operation] {
        var conditions = Conditions()
        if let after = query.after {
            conditions.add(
                "(started_at, id) \(query.oldestFirst ? ">" : "<") (SELECT started_at, id FROM operation WHERE id = ?)",
                SQLText.encoded(after.rawValue))
        }
        let way = query.oldestFirst ? "ASC" : "DESC"
        let sql = """
            SELECT content FROM operation\(conditions.sql)
            ORDER BY started_at \(way), id \(way) LIMIT \(max(0, query.limit))
            """
        let arguments = conditions.arguments
        return try await read("reading operations") { database in
            let texts = try String.fetchAll(database, sql: sql, arguments: arguments)
            return try texts.map { try Document.value(Operation.self, from: $0, what: "an operation") }
        }
    }

    public func operation(_ id: OperationID) async throws(LogDatabaseError) -> Operation? {
        try await read("reading operation \(id)") { database in
            let text = try String.fetchOne(
                database, sql: "SELECT content FROM operation WHERE id = ?",
                arguments: [SQLText.encoded(id.rawValue)])
            return try text.map { try Document.value(Operation.self, from: $0, what: "operation \(id)") }
        }
    }

    // MARK: Rows

    private static func lastPosition(in database: Database) throws -> Int64 {
        try Int64.fetchOne(database, sql: "SELECT max(position) FROM platform_event") ?? 0
    }

    static func append(_ event: PlatformEvent, to database: Database) throws {
        let statement = try database.cachedStatement(
            sql: """
                INSERT INTO platform_event (at, kind, service, instance, consumer, actor, mechanism, incident, step,
                    summary, details) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """)
        try statement.execute(arguments: [
            event.at.microseconds, SQLText.encoded(event.kind), (event.service?.rawValue).map(SQLText.encoded),
            (event.instance?.rawValue).map(SQLText.encoded), (event.consumer?.rawValue).map(SQLText.encoded),
            SQLText.encoded(event.actor), event.step?.mechanism.rawValue, (event.step?.incident).map(SQLText.encoded),
            (event.step?.number).map(SQLText.encoded), SQLText.encoded(event.summary),
            try Document.text(event.details),
        ])
    }

    private static func event(_ row: Row) throws -> PlatformEvent {
        var step: TimelineStep?
        if let incident = row.optionalText("incident"), let number = row.optionalText("step") {
            step = TimelineStep(mechanism: try row.word("mechanism"), incident: incident, number: number)
        }
        return PlatformEvent(
            position: row["position"], at: row.time("at"), kind: row.text("kind"),
            service: row.optionalIdentifier("service"), instance: row.optionalIdentifier("instance"),
            consumer: row.optionalIdentifier("consumer"), actor: row.text("actor"), step: step,
            summary: row.text("summary"),
            details: try Document.value(
                [String: String].self, from: row["details"], what: "event \(row["position"] as Int64)"))
    }

    private static func persist(_ instance: ServiceInstance, in database: Database) throws {
        let id = SQLText.encoded(instance.id.rawValue)
        guard instance.phase != .removed else {
            return try database.execute(sql: "DELETE FROM instance WHERE id = ?", arguments: [id])
        }
        try database.execute(
            sql: "INSERT INTO instance VALUES (?, ?) ON CONFLICT DO UPDATE SET content = excluded.content",
            arguments: [id, try Document.text(instance)])
    }

    private static func persist(_ incident: StoredIncident, in database: Database) throws {
        try database.execute(
            sql: """
                INSERT INTO incident VALUES (?, ?, ?)
                ON CONFLICT DO UPDATE SET open = excluded.open, content = excluded.content
                """, arguments: [SQLText.encoded(incident.id), incident.open, SQLText.encoded(incident.json)])
    }

    private static func persist(_ operation: Operation, in database: Database) throws {
        try database.execute(
            sql: """
                INSERT INTO operation VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE
                SET state = excluded.state, started_at = excluded.started_at, content = excluded.content
                """,
            arguments: [
                SQLText.encoded(operation.id.rawValue), operation.state.rawValue, operation.startedAt.microseconds,
                try Document.text(operation),
            ])
    }
}
