import AdministrationAPI
import CloudModel
import CloudPorts
import FoundationEssentials

extension RouteTable {
    static let cloudEvents: [Route] = [
        Route(
            name: "exportUsage", method: .get, path: "/api/v1/usage/export", right: .own,
            summary: "Gives usage records as CloudEvents 1.0, the oldest first; a consumer sees its own.",
            query: [
                QueryParameter("consumer", "Only usage of this consumer."),
                QueryParameter("service", "Only usage of this service."),
                QueryParameter("cursor", "Where the export goes on: `x-next-cursor` of the part before."), limit(100),
            ] + period,
            answer: Route.Answer(
                status: 200, meaning: "A batch of events.", mediaType: API.cloudEventBatchMediaType,
                headers: [API.nextCursorHeader: "Where the export goes on: give it as `cursor`; empty at the end."]),
            refusals: [403]
        ) { try await $0.exportUsage($1) },
        Route(
            name: "reportUsageEvents", method: .post, path: "/api/v1/usage-events", right: .report,
            summary:
                "Takes what services have counted themselves, as CloudEvents 1.0: one, or a batch of 1000 at most.",
            body: Route.RequestBody(
                schema: CloudEventText.schema,
                mediaTypes: [API.cloudEventMediaType, API.cloudEventBatchMediaType, JSON.mediaType],
                limitInBytes: 1_048_576),
            answer: .json(API.UsageEventOutcome.self, "All of them are in the books.", status: 201)
        ) { try await $0.reportUsageEvents($1) },
    ]
}

extension Handlers {
    func exportUsage(_ call: Call) async throws -> Reply {
        var query = UsageQuery()
        query.consumer = try visibleConsumer(call)
        query.service = call.query.identifier("service")
        query.from = call.query.time("from")
        query.until = call.query.time("until")
        let limit = Int(call.query.integer("limit") ?? 100)
        var place: UsageRecordPlace?
        if let text = call.query.text("cursor") {
            place = UsageRecordPlace(text)
            guard place != nil else {
                throw API.Problem.invalid("'\(text)' is no cursor; give what \(API.nextCursorHeader) said.")
            }
        }
        let found = try await database.usageRecords(query, after: place, limit: limit)
        let source = "urn:cloudwright:\(settings.platform.name):usage"
        let events = found.map { stored in
            API.UsageCloudEvent(
                id: stored.record.requestID.description, source: source, subject: stored.record.consumer.rawValue,
                time: Moment(stored.record.completedAt), data: API.UsageRecord(stored))
        }
        let next = found.count == limit ? found.last.map { UsageRecordPlace($0.record).text } : nil
        return Reply(
            status: 200, headers: [API.nextCursorHeader: next ?? ""],
            body: .bytes(JSON.bytes(of: events), mediaType: API.cloudEventBatchMediaType))
    }

    func reportUsageEvents(_ call: Call) async throws -> Reply {
        let declared = await administration.configuration()
        let reader = CloudEventText(
            consumers: Set(declared.consumers.map(\.id)), services: Set(declared.services.map(\.id)))
        let events = try reader.events(in: call.body)
        let outcome = try await database.ingest(events)
        guard outcome.conflicts.isEmpty else {
            throw API.Problem.conflict(
                "Nothing was stored: events of the same source and id were reported before with other content. Leave "
                    + "them out, or give what is new an id of its own.",
                faults: outcome.conflicts.prefix(20).map {
                    API.Fault(detail: "'\($0.id)' of '\($0.source)' was reported with other content")
                })
        }
        return .json(API.UsageEventOutcome(stored: outcome.stored, duplicates: outcome.duplicates), status: 201)
    }
}

extension UsageRecordPlace {
    init(_ record: UsageRecord) { self.init(completedAt: record.completedAt, requestID: record.requestID) }

    var text: String { "\(completedAt.microseconds)-\(requestID)" }

    init?(_ text: String) {
        guard let hyphen = text.lastIndex(of: "-"), let microseconds = Int64(text[..<hyphen]),
            let request = RequestID(String(text[text.index(after: hyphen)...]))
        else { return nil }
        self.init(completedAt: Timestamp(microseconds: microseconds), requestID: request)
    }
}

/// Reads usage events from CloudEvents 1.0 in the JSON event format.
struct CloudEventText {
    let consumers: Set<ConsumerID>
    let services: Set<ServiceID>

    private static let longestName = 256

    private struct Event: Decodable {
        var specversion: String
        var id: String
        var source: String
        var type: String
        var subject: String
        var time: String
        var data: Content

        struct Content: Decodable {
            var service: String
            var meter: String
            var quantity: String
        }
    }

    /// What is no event is told with its place in the batch.
    func events(in body: [UInt8]) throws -> [UsageEvent] {
        guard !body.isEmpty else { throw API.Problem.invalid("The request has no body; send CloudEvents as JSON.") }
        if let fault = JSONSyntax.fault(in: body) {
            throw API.Problem.invalid("The body is no JSON: \(fault).", faults: [API.Fault(detail: "\(fault)")])
        }
        let isBatch = body.first { ![0x20, 0x09, 0x0A, 0x0D].contains($0) } == UInt8(ascii: "[")
        let given: [Event]
        do {
            let decoder = JSONDecoder()
            given =
                isBatch
                ? try decoder.decode([Event].self, from: Data(body))
                : [try decoder.decode(Event.self, from: Data(body))]
        } catch {
            throw API.Problem.invalid(
                "The body is no CloudEvent of usage: \(Self.words(error)). It has specversion, id, source, type, "
                    + "subject (the consumer), time, and data with service, meter and quantity (as text).")
        }
        guard given.count <= API.maximumUsageEvents else {
            throw API.Problem.invalid(
                "The batch has \(given.count) events; send \(API.maximumUsageEvents) at most at once.")
        }
        var faults: [API.Fault] = []
        var events: [UsageEvent] = []
        for (index, event) in given.enumerated() {
            var own: [API.Fault] = []
            if let read = self.event(event, isBatch ? "/\(index)" : "", &own) { events.append(read) }
            faults += own
        }
        guard faults.isEmpty else {
            throw API.Problem.invalid("The events are not as documented.", faults: Array(faults.prefix(20)))
        }
        return events
    }

    private func event(_ given: Event, _ path: String, _ faults: inout [API.Fault]) -> UsageEvent? {
        func require(_ condition: Bool, _ member: String, _ detail: String) {
            if !condition { faults.append(API.Fault(detail: detail, pointer: "\(path)/\(member)")) }
        }
        require(given.specversion == "1.0", "specversion", "'\(given.specversion)' is not 1.0")
        for (member, text) in [("id", given.id), ("source", given.source), ("type", given.type)] {
            require(
                (1...Self.longestName).contains(text.utf8.count), member,
                "it has \(text.utf8.count) bytes; give 1 to \(Self.longestName)")
        }
        let (consumer, service) = (ConsumerID(given.subject), ServiceID(given.data.service))
        require(consumers.contains(consumer), "subject", "there is no consumer '\(given.subject)'")
        require(services.contains(service), "data/service", "there is no service '\(given.data.service)'")
        require(
            BilledMeter(rawValue: "event:\(given.data.meter)") != nil, "data/meter",
            "'\(given.data.meter)' is no name of a meter; use 1 to 63 lower-case letters, digits and hyphens")
        let at = Timestamp(rfc3339: given.time)
        require(at != nil, "time", "'\(given.time)' is no time; write 2026-11-01T12:00:00Z")
        let amount = Self.microUnits(given.data.quantity)
        require(
            amount != nil, "data/quantity",
            "'\(given.data.quantity)' is no quantity; give text from 0.000001 to \(UsageEvent.mostUnits), with six "
                + "decimals at most")
        guard faults.isEmpty, let at, let amount else { return nil }
        return UsageEvent(
            source: given.source, id: given.id, type: given.type, consumer: consumer, service: service,
            meter: given.data.meter, microUnits: amount, at: at)
    }

    private static func microUnits(_ text: String) -> Int64? {
        guard let decimal = ExactDecimal(text), decimal.scale <= 6, decimal > .zero else { return nil }
        var units = decimal.coefficient
        for _ in decimal.scale..<6 {
            let (product, overflow) = units.multipliedReportingOverflow(by: 10)
            guard !overflow else { return nil }
            units = product
        }
        return units <= UsageEvent.mostUnits * 1_000_000 ? units : nil
    }

    private static func words(_ error: any Error) -> String {
        switch error {
        case DecodingError.keyNotFound(let key, _): "'\(key.stringValue)' is missing"
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
            "'\(context.codingPath.last?.stringValue ?? "")' is of another type"
        default: "it cannot be read"
        }
    }

    static let schema: JSONValue = [
        "description": "A CloudEvent 1.0 in the JSON event format, or an array of them.", "type": ["object", "array"],
    ]
}
