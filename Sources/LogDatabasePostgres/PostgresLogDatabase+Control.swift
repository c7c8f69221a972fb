public import CloudModel
public import CloudPorts
import LogRecords

/// Decisions of which it is not known whether they are stored, by the token that they were committed with. When one
/// comes again it is looked for first: it must be neither lost nor stored twice.
struct CommitDoubts {
    private var tokens: [(transaction: ControlTransaction, token: String)] = []
    /// More are not in doubt at a time: each is repeated by whoever wanted it until it is stored.
    private static let limit = 64

    mutating func add(_ transaction: ControlTransaction, token: String) {
        tokens.removeAll { $0.token == token }
        tokens.append((transaction, token))
        if tokens.count > Self.limit { tokens.removeFirst() }
    }

    func token(of transaction: ControlTransaction) -> String? {
        tokens.first { $0.transaction == transaction }?.token
    }

    mutating func settle(token: String) { tokens.removeAll { $0.token == token } }
}

extension PostgresLogDatabase {
    @discardableResult
    public func commit(_ transaction: ControlTransaction) async throws(LogDatabaseError) -> Int64 {
        let known = doubts.withLock { $0.token(of: transaction) }
        var random = SystemRandomNumberGenerator()
        let token = known ?? RequestID(high: random.next(), low: random.next()).description
        do throws(LogDatabaseError) {
            let position = try await write("committing a decision") { connection in
                try Self.store(transaction, token: token, isRepeated: known != nil, on: connection)
            }
            doubts.withLock { $0.settle(token: token) }
            return position
        } catch {
            if error.code == .unavailable { doubts.withLock { $0.add(transaction, token: token) } }
            throw error
        }
    }

    private static func store(
        _ transaction: ControlTransaction, token: String, isRepeated: Bool, on connection: Connection
    ) throws -> Int64 {
        // Waits for the end of an attempt that the server is still at.
        var positions = try PositionCounter("platform_event", on: connection)
        if isRepeated {
            let stored = try connection.run("SELECT position FROM control_commit WHERE token = $1", token)
            if let position: Int64 = try stored.first?.number("position") { return position }
        }
        for event in transaction.events {
            try append(event, position: positions.next, on: connection)
            positions.advance()
        }
        try positions.store()
        for instance in transaction.instances { try persist(instance, on: connection) }
        for incident in transaction.incidents { try persist(incident, on: connection) }
        if let configuration = transaction.configuration {
            try connection.run(
                "INSERT INTO configuration VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET content = excluded.content",
                try Document.text(configuration))
        }
        for (service, value) in transaction.ordinals.sorted(by: { $0.key < $1.key }) {
            try connection.run(
                """
                INSERT INTO ordinal VALUES ($1, $2)
                ON CONFLICT (service) DO UPDATE SET value = greatest(ordinal.value, excluded.value)
                """, service, value)
        }
        for operation in transaction.operations { try persist(operation, on: connection) }
        try append(transaction.lifecycle, on: connection)
        for notification in transaction.notifications { try append(notification, on: connection) }
        for bill in transaction.bills { try append(bill, on: connection) }
        for credit in transaction.credits { try append(credit, on: connection) }
        for (name, value) in transaction.settings.sorted(by: { $0.key < $1.key }) {
            try store(setting: name, value, on: connection)
        }
        let at = now()
        try connection.run("DELETE FROM control_commit WHERE at < $1", at - .hours(24))
        try connection.run(
            "INSERT INTO control_commit SELECT $1, $2, epoch, $3 FROM control_lease", token, positions.last, at)
        return positions.last
    }

    public func recoveredState() async throws(LogDatabaseError) -> StoredState {
        try await read("reading the state", snapshot: true) { connection in
            var state = StoredState()
            if let row = try connection.run("SELECT content FROM configuration").first {
                state.configuration = try Document.value(
                    CloudConfiguration.self, from: try row.text("content"), what: "the configuration")
            }
            state.instances = try connection.run("SELECT id, content FROM instance ORDER BY id").map { row in
                try Document.value(
                    ServiceInstance.self, from: try row.text("content"), what: "instance \(try row.text("id"))")
            }
            state.incidents = try connection.run("SELECT id, content FROM incident WHERE open ORDER BY id").map { row in
                StoredIncident(id: try row.text("id"), open: true, json: try row.text("content"))
            }
            let ordinals = try connection.run("SELECT service, value FROM ordinal").map { row in
                (try row.identifier("service") as ServiceID, try row.number("value") as Int)
            }
            state.ordinals = Dictionary(ordinals) { max($0, $1) }
            state.unfinishedOperations = try connection.run(
                "SELECT content FROM operation WHERE state = 'running' ORDER BY started_at, id"
            ).map(Self.operation)
            return state
        }
    }

    // MARK: Event log

    public func events(_ query: EventQuery) async throws(LogDatabaseError) -> Page<PlatformEvent> {
        try await page(
            "reading the event log", "platform_event", limit: query.limit, newest: query.newest, position: \.position,
            conditions: {
                var conditions = Conditions()
                conditions.add("position > ?", query.after)
                if let before = query.before { conditions.add("position < ?", before) }
                conditions.add("service", equals: query.service)
                conditions.add("instance", equals: query.instance)
                conditions.add("mechanism", equals: query.mechanism?.rawValue)
                conditions.add("incident", equals: query.incident)
                conditions.add("at", from: query.from, until: query.until)
                if let prefix = query.kindPrefix { conditions.add("starts_with(kind, ?)", prefix) }
                return conditions
            }, Self.event)
    }

    public func lastEventPosition() async throws(LogDatabaseError) -> Int64 {
        try await read("reading the event log") { connection in
            try connection.run("SELECT coalesce(max(position), 0) AS last FROM platform_event").first?.number("last")
                ?? 0
        }
    }

    /// Rows of an append-only table in order of position.
    func page<Element: Sendable>(
        _ what: String, _ table: String, limit: Int, newest: Bool,
        position: @escaping @Sendable (Element) -> Int64, conditions: @escaping @Sendable () -> Conditions,
        _ element: @escaping @Sendable (Row) throws -> Element
    ) async throws(LogDatabaseError) -> Page<Element> {
        guard limit > 0 else { return Page(elements: [], next: nil) }
        return try await read(what) { connection in
            let conditions = conditions()
            let sql = """
                SELECT * FROM \(table)\(conditions.sql)
                ORDER BY position \(newest ? "DESC" : "ASC") LIMIT \(limit == .max ? limit : limit + 1)
                """
            var elements = try connection.run(sql, conditions.parameters).map(element)
            let hasMore = elements.count > limit
            if hasMore { elements.removeLast() }
            let next = hasMore ? elements.last.map(position) : nil
            return Page(elements: newest ? elements.reversed() : elements, next: next)
        }
    }

    // MARK: Operations

    public func operations(_ query: OperationQuery) async throws(LogDatabaseError) -> [Operation] {
        try await read("reading operations") { connection in
            var conditions = Conditions()
            if let after = query.after {
                let order = query.oldestFirst ? ">" : "<"
                conditions.add(
                    "(started_at, id) \(order) (SELECT started_at, id FROM operation WHERE id = ?)", after)
            }
            let way = query.oldestFirst ? "ASC" : "DESC"
            let sql = """
                SELECT content FROM operation\(conditions.sql)
                ORDER BY started_at \(way), id \(way) LIMIT \(max(0, query.limit))
                """
            return try connection.run(sql, conditions.parameters).map(Self.operation)
        }
    }

    public func operation(_ id: OperationID) async throws(LogDatabaseError) -> Operation? {
        try await read("reading operation \(id)") { connection in
            try connection.run("SELECT content FROM operation WHERE id = $1", id).first.map(Self.operation)
        }
    }

    // MARK: Rows

    private static func operation(_ row: Row) throws -> Operation {
        try Document.value(Operation.self, from: try row.text("content"), what: "an operation")
    }

    static func append(_ event: PlatformEvent, position: Int64, on connection: Connection) throws {
        try connection.run(
            """
            INSERT INTO platform_event (position, at, kind, service, instance, consumer, actor, mechanism, incident,
                step, summary, details) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
            """, position, event.at, event.kind, event.service, event.instance, event.consumer, event.actor,
            event.step?.mechanism.rawValue, event.step?.incident, event.step?.number, event.summary,
            try Document.text(event.details))
    }

    private static func event(_ row: Row) throws -> PlatformEvent {
        var step: TimelineStep?
        if let incident = try row.optionalText("incident"), let number = try row.optionalText("step") {
            step = TimelineStep(mechanism: try row.word("mechanism"), incident: incident, number: number)
        }
        let position: Int64 = try row.number("position")
        return PlatformEvent(
            position: position, at: try row.time("at"), kind: try row.text("kind"),
            service: try row.optionalIdentifier("service"), instance: try row.optionalIdentifier("instance"),
            consumer: try row.optionalIdentifier("consumer"), actor: try row.text("actor"), step: step,
            summary: try row.text("summary"),
            details: try Document.value(
                [String: String].self, from: try row.text("details"), what: "event \(position)"))
    }

    private static func persist(_ instance: ServiceInstance, on connection: Connection) throws {
        guard instance.phase != .removed else {
            try connection.run("DELETE FROM instance WHERE id = $1", instance.id)
            return
        }
        try connection.run(
            "INSERT INTO instance VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET content = excluded.content",
            instance.id, try Document.text(instance))
    }

    private static func persist(_ incident: StoredIncident, on connection: Connection) throws {
        try connection.run(
            """
            INSERT INTO incident VALUES ($1, $2, $3)
            ON CONFLICT (id) DO UPDATE SET open = excluded.open, content = excluded.content
            """, incident.id, incident.open, incident.json)
    }

    private static func persist(_ operation: Operation, on connection: Connection) throws {
        try connection.run(
            """
            INSERT INTO operation VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO UPDATE
            SET state = excluded.state, started_at = excluded.started_at, content = excluded.content
            """, operation.id, operation.state.rawValue, operation.startedAt, try Document.text(operation))
    }
}
