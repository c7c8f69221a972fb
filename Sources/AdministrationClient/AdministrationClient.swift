import AdministrationAPI
import Foundation
import FoundationNetworking

/// Calls the administration API of one server.
public struct AdministrationClient: Sendable {
    /// The server's address, without a slash at its end.
    public let server: String
    /// An administrator's token; nil for what needs none.
    public let token: String?
    let timeoutSeconds: Int
    private let transport: Transport

    /// - Parameters:
    ///   - server: `http://HOST:PORT` or `https://HOST`.
    ///   - timeoutSeconds: how long a server may be silent.
    public init(server: String, token: String?, timeoutSeconds: Int = 30) throws(ClientError) {
        var address = server
        while address.hasSuffix("/") { address.removeLast() }
        guard let url = URL(string: address), ["http", "https"].contains(url.scheme?.lowercased()),
            url.host?.isEmpty == false
        else { throw .badAddress(server) }
        self.server = address
        self.token = token
        self.timeoutSeconds = timeoutSeconds
        transport = Transport(server: address, timeoutSeconds: timeoutSeconds)
    }

    /// A value and its version, for If-Match.
    public struct Versioned<Value: Sendable>: Sendable {
        public var value: Value
        public var tag: String
    }

    // MARK: Requests

    func request(
        _ method: String, _ path: String, query: [(String, String?)] = [], body: [UInt8]? = nil,
        mediaType: String = "application/json", headers: [String: String] = [:]
    ) throws(ClientError) -> URLRequest {
        let given = query.compactMap { name, value in value.map { "\(name)=\(Self.encoded($0))" } }
        let text = server + path + (given.isEmpty ? "" : "?" + given.joined(separator: "&"))
        guard let url = URL(string: text) else { throw .badAddress(text) }
        var request = URLRequest(url: url)
        request.httpMethod = method
        request.setValue("application/json", forHTTPHeaderField: "Accept")
        if let token { request.setValue("Bearer \(token)", forHTTPHeaderField: "Authorization") }
        if let body {
            request.httpBody = Data(body)
            request.setValue(mediaType, forHTTPHeaderField: "Content-Type")
        }
        if method != "GET" { request.setValue(UUID().uuidString, forHTTPHeaderField: "Idempotency-Key") }
        for (name, value) in headers { request.setValue(value, forHTTPHeaderField: name) }
        return request
    }

    /// One segment of a path, or a value of a query: everything but unreserved characters is percent-encoded.
    static func encoded(_ text: String) -> String {
        text.utf8.reduce(into: "") { encoded, byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E:
                encoded.append(Character(UnicodeScalar(byte)))
            default:
                let hex = String(byte, radix: 16, uppercase: true)
                encoded += "%" + (hex.count == 1 ? "0" + hex : hex)
            }
        }
    }

    /// The answer, whatever its status.
    func answer(to request: URLRequest) async throws(ClientError) -> Transport.Answer {
        try await transport.send(request, isRepeatable: true)
    }

    func send(_ request: URLRequest, isRepeatable: Bool = true) async throws(ClientError) -> Transport.Answer {
        let answer = try await transport.send(request, isRepeatable: isRepeatable)
        guard !(200..<300).contains(answer.status) else { return answer }
        throw refusal(answer)
    }

    func refusal(_ answer: Transport.Answer) -> ClientError {
        if answer.headers["content-type"]?.hasPrefix(API.problemMediaType) == true,
            let problem = try? JSONDecoder().decode(API.Problem.self, from: Data(answer.body))
        {
            return .refused(problem)
        }
        return .unexpectedAnswer(server: server, what: "status \(answer.status)")
    }

    func value<Value: WireType>(_ type: Value.Type, of answer: Transport.Answer) throws(ClientError) -> Value {
        do { return try JSONDecoder().decode(type, from: Data(answer.body)) } catch {
            throw .unexpectedAnswer(server: server, what: "its answer is no \(type.schemaName) (\(error))")
        }
    }

    func get<Value: WireType>(
        _ type: Value.Type, _ path: String, query: [(String, String?)] = []
    ) async throws(ClientError) -> Value {
        try value(type, of: try await send(request("GET", path, query: query)))
    }

    func list<Item: WireType>(
        _ type: Item.Type, _ path: String, query: [(String, String?)] = []
    ) async throws(ClientError) -> [Item] {
        try await get(API.Page<Item>.self, path, query: query).items
    }

    /// Reads part after part until the end, or until there are `maximum` entries.
    func all<Item: WireType>(
        _ type: Item.Type, _ path: String, query: [(String, String?)] = [], maximum: Int
    ) async throws(ClientError) -> [Item] {
        var items: [Item] = []
        var cursor: String?
        repeat {
            let limit = min(API.maximumPageSize, maximum - items.count)
            let page = try await get(
                API.Page<Item>.self, path, query: query + [("cursor", cursor), ("limit", String(limit))])
            items += page.items
            cursor = page.nextCursor
        } while cursor != nil && items.count < maximum
        return items
    }

    static func body(_ value: some WireType) -> [UInt8] {
        // Wire types are strings, integers and collections of them: those always have a JSON form.
        (try? JSONEncoder().encode(value)).map { [UInt8]($0) } ?? []
    }
}
