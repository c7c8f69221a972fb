import AdministrationAPI
import CloudPorts

extension API.Problem {
    private init(_ status: Int, _ word: String, _ title: String, _ detail: String, _ faults: [API.Fault] = []) {
        self.init(
            type: "urn:cloudwright:problem:\(word)", title: title, status: status, detail: detail, faults: faults)
    }

    static func invalid(_ detail: String, faults: [API.Fault] = []) -> Self {
        Self(400, "invalid", "The request is not valid", detail, faults)
    }

    static func unauthenticated(_ detail: String) -> Self {
        Self(401, "unauthenticated", "The token is missing or not valid", detail)
    }

    static func forbidden(_ detail: String) -> Self {
        Self(403, "forbidden", "The token's role does not allow this", detail)
    }

    static func notFound(_ detail: String) -> Self { Self(404, "not-found", "There is no such thing", detail) }

    static func wrongMethod(_ method: String, allowed: [String]) -> Self {
        Self(
            405, "method-not-allowed", "The method is not allowed here",
            "\(method) is not possible here; possible: \(allowed.joined(separator: ", ")).")
    }

    static func conflict(_ detail: String, faults: [API.Fault] = []) -> Self {
        Self(409, "conflict", "The request does not fit the present state", detail, faults)
    }

    static func gone(_ detail: String) -> Self { Self(410, "gone", "It is no longer there", detail) }

    static func changedMeanwhile(_ detail: String) -> Self {
        Self(412, "changed-meanwhile", "It was changed meanwhile", detail)
    }

    static func tooLarge(limit: Int) -> Self {
        Self(
            413, "too-large", "The body is too large", "The body may have \(limit) bytes at most; send less at once.")
    }

    static func mediaType(_ given: String?, accepted: [String]) -> Self {
        let found = given.map { "The body is '\($0)'" } ?? "The body's Content-Type is missing"
        return Self(
            415, "media-type", "The body's media type is not understood",
            "\(found); send \(accepted.joined(separator: " or ")) and say so in Content-Type.")
    }

    static func noRoom(_ detail: String) -> Self {
        Self(507, "no-room", "There is no room for it", detail)
    }

    static func upgradeRequired(_ detail: String) -> Self {
        Self(426, "upgrade-required", "The connection has to become a WebSocket", detail)
    }

    static func reusedKey(_ detail: String) -> Self {
        Self(422, "idempotency-key-reused", "The Idempotency-Key was used for another request", detail)
    }

    static func missingPrecondition(_ detail: String) -> Self {
        Self(428, "precondition-required", "The request must say what it is based on", detail)
    }

    static func tooMany(_ detail: String) -> Self {
        Self(429, "too-many-failures", "Too many failed attempts", detail)
    }

    static func failed(_ detail: String) -> Self {
        Self(500, "internal", "The platform made a mistake", detail)
    }

    static func unavailable(_ detail: String, faults: [API.Fault] = []) -> Self {
        Self(503, "unavailable", "The platform cannot do this now", detail, faults)
    }

    init(_ refusal: AdministrationRefusal) {
        let detail = refusal.description
        let faults = refusal.faults.map { API.Fault(detail: $0) }
        self =
            switch refusal.code {
            case .notFound: .notFound(detail)
            case .invalid: .invalid(detail, faults: faults)
            case .conflict: .conflict(detail, faults: faults)
            case .gone: .gone(detail)
            case .unavailable: .unavailable(detail)
            }
    }

    init(_ error: LogDatabaseError) {
        self = .unavailable("The log database does not answer (\(error.message)); try again, and see /healthz.")
    }
}
