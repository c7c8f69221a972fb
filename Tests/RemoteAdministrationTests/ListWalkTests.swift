import AdministrationAPI
import AdministrationFixture
import CloudModel
import CloudPorts
import Foundation
import RemoteAdministration
import Testing

/// Every list of the API by its own description: it comes in parts that together are the whole, in either order, sorted
/// by whatever it offers, and filtered where it offers that.
@Suite struct ListWalkTests {
    /// A list of the OpenAPI document.
    private struct List {
        var path: String
        var parameters: [String: Parameter]

        struct Parameter: Decodable {
            struct Schema: Decodable {
                var type: String?
                var `enum`: [String]?
            }
            var name: String
            var schema: Schema
        }
    }

    /// Not read in parts: it is what a check found, a line for each log.
    private static let exempt: Set<String> = ["/api/v1/integrity"]

    private struct Document: Decodable {
        struct Operation: Decodable {
            struct Response: Decodable {
                struct Content: Decodable {
                    struct Reference: Decodable {
                        var ref: String?
                        enum CodingKeys: String, CodingKey { case ref = "$ref" }

                        /// A schema may be just `true`.
                        init(from decoder: any Decoder) throws {
                            ref = try? decoder.container(keyedBy: CodingKeys.self).decodeIfPresent(
                                String.self, forKey: .ref)
                        }
                    }
                    var schema: Reference?
                }
                var content: [String: Content]?
            }
            var parameters: [List.Parameter]?
            var responses: [String: Response]
        }
        var paths: [String: [String: Operation]]

        var lists: [List] {
            paths.compactMap { path, operations in
                guard let get = operations["get"],
                    get.responses["200"]?.content?["application/json"]?.schema?.ref?.hasSuffix("Page") == true
                else { return nil }
                let parameters = Dictionary(uniqueKeysWithValues: (get.parameters ?? []).map { ($0.name, $0) })
                return List(path: path, parameters: parameters)
            }.sorted { $0.path < $1.path }
        }
    }

    /// Each entry as its own text.
    private struct Part {
        var entries: [String]
        var next: String?

        init(_ answer: LiveServer.Answer) throws {
            let object = try #require(try JSONSerialization.jsonObject(with: answer.body) as? [String: Any])
            let items = try #require(object["items"] as? [[String: Any]])
            entries = try items.map { item in
                var item = item
                // When the answer was given.
                item["at"] = item["requestsInFlight"] == nil ? item["at"] : nil
                return String(
                    decoding: try JSONSerialization.data(withJSONObject: item, options: .sortedKeys), as: UTF8.self)
            }
            next = object["nextCursor"] as? String
        }
    }

    private static func path(_ path: String, _ query: [String: String]) -> String {
        var components = URLComponents()
        components.path = path
        components.queryItems = query.sorted { $0.key < $1.key }.map { URLQueryItem(name: $0.key, value: $0.value) }
        // A plus sign is a space in a query, and URLComponents leaves it as it is.
        let text = components.string ?? path
        return query.isEmpty ? path : text.replacingOccurrences(of: "+", with: "%2B")
    }

    private static func whole(_ live: LiveServer, _ list: List, _ query: [String: String]) async throws -> [String] {
        let answer = try await live.send("GET", path(list.path, query.merging(["limit": "1000"]) { $1 }))
        #expect(answer.status == 200, "\(list.path) \(query): \(answer.text)")
        let part = try Part(answer)
        #expect(part.next == nil, "\(list.path) \(query): the whole has no next part")
        return part.entries
    }

    /// All parts of two entries, in the order in which they come.
    private static func parts(_ live: LiveServer, _ list: List, _ query: [String: String]) async throws -> [[String]] {
        var parts: [[String]] = []
        var asked = query.merging(["limit": "2"]) { $1 }
        repeat {
            let answer = try await live.send("GET", path(list.path, asked))
            try #require(answer.status == 200, "\(list.path) \(asked): \(answer.text)")
            let part = try Part(answer)
            #expect(part.entries.count <= 2, "\(list.path) \(asked)")
            parts.append(part.entries)
            asked["cursor"] = part.next
        } while asked["cursor"] != nil && parts.count < 100
        return parts
    }

    @Test("every list comes in parts, in each order that it offers")
    func walk() async throws {
        try await Self.run { live, lists in
            #expect(lists.count >= 18, "\(lists.map(\.path))")
            for list in lists {
                let names = Set(list.parameters.keys)
                #expect(names.isSuperset(of: ["limit", "cursor"]), "\(list.path) comes in parts: \(names)")
                #expect(!names.isDisjoint(with: ["sort", "newest", "oldest"]), "\(list.path) has an order: \(names)")
                let all = try await Self.whole(live, list, [:])
                #expect(all.count >= 3, "\(list.path) has too few entries for this test: \(all.count)")
                #expect(Set(all).count == all.count, "\(list.path): no entry twice")
                let parts = try await Self.parts(live, list, [:])
                #expect(parts.flatMap(\.self) == all, "\(list.path): the parts are the whole")
                #expect(parts.dropLast().allSatisfy { $0.count == 2 }, "\(list.path): all but the last are full")
                for order in ["newest", "oldest"] where names.contains(order) {
                    try await Self.walkInTime(live, list, order, all)
                }
                for sort in list.parameters["sort"]?.schema.enum ?? [] where !sort.hasPrefix("-") {
                    let up = try await Self.whole(live, list, ["sort": sort])
                    let down = try await Self.whole(live, list, ["sort": "-\(sort)"])
                    #expect(Set(up) == Set(all), "\(list.path) by \(sort)")
                    #expect(down == up.reversed(), "\(list.path) by -\(sort)")
                    for (way, expected) in [(sort, up), ("-\(sort)", down)] {
                        let parts = try await Self.parts(live, list, ["sort": way])
                        #expect(parts.flatMap(\.self) == expected, "\(list.path) by \(way)")
                    }
                }
            }
        }
    }

    /// `newest` gives each part in the order of the log, the newest part first; `oldest` turns the list around.
    private static func walkInTime(_ live: LiveServer, _ list: List, _ order: String, _ all: [String]) async throws {
        let parts = try await parts(live, list, [order: "true"])
        let found = order == "newest" ? parts.reversed().flatMap(\.self) : parts.flatMap(\.self)
        #expect(found.count == all.count && Set(found) == Set(all), "\(list.path) \(order)")
        #expect(found == (order == "newest" ? all : all.reversed()), "\(list.path) \(order)")
    }

    /// What a search finds in some entries and not in all.
    private static let sought = ["/api/v1/administrators": "auditor", "/api/v1/images": "image-2"]

    @Test("every list is filtered by the platform")
    func filter() async throws {
        try await Self.run { live, lists in
            for list in lists {
                let all = try await Self.whole(live, list, [:])
                let filters = [
                    ("search", Self.sought[list.path] ?? "2"), ("service", "s-2"), ("consumer", "c-2"),
                    ("kind", "scaling.step-2"),
                    ("kind", "limit-reached-2"), ("kind", "instance.restart-2"),
                ].filter { list.parameters[$0.0] != nil }
                #expect(!filters.isEmpty, "\(list.path) has no filter")
                var narrowed = false
                for (name, value) in filters {
                    let found = try await Self.whole(live, list, [name: value])
                    #expect(Set(found).isSubset(of: all), "\(list.path) \(name)=\(value)")
                    narrowed = narrowed || (!found.isEmpty && found.count < all.count)
                    let none = try await Self.whole(live, list, [name: "of-no-entry"])
                    #expect(none.isEmpty, "\(list.path) \(name)=of-no-entry")
                }
                #expect(narrowed, "\(list.path): no filter of \(filters) leaves some entries and not all")
            }
        }
    }

    @Test("a cursor of another order is refused with what to do, not misread")
    func foreignCursor() async throws {
        try await Self.run { live, _ in
            for text in ["s-2", "9:t", "3:nan", "99999999999999999999:t", "2:nxs-1"] {
                let answer = try await live.send(
                    "GET", Self.path("/api/v1/services", ["sort": "owner", "cursor": text]))
                #expect(answer.status == 400 && answer.text.contains("begin again without one"), "\(answer.text)")
            }
        }
    }

    // MARK: What is in the lists

    private static func run(_ body: (LiveServer, [List]) async throws -> Void) async throws {
        let traffic = (1...5).map { TrafficFigures(service: ServiceID("s-\($0)"), requests: UInt64($0 % 3)) }
        try await LiveServer.run(traffic: { traffic }) { live in
            try await fill(live)
            let document = try await live.send("GET", "/openapi.json", as: nil).value(Document.self)
            try await body(live, document.lists.filter { !exempt.contains($0.path) })
        }
    }

    private static func fill(_ live: LiveServer) async throws {
        var configuration = LiveServer.configuration
        configuration.services = (1...5).map(service)
        configuration.consumers = (1...5).map { number in
            CloudConsumer(
                id: ConsumerID("c-\(number)"), displayName: "Consumer \(number % 3)", pricePlan: "standard",
                budget: ExactDecimal("10").map { Budget(amount: $0) })
        }
        configuration.failoverGroups = (1...5).map {
            FailoverGroup(id: FailoverGroupID("g-\($0)"), service: ServiceID("s-\($0)"), mode: .activeActive)
        }
        try await live.cloud.apply(configuration, actor: "test")
        await live.cloud.setInstances((1...5).map(instance))
        await live.cloud.setHosts((1...5).map(host), (1...5).map(server))
        await live.cloud.setIncidents(
            (1...5).map {
                IncidentSummary(
                    id: "limit/\($0)", kind: "limit-reached", service: ServiceID("s-\($0)"), instance: nil,
                    constraint: nil, consumers: [], openedAt: Samples.began + .seconds(Int64($0 % 2)))
            })
        try await live.cloud.commit(transaction)
        _ = try await live.database.ingest(
            SpoolBatch(source: "gateway/0", firstSequence: 1, records: (1...5).flatMap(records)))
        for number in 1...5 {
            let image = try await live.send(
                "POST", "/api/v1/images?name=image-\(number)&format=raw",
                body: String(repeating: "i", count: 512 * (1 + number % 2)),
                headers: ["Content-Type": "application/octet-stream"])
            try #require(image.status == 201, "\(image.text)")
            let bill = try await live.send("POST", "/api/v1/bills/c-\(number)/\(Samples.lastMonth)/close")
            try #require(bill.status == 200, "\(bill.text)")
        }
    }

    private static func service(_ number: Int) -> CloudService {
        CloudService(
            id: ServiceID("s-\(number)"), owner: number % 2 == 0 ? "c-2" : nil,
            routes: [CloudModel.Route(pathPrefix: "/s-\(number)")],
            instances: .process(ProcessTemplate(command: ["/bin/server", "{port}"])))
    }

    private static func instance(_ number: Int) -> ServiceInstance {
        ServiceInstance(
            id: InstanceID("i-\(number)"), service: ServiceID("s-\(number)"),
            phase: number % 2 == 0 ? .running : .starting, requestedAt: Samples.began + .seconds(Int64(number % 3)))
    }

    private static func host(_ number: Int) -> PhysicalServerReport {
        PhysicalServerReport(
            server: PhysicalServer(
                id: PhysicalServerID("h-\(number)"), hypervisor: "test:///h-\(number)",
                capacity: ServerResources(cpuMillicores: 4_000, memory: .mebibytes(8_192))),
            phase: "up", used: ServerResources(cpuMillicores: 100 * (number % 3), memory: .mebibytes(128)),
            virtualServers: 1, version: nil)
    }

    private static func server(_ number: Int) -> VirtualServerReport {
        VirtualServerReport(
            identity: VirtualServerIdentity(
                cloud: "testcloud", service: ServiceID("s-\(number)"), instance: InstanceID("i-\(number)"),
                incarnation: 1),
            placement: VirtualServerPlacement(
                host: PhysicalServerID("h-\(number)"), name: VirtualServerID("v-\(number)"),
                uuid: "7f0c6f0e-0000-4000-8000-00000000000\(number)", address: "192.0.2.10\(number)",
                flavor: VirtualServerFlavor(memory: .mebibytes(Int64(128 * (1 + number % 2))))),
            phase: "running", progress: nil)
    }

    private static var transaction: ControlTransaction {
        var transaction = ControlTransaction()
        for number in 1...5 {
            let service = ServiceID("s-\(number)")
            transaction.events.append(
                PlatformEvent(
                    at: Samples.began + .seconds(Int64(number)), kind: "scaling.step-\(number)", service: service,
                    step: TimelineStep(
                        mechanism: .automatedScalingListener, incident: "limit/\(number)", number: "1"),
                    summary: "step \(number)"))
            transaction.operations.append(
                CloudModel.Operation(
                    id: OperationID("op-\(number)"), kind: "instance.restart-\(number)", actor: "ops",
                    service: service, instance: InstanceID("i-\(number)"), state: .succeeded,
                    // Several at once: only the name tells which comes first.
                    startedAt: Samples.began + .seconds(Int64(number / 3))))
            transaction.notifications.append(
                AddressedNotification(
                    notification: CloudModel.Notification(
                        id: NotificationID("n-\(number)"), at: Samples.began, severity: .warning,
                        kind: "limit-reached-\(number)", service: service, consumer: nil, title: "The limit",
                        body: "was reached", offer: nil), channels: [.log]))
        }
        return transaction
    }

    private static func records(_ number: Int) -> [SpoolRecord] {
        let id = RequestID(high: 9, low: UInt64(number))
        var usage = Samples.usage(id, ConsumerID("c-\(number)"))
        usage.service = ServiceID("s-\(number)")
        // Two are completed at the same time.
        usage.completedAt = usage.completedAt + .seconds(Int64(number / 2))
        var login = Samples.login(id, .failure, ConsumerID("c-\(number)"))
        login.service = ServiceID("s-\(number)")
        login.principal = "mallory-\(number)"
        return [.usage(usage), .audit(login)]
    }
}
