import AdministrationFixture
import CloudModel
import CloudPorts
import Foundation
import RemoteAdministration

/// One request that succeeds for every route, and what has to be there for it.
enum Samples {
    static let link = "good-link"
    static let spentLink = "spent-link"
    static let offer = ConstraintOffer(service: "shop", constraint: .maximumInstances, from: 3, to: 4)
    static let requestID = RequestID(high: 1, low: 2)
    static let began = Timestamp(microseconds: 1_790_000_000_000_000)

    static func fill(_ live: LiveServer) async throws {
        await live.cloud.setInstances([
            ServiceInstance(
                id: "shop-1", service: "shop", phase: .running, operational: .up, incarnation: 1,
                endpoint: Endpoint(address: "127.0.0.1", port: 4_001),
                handle: InstanceHandle(processID: 4_711, startTicks: 9), requestedAt: began,
                upSince: began + .seconds(1)),
            ServiceInstance(id: "shop-2", service: "shop", phase: .starting, requestedAt: began),
        ])
        await live.cloud.setHosts([host], [virtualServer])
        await live.cloud.setLoad([
            LoadSample(
                service: "shop", at: began, requestsInFlight: 2, requestsQueued: 1, activeConsumers: 2, admitted: 40,
                rejected: 3, completed: 38, perInstance: ["shop-1": 2])
        ])
        await live.cloud.setIncidents([
            IncidentSummary(
                id: "limit/shop", kind: "limit-reached", service: "shop", instance: nil, constraint: .maximumInstances,
                consumers: ["acme"], openedAt: began)
        ])
        await live.cloud.addLink(link, offer)
        await live.cloud.addLink(spentLink, offer, .spent)
        try await live.cloud.commit(transaction)
        _ = try await live.database.ingest(batch)
    }

    private static var transaction: ControlTransaction {
        var transaction = ControlTransaction()
        transaction.events = (1...5).map { number in
            PlatformEvent(
                at: began + .seconds(Int64(number)), kind: "scaling.step", service: "shop", consumer: "acme",
                step: TimelineStep(
                    mechanism: .automatedScalingListener, incident: "limit/shop", number: String(number)),
                summary: "step \(number)", details: ["limit": "3"])
        }
        transaction.operations = [
            CloudModel.Operation(
                id: "op-0", kind: "instance.restart", actor: "ops", service: "shop", instance: "shop-1",
                state: .failed, startedAt: began, endedAt: began + .seconds(3), failure: "it did not come up")
        ]
        transaction.lifecycle = [
            LifecycleEvent(
                instance: "shop-1", incarnation: 1, service: "shop", owner: "acme", kind: .start, at: began,
                resources: ResourceLimits(cpuMillicores: 500, memory: .mebibytes(256))),
            LifecycleEvent(
                instance: "shop-1", incarnation: 1, service: "shop", owner: "acme", kind: .stop,
                at: began + .seconds(100)),
        ]
        transaction.notifications = [
            notification("told-acme", for: "acme"), notification("told-globex", for: "globex"),
            notification("told-all", for: nil),
        ]
        return transaction
    }

    private static func notification(_ id: String, for consumer: ConsumerID?) -> AddressedNotification {
        AddressedNotification(
            notification: CloudModel.Notification(
                id: NotificationID(id), at: began, severity: .warning, kind: "limit-reached", service: "shop",
                consumer: consumer, title: "The limit was reached", body: "Three of three", offer: offer),
            channels: [.log])
    }

    static let host = PhysicalServerReport(
        server: PhysicalServer(
            id: "host-1", hypervisor: "qemu+tcp://192.0.2.1/system",
            capacity: ServerResources(cpuMillicores: 4_000, memory: .mebibytes(8_192))),
        phase: "up", used: ServerResources(cpuMillicores: 1_000, memory: .mebibytes(128)), virtualServers: 1,
        version: "7.2.0")

    static let virtualServer = VirtualServerReport(
        identity: VirtualServerIdentity(cloud: "testcloud", service: "shop", instance: "shop-1", incarnation: 1),
        placement: VirtualServerPlacement(
            host: "host-1", name: "testcloud-shop-1", uuid: "7f0c6f0e-0000-4000-8000-000000000001",
            address: "192.0.2.101", flavor: VirtualServerFlavor(memory: .mebibytes(128))),
        phase: "running", progress: nil)

    static let batch = SpoolBatch(
        source: "gateway/0", firstSequence: 1,
        records: [
            .usage(usage(RequestID(high: 9, low: 1), "acme")), .usage(usage(RequestID(high: 9, low: 2), "globex")),
            .usage(usage(requestID, "acme")), .audit(login(requestID, .success, "acme")),
            .audit(login(RequestID(high: 1, low: 3), .failure, "globex")),
            .audit(login(RequestID(high: 1, low: 4), .failure, "globex")),
        ])

    static func usage(_ id: RequestID, _ consumer: ConsumerID) -> UsageRecord {
        UsageRecord(
            requestID: id, consumer: consumer, service: "shop", instance: "shop-1", outcome: .completed, status: 200,
            bytesIn: 100, bytesOut: 2_048, receivedAt: began + .seconds(5),
            forwardedAt: began + .seconds(5) + .microseconds(40),
            completedAt: began + .seconds(5) + .microseconds(1_040))
    }

    static func login(_ id: RequestID, _ outcome: AuditEvent.Outcome, _ consumer: ConsumerID) -> AuditEvent {
        AuditEvent(
            requestID: id, observer: "testcloud", service: "shop", consumer: consumer,
            principal: outcome == .success ? "ada" : "mallory", credentialKind: .password,
            credentialTag: "hmac-sha256:\(id)", sourceAddress: "192.0.2.7", userAgent: "curl/8", method: "POST",
            path: "/shop/login", outcome: outcome, reason: outcome == .success ? "accepted" : "bad-credential",
            status: outcome == .success ? 200 : 401, receivedAt: began + .seconds(6),
            forwardedAt: began + .seconds(6) + .microseconds(30),
            respondedAt: began + .seconds(6) + .microseconds(900))
    }

    /// A month that is over.
    static var lastMonth: String {
        let now = LiveServer.now().rfc3339
        let (year, month) = (Int(now.prefix(4)) ?? 0, Int(now.dropFirst(5).prefix(2)) ?? 0)
        let last = month == 1 ? (year - 1, 12) : (year, month - 1)
        return "\(last.0)-" + (last.1 < 10 ? "0" : "") + "\(last.1)"
    }

    /// A request that the route answers with its documented success.
    struct Request {
        var path: String
        var body: String?
        var headers: [String: String] = [:]
    }

    static func request(_ route: RouteDescription) -> Request {
        let values = [
            "service": "shop", "instance": "shop-1", "consumer": "acme", "credential": "made-for-test",
            "operation": "op-0", "token": link, "administrator": "test-auditor", "requestID": requestID.description,
            "month": lastMonth, "host": "host-1", "metric": "queue-length",
            "image": "tiny",
        ]
        var request = Request(path: route.path)
        for (name, value) in values { request.path = request.path.replacingOccurrences(of: "{\(name)}", with: value) }
        if route.needsIfMatch { request.headers["If-Match"] = "*" }
        switch route.name {
        case "importImage":
            request.body = String(repeating: "i", count: 512)
            request.headers["Content-Type"] = "application/octet-stream"
        case "setConstraint": request.body = #"{"constraint":"maximum-instances","value":5}"#
        case "reportMetric": request.body = #"{"value":120}"#
        case "createCredential": request.body = #"{"expiresAt":"2999-01-01T00:00:00Z"}"#
        case "createAdministrator": request.body = #"{"name":"new-one","role":"operator"}"#
        case "createConsoleSession": request.body = #"{"token":"TOKEN"}"#
        case "setPassword": request.body = #"{"password":"a long enough one"}"#
        case "enrolSecondFactor": request.body = "{}"
        case "confirmSecondFactor", "removeSecondFactor": request.body = #"{"code":"000000"}"#
        case "migrateVirtualServer": request.body = #"{"mode":"live"}"#
        case "drainPhysicalServer": request.body = #"{"concurrentMigrations":2,"partial":true}"#
        case "reportUsageEvents":
            request.body = """
                {"specversion":"1.0","id":"e-1","source":"/shop","type":"storage","subject":"acme",\
                "time":"2026-09-21T14:13:20Z","data":{"service":"shop","meter":"storage","quantity":"1.5"}}
                """
        case "recommendSize": request.body = #"{"csv":"0,300\n60,310\n120,320\n","givenMillicores":1000}"#
        case "eraseLogins": request.body = #"{"principal":"nobody-of-this-name"}"#
        case "createCredit": request.body = #"{"id":"c-1","amount":"2.50","reason":"Outage"}"#
        case "createSession": request.body = #"{"token":"TOKEN"}"#
        case "applyConfiguration":
            request.body = """
                {"resources":[{"apiVersion":"cloudwright/v1","kind":"Cloud","metadata":{"name":"testcloud"},"spec":{}},\
                {"apiVersion":"cloudwright/v1","kind":"CloudConsumer","metadata":{"name":"acme"},"spec":{}},\
                {"apiVersion":"cloudwright/v1","kind":"CloudService","metadata":{"name":"shop"},"spec":\
                {"routes":[{"path":"/shop"}],"endpoints":["127.0.0.1:4001"]}},\
                {"apiVersion":"cloudwright/v1","kind":"CloudService","metadata":{"name":"wiki"},"spec":\
                {"routes":[{"path":"/wiki"}],"endpoints":["127.0.0.1:4002"]}}]}
                """
        default: break
        }
        return request
    }
}
