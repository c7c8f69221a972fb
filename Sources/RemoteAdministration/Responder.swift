import AdministrationAPI
import CloudModel
import CloudPorts
import HTTPTypes
import Hummingbird
import Logging
import NIOCore

/// What a request comes with besides itself.
struct RequestSource: InitializableFromSource, RequestContextSource {
    typealias Source = ApplicationRequestContextSource

    let channel: any Channel
    let logger: Logger

    init(source: ApplicationRequestContextSource) {
        channel = source.channel
        logger = source.logger
    }

    /// The peer's address, without port.
    var address: String { channel.remoteAddress?.ipAddress ?? "unknown" }
}

/// Takes a request through all that every request goes through: match, authenticate, authorise, read, answer.
struct Responder: HTTPResponder {
    let handlers: Handlers
    let ledger: IdempotencyLedger

    func respond(to request: Request, context: RequestSource) async throws -> Response {
        let target = request.head.path ?? "/"
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let path = String(parts[0])
        let query = parts.count > 1 ? String(parts[1]) : ""
        let reply: Reply
        do {
            reply = try await answer(request, path: path, query: query, context)
        } catch {
            reply = refusal(error, path: path)
        }
        if case .webSocket(let talk) = reply.body { return await webSocket(talk, reply, context) }
        return response(reply, to: request, context)
    }

    /// The client's octets are taken before it is told that it may send them: none reaches what speaks HTTP.
    private func webSocket(
        _ talk: @escaping @Sendable (WebSocketConnection?) async -> Void, _ reply: Reply, _ context: RequestSource
    ) async -> Response {
        let socket: WebSocketConnection
        do {
            socket = try await WebSocketConnection.take(
                over: context.channel, writeTimeout: TimeAmount(handlers.settings.writeTimeout))
        } catch {
            await talk(nil)
            return Response(status: .internalServerError)
        }
        var fields = HTTPFields()
        for (name, value) in reply.headers.sorted(by: <) {
            if let name = HTTPField.Name(name) { fields[name] = value }
        }
        return Response(
            status: .switchingProtocols, headers: fields,
            body: ResponseBody { _ in
                let began: Void? = try? await socket.begin()
                await talk(began == nil ? nil : socket)
                // There is nothing after it on this connection.
                throw CancellationError()
            })
    }

    private func answer(_ request: Request, path: String, query: String, _ context: RequestSource) async throws -> Reply
    {
        if let reply = ConsoleFiles.reply(method: request.method.rawValue, path: path) { return reply }
        let route: Route
        let placeholders: [String: String]
        switch RouteTable.destination(method: request.method.rawValue, path: path) {
        case .route(let found, let values): (route, placeholders) = (found, values)
        case .wrongMethod(let allowed):
            throw Refusal(
                problem: .wrongMethod(request.method.rawValue, allowed: allowed),
                headers: ["allow": allowed.joined(separator: ", ")])
        case .unknown:
            throw API.Problem.notFound("There is nothing at this path; /openapi.json lists what there is.")
        }
        var call = Call(
            route: route, path: path, placeholders: placeholders, query: QueryValues(),
            headers: Self.headers(of: request), body: [], source: context.address, receivedAt: handlers.now())
        if route.right != .open { call.identity = try await identity(of: call) }
        call.query = try QueryValues(query, allowed: route.query)
        if let body = route.body {
            if body.isStreamed {
                try requireAcceptable(call, body, limit: Int(clamping: handlers.settings.maximumImageBytes))
                call.upload = request.body
            } else {
                call.body = try await read(request, body, call)
            }
        }
        guard route.isRepeatable, let key = call.headers["idempotency-key"] else {
            return try await route.handler(handlers, call)
        }
        let finished = call
        return try await ledger.answer(finished, key: key) { try await route.handler(handlers, finished) }
    }

    private func identity(of call: Call) async throws -> Identity {
        let authenticator = handlers.authenticator
        let identity: Identity
        if call.headers["authorization"] == nil, let secret = ConsoleCookie.secret(in: call.headers["cookie"]) {
            identity = try await authenticator.identify(sessionSecret: secret)
            if call.route.method != .get { try call.requireOwnPage(sessionSecret: secret) }
        } else {
            identity = try await authenticator.identify(
                authorization: call.headers["authorization"], Authenticator.Attempt(call))
        }
        guard call.route.right.permits(identity.role) else {
            throw API.Problem.forbidden(
                "'\(identity.name)' has the role \(identity.role.rawValue); this needs one of: "
                    + "\(call.route.right.roles).")
        }
        return identity
    }

    private func read(_ request: Request, _ body: Route.RequestBody, _ call: Call) async throws -> [UInt8] {
        if let length = call.headers["content-length"].flatMap({ Int($0) }), length > body.limitInBytes {
            throw API.Problem.tooLarge(limit: body.limitInBytes)
        }
        var bytes: [UInt8] = []
        for try await piece in request.body {
            guard bytes.count + piece.readableBytes <= body.limitInBytes else {
                throw API.Problem.tooLarge(limit: body.limitInBytes)
            }
            bytes += piece.readableBytesView
        }
        try requireAcceptable(call, body, limit: body.limitInBytes)
        return bytes
    }

    private func requireAcceptable(_ call: Call, _ body: Route.RequestBody, limit: Int) throws(API.Problem) {
        let given = call.headers["content-type"]
        let mediaType = given?.prefix { $0 != ";" }.lowercased().filter { $0 != " " }
        guard let mediaType, body.mediaTypes.contains(mediaType) else {
            throw .mediaType(given, accepted: body.mediaTypes)
        }
        if let length = call.headers["content-length"].flatMap({ Int($0) }), length > limit {
            throw .tooLarge(limit: limit)
        }
    }

    private static func headers(of request: Request) -> [String: String] {
        var headers: [String: String] = [:]
        // The library keeps it apart, as HTTP/2 does.
        headers["host"] = request.head.authority
        for field in request.headers {
            let name = field.name.canonicalName
            headers[name] = headers[name].map { "\($0), \(field.value)" } ?? field.value
        }
        return headers
    }

    private func refusal(_ error: any Error, path: String) -> Reply {
        let problem: API.Problem
        var headers: [String: String] = [:]
        switch error {
        case let refusal as Refusal:
            problem = refusal.problem
            headers = refusal.headers
        case let found as API.Problem: problem = found
        case let refusal as AdministrationRefusal: problem = API.Problem(refusal)
        case let error as LogDatabaseError: problem = API.Problem(error)
        default:
            handlers.logger.error("A request failed", metadata: ["error": "\(error)", "path": "\(path)"])
            problem = .failed("An error that was not foreseen; the platform's log has it.")
        }
        if problem.status == 401 { headers["www-authenticate"] = "Bearer realm=\"cloudwright\"" }
        if problem.status == 503, headers["retry-after"] == nil { headers["retry-after"] = "2" }
        return Reply(
            status: problem.status, headers: headers,
            body: .bytes(JSON.bytes(of: problem), mediaType: API.problemMediaType))
    }

    /// What everybody's answer has: nothing is to be stored, sniffed, framed or told on.
    private static let security: [(String, String)] = [
        ("cache-control", "no-store"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ("cross-origin-resource-policy", "same-origin"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
    ]

    private func response(_ reply: Reply, to request: Request, _ context: RequestSource) -> Response {
        var fields = HTTPFields()
        for (name, value) in Self.security.filter({ reply.headers[$0.0] == nil }) + reply.headers.sorted(by: <) {
            if let name = HTTPField.Name(name) { fields[name] = value }
        }
        if let tag = reply.headers["etag"], request.method == .get, reply.status == 200,
            request.headers[values: .ifNoneMatch].contains(tag)
        {
            return Response(status: .notModified, headers: fields)
        }
        let status = HTTPResponse.Status(code: reply.status)
        switch reply.body {
        case .none, .webSocket: return Response(status: status, headers: fields)
        case .bytes(let bytes, let mediaType):
            fields[.contentType] = mediaType
            fields[.contentLength] = String(bytes.count)
            let body: ResponseBody = request.method == .head ? .init() : .init(byteBuffer: ByteBuffer(bytes: bytes))
            return Response(status: status, headers: fields, body: body)
        case .stream(let mediaType, let write):
            fields[.contentType] = mediaType
            guard request.method != .head else { return Response(status: status, headers: fields) }
            let timeout = TimeAmount(handlers.settings.writeTimeout)
            return Response(
                status: status, headers: fields,
                body: ResponseBody { writer in
                    try await write(TimedWriter(writer: writer, channel: context.channel, timeout: timeout))
                    try await writer.finish(nil)
                })
        }
    }
}

/// Closes the connection of a client that does not take what it asked for.
private struct TimedWriter: PieceWriter, @unchecked Sendable {
    /// Only ever used by the one task that writes the body, one piece after another.
    let writer: any ResponseBodyWriter
    let channel: any Channel
    let timeout: TimeAmount

    func write(_ piece: String) async throws {
        let alarm = channel.eventLoop.scheduleTask(in: timeout) { [channel] in channel.close(promise: nil) }
        defer { alarm.cancel() }
        var writer = writer
        try await writer.write(ByteBuffer(string: piece))
    }
}
