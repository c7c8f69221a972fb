import AdministrationAPI

/// The OpenAPI 3.1 document of the API, made of the same route table that requests are answered by.
package enum OpenAPIDocument {
    package static let bytes: [UInt8] = JSON.bytes(of: document)

    static let document: JSONValue = {
        var recorder = SchemaRecorder()
        let problem = recorder.reference(to: API.Problem.self)
        var paths: [String: [String: JSONValue]] = [:]
        for route in RouteTable.all {
            paths[route.path, default: [:]][route.method.rawValue.lowercased()] = operation(
                route, problem: problem, &recorder)
        }
        closeRequests(&recorder)
        return [
            "openapi": "3.1.0",
            "info": [
                "title": "Cloudwright administration API", "version": "1",
                "description": """
                Every error is an `application/problem+json` document (RFC 9457). A request that changes something may \
                carry an `Idempotency-Key`: repeated within 24 hours it is answered as it was the first time. Lists \
                come in parts; `nextCursor` leads to the next one. Times are RFC 3339 in UTC.
                """,
            ],
            "paths": .object(paths.mapValues { .object($0) }),
            "components": [
                "schemas": .object(recorder.schemas),
                "securitySchemes": [
                    "token": [
                        "type": "http", "scheme": "bearer",
                        "description": "An administrator's token: `cwa_…`.",
                    ],
                    "session": [
                        "type": "apiKey", "in": "cookie", "name": .string(ConsoleCookie.name),
                        "description": .string(
                            "The web console's session. A request that changes something also needs the header "
                                + "`\(API.csrfHeader)`."),
                    ],
                ],
            ],
        ]
    }()

    /// Bodies of requests have no other fields than those that are named: a field that is not known is refused, as it
    /// may be one that was mistyped. Answers may get more fields later.
    private static func closeRequests(_ recorder: inout SchemaRecorder) {
        let answers = Set(RouteTable.all.compactMap { $0.answer.type?.schemaName })
        for name in RouteTable.all.compactMap({ $0.body?.type?.schemaName }) where !answers.contains(name) {
            guard case .object(var schema)? = recorder.schemas[name] else { continue }
            schema["additionalProperties"] = false
            recorder.schemas[name] = .object(schema)
        }
    }

    private static func operation(_ route: Route, problem: JSONValue, _ recorder: inout SchemaRecorder) -> JSONValue {
        var operation: [String: JSONValue] = [
            "operationId": .string(route.name), "summary": .string(route.summary),
            "tags": [.string(tag(of: route))],
            "responses": .object(responses(of: route, problem: problem, &recorder)),
            "x-minimum-right": .string(route.right.rawValue),
        ]
        let parameters = parameters(of: route)
        if !parameters.isEmpty { operation["parameters"] = .array(parameters) }
        if route.right == .open {
            operation["security"] = []
        } else {
            operation["security"] = [["token": []], ["session": []]]
            operation["description"] = .string("Roles: \(route.right.roles).")
        }
        if let body = route.body {
            let schema = body.type.map { recorder.reference(to: $0) } ?? body.schema ?? true
            operation["requestBody"] = [
                "required": true,
                "content": .object(
                    Dictionary(uniqueKeysWithValues: body.mediaTypes.map { ($0, ["schema": schema]) })),
            ]
        }
        return .object(operation)
    }

    private static func tag(of route: Route) -> String {
        let segments = route.segments
        return segments.first == "api" && segments.count > 2 ? String(segments[2]) : "platform"
    }

    private static func parameters(of route: Route) -> [JSONValue] {
        var parameters: [JSONValue] = route.placeholders.map { name in
            ["name": .string(name), "in": "path", "required": true, "schema": ["type": "string"]]
        }
        parameters += route.query.map { parameter in
            [
                "name": .string(parameter.name), "in": "query", "description": .string(parameter.meaning),
                "schema": schema(of: parameter.kind),
            ]
        }
        func header(_ name: String, required: Bool, _ schema: JSONValue, _ meaning: String) -> JSONValue {
            [
                "name": .string(name), "in": "header", "required": .boolean(required),
                "description": .string(meaning), "schema": schema,
            ]
        }
        if route.needsIfMatch {
            parameters.append(
                header(
                    "If-Match", required: !route.isTrial, ["type": "string", "minLength": 1],
                    "The ETag of the version that is changed, or `*` for any."))
        }
        if route.isRepeatable {
            parameters.append(
                header(
                    "Idempotency-Key", required: false, ["type": "string", "pattern": "^[!-~]{1,255}$"],
                    "1 to 255 visible ASCII characters; names this change, however often the request is sent."))
        }
        return parameters
    }

    private static func schema(of kind: QueryParameter.Kind) -> JSONValue {
        switch kind {
        case .text: ["type": "string", "minLength": 1]
        case .integer(let range):
            ["type": "integer", "minimum": .integer(range.lowerBound), "maximum": .integer(range.upperBound)]
        case .time:
            [
                "type": "string", "description": "RFC 3339, or a date for its midnight in UTC.",
                "anyOf": [["format": "date-time"], ["format": "date"]],
            ]
        case .boolean: ["type": "boolean"]
        case .oneOf(let words): ["type": "string", "enum": .array(words.map { .string($0) })]
        }
    }

    private static func responses(of route: Route, problem: JSONValue, _ recorder: inout SchemaRecorder)
        -> [String: JSONValue]
    {
        var responses: [String: JSONValue] = [:]
        var answer: [String: JSONValue] = ["description": .string(route.answer.meaning)]
        if let mediaType = route.answer.mediaType {
            let schema = route.answer.type.map { recorder.reference(to: $0) } ?? route.answer.schema ?? true
            answer["content"] = [mediaType: ["schema": schema]]
        }
        if !route.answer.headers.isEmpty {
            answer["headers"] = .object(
                route.answer.headers.mapValues { ["description": .string($0), "schema": ["type": "string"]] })
        }
        responses[String(route.answer.status)] = .object(answer)
        for status in route.errors where route.name != "getHealth" || status != 503 {
            responses[String(status)] = [
                "description": .string(meaning(of: status)),
                "content": [API.problemMediaType: ["schema": problem]],
            ]
        }
        if route.name == "getHealth" {
            responses["503"] = [
                "description": "A part does not work.",
                "content": [JSON.mediaType: ["schema": recorder.reference(to: API.Health.self)]],
            ]
        }
        return responses
    }

    static func meaning(of status: Int) -> String {
        switch status {
        case 400: "The request is not valid; `faults` says where."
        case 401: "The token is missing, unknown or expired."
        case 403: "The token's role does not allow this."
        case 404: "There is no such thing."
        case 409: "It does not fit the present state, or the same request is being worked on."
        case 410: "The link has been used or has expired."
        case 412: "It was changed since it was read."
        case 413: "The body is too large."
        case 415: "The body's media type is not understood."
        case 422: "The Idempotency-Key was used for another request."
        case 428: "If-Match is missing."
        case 429: "Too many failed attempts came from this address; `Retry-After` says when to go on."
        case 503: "The platform cannot do this now; `Retry-After` says when to try again."
        default: "It failed."
        }
    }
}
