public import Foundation
public import LoadClient

extension ScenarioContext {
    /// One request of a consumer (nil: nobody's) to a service, on a connection of its own.
    public func call(
        _ consumer: String?, _ service: String, _ path: String, method: String = "GET",
        headers: [HTTPField] = [], body: String = "", timeout: Duration = .seconds(90)
    ) async throws -> HTTPResponse {
        let request = HTTPRequest(method, path, fields: fields(of: consumer, to: service) + headers, text: body)
        let outcomes = try await Burst(
            try gateway, [request], timeoutMilliseconds: timeout.components.seconds * 1_000
        ).runOnOwnThreads()
        return try outcomes[0].response.get()
    }

    /// A constant rate of safe requests, in turn by all consumers.
    public func load(
        _ service: String, _ path: String, perSecond: Int, milliseconds: Int64, connections: Int = 64,
        journal: URL? = nil
    ) async throws -> LoadReport {
        var load = OpenLoopLoad(
            try gateway, HTTPRequest("GET", path, fields: fields(of: nil, to: service)),
            requestsPerSecond: perSecond, durationMilliseconds: milliseconds)
        load.fieldsByTurn = keys.sorted { $0.key < $1.key }.map { [HTTPField("X-API-Key", $0.value)] }
        load.connections = connections
        load.journalPath = journal?.path
        return try await load.runOnOwnThread()
    }

    public func fields(of consumer: String?, to service: String) -> [HTTPField] {
        var fields = [HTTPField("Host", ScenarioCloud.host(of: service))]
        if let key = consumer.flatMap({ keys[$0] }) { fields.append(HTTPField("X-API-Key", key)) }
        return fields
    }

    /// The gateway's first listener.
    public var gateway: HTTPTarget {
        get throws {
            guard let text = platform.announcement.gateway.first, let colon = text.lastIndex(of: ":"),
                let port = UInt16(text[text.index(after: colon)...])
            else { throw ScenarioFailure("the platform announced no gateway address") }
            return HTTPTarget(address: String(text[..<colon]), port: port)
        }
    }
}

extension HTTPResponse {
    /// The instance that answered, as the sample service says.
    public var servedBy: String? {
        (try? JSONSerialization.jsonObject(with: Data(body)) as? [String: Any])?["instance"] as? String
    }
}
