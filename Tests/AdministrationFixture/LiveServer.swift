public import AdministrationAPI
public import CloudModel
public import CloudPorts
import ConfigurationFile
import Credentials
public import Foundation
import FoundationNetworking
import ImageFiles
import LogDatabaseSQLite
import Logging
public import MerkleLog
import RemoteAdministration
import SealedBooks

/// A live administration server on a free port of this machine, over a log database in a directory of its own.
public struct LiveServer: Sendable {
    public let cloud: PlainCloud
    public let database: SwitchableLogDatabase
    public let address: String
    public let directory: URL
    public let tokens: [Administrator.Role: String]

    /// A configuration with all that the routes ask for.
    public static let configuration = CloudConfiguration(
        services: [
            CloudService(
                id: "shop", owner: "acme", routes: [Route(pathPrefix: "/shop")],
                instances: .process(ProcessTemplate(command: ["/bin/server", "{port}"])),
                constraints: WorkloadConstraints(
                    minimumInstances: 1, maximumInstances: 3, concurrentRequestsPerConsumer: 7),
                scaling: ScalingSettings(metrics: [ScalingMetric(name: "queue-length", targetPerInstance: 50)])),
            CloudService(
                id: "wiki", routes: [Route(host: "wiki.example.org")],
                instances: .endpoints([Endpoint(address: "127.0.0.1", port: 9_000)])),
        ],
        consumers: [
            CloudConsumer(
                id: "acme", displayName: "Acme 公司",
                contacts: [.webhook(url: "https://acme.example/hook", secretFile: nil)], pricePlan: "standard"),
            CloudConsumer(id: "globex"),
        ],
        failoverGroups: [FailoverGroup(id: "shop-group", service: "shop", mode: .activeActive)],
        pricePlans: [pricePlan].compactMap { $0 })

    /// Nil only where the euro, or a number, were none.
    private static let pricePlan: PricePlan? = {
        guard let euro = Currency("EUR"), let hour = ExactDecimal("0.36"), let request = ExactDecimal("0.01") else {
            return nil
        }
        return PricePlan(
            id: "standard", currency: euro,
            prices: [
                Price(id: "hours", meter: .instanceHour, model: .perUnit(hour)),
                Price(id: "requests", meter: .request, model: .perUnit(request)),
            ])
    }()

    public static func now() -> Timestamp {
        Timestamp(microseconds: Int64(Date().timeIntervalSince1970 * 1_000_000))
    }

    /// Runs `body` against a server of its own, and ends the server whatever happens.
    public static func run(
        metrics: @escaping @Sendable () -> String = { "" },
        traffic: @escaping @Sendable () -> [TrafficFigures] = { [] }, maximumStreams: Int = 8,
        heartbeat: Duration = .seconds(15), stopLimit: Duration = .seconds(5),
        writeTimeout: Duration = .seconds(30),
        audit: AuditSettings = AuditSettings(),
        now: @escaping @Sendable () -> Timestamp = { LiveServer.now() },
        _ body: (LiveServer) async throws -> Void
    ) async throws {
        let directory = FileManager.default.temporaryDirectory
            .appendingPathComponent("cloudwright-administration-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let database = SwitchableLogDatabase(
            try SQLiteLogDatabase(path: directory.appendingPathComponent("log.sqlite").path))
        let cloud = PlainCloud(database: database, configuration: configuration)
        let tokens = try await makeTokens(in: database)
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let sealer = LogSealer(database: database, signer: try signer, now: now, logger: logger)
        let server = AdministrationServer(
            administration: cloud,
            settings: AdministrationServer.Settings(
                address: Endpoint(address: "127.0.0.1", port: 0),
                platform: PlatformSettings(name: "testcloud", audit: audit),
                maximumStreams: maximumStreams, heartbeat: heartbeat, writeTimeout: writeTimeout, stopLimit: stopLimit,
                maximumImageBytes: 2 << 20),
            tagger: SecretTagger(key: Array(repeating: 7, count: 32)),
            secrets: SecretBox(key: Array(repeating: 5, count: 32)), seals: try signer.verifier,
            sealNow: { try await sealer.sealNow() },
            // 64 MiB are kept free, so there is room for one.
            images: try ImageFolder(path: directory.appendingPathComponent("images").path) { _ in 65 << 20 },
            metrics: metrics,
            traffic: traffic, now: now, logger: logger)
        let serving = Task { try await server.run() }
        do {
            let port = try await server.boundPort()
            try await body(
                LiveServer(
                    cloud: cloud, database: database, address: "http://127.0.0.1:\(port)", directory: directory,
                    tokens: tokens))
        } catch {
            serving.cancel()
            _ = await serving.result
            await database.close()
            throw error
        }
        serving.cancel()
        _ = await serving.result
        await database.close()
    }

    /// What the books of these servers are sealed with.
    public static var signer: CheckpointSigner {
        get throws { try CheckpointSigner(name: "testcloud", seed: Array(repeating: 9, count: 32)) }
    }

    private static func makeTokens(in database: any LogDatabase) async throws -> [Administrator.Role: String] {
        var tokens: [Administrator.Role: String] = [:]
        var random = SystemRandomNumberGenerator()
        for role in Administrator.Role.allCases {
            let key = APIKey(.administrator, using: &random)
            try await database.store(
                Administrator(
                    name: "test-\(role.rawValue)", role: role, consumer: role == .consumer ? "acme" : nil,
                    tokenDigest: key.digest, createdAt: now()))
            tokens[role] = key.text
        }
        return tokens
    }

    // MARK: Requests

    public struct Answer: Sendable {
        public var status: Int
        /// By lower-case name.
        public var headers: [String: String]
        public var body: Data

        public var text: String { String(decoding: body, as: UTF8.self) }

        public func value<Value: Decodable>(_ type: Value.Type) throws -> Value {
            try JSONDecoder().decode(type, from: body)
        }

        public var problem: API.Problem? { try? value(API.Problem.self) }
    }

    /// Sends one request; `role` gives the token, nil none.
    public func send(
        _ method: String, _ path: String, as role: Administrator.Role? = .administrator, body: String? = nil,
        headers: [String: String] = [:]
    ) async throws -> Answer {
        guard let url = URL(string: address + path) else { throw URLError(.badURL) }
        var request = URLRequest(url: url)
        request.httpMethod = method
        request.timeoutInterval = 30
        if let role { request.setValue("Bearer \(tokens[role] ?? "")", forHTTPHeaderField: "Authorization") }
        if let body {
            request.httpBody = Data(body.utf8)
            request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        }
        for (name, value) in headers { request.setValue(value, forHTTPHeaderField: name) }
        return try await Self.send(request)
    }

    private static func send(_ request: URLRequest) async throws -> Answer {
        let session = URLSession(configuration: .ephemeral)
        defer { session.finishTasksAndInvalidate() }
        return try await withCheckedThrowingContinuation { continuation in
            session.dataTask(with: request) { data, response, error in
                guard let response = response as? HTTPURLResponse else {
                    continuation.resume(throwing: error ?? URLError(.badServerResponse))
                    return
                }
                var headers: [String: String] = [:]
                for (name, value) in response.allHeaderFields {
                    if let name = name as? String, let value = value as? String { headers[name.lowercased()] = value }
                }
                continuation.resume(
                    returning: Answer(status: response.statusCode, headers: headers, body: data ?? Data()))
            }.resume()
        }
    }
}

/// Waits until the condition holds; false where it did not within `limit`.
public func eventually(within limit: Duration = .seconds(20), _ condition: () async throws -> Bool) async rethrows
    -> Bool
{
    let deadline = ContinuousClock.now.advanced(by: limit)
    while ContinuousClock.now < deadline {
        if try await condition() { return true }
        try? await Task.sleep(for: .milliseconds(10))
    }
    return try await condition()
}
