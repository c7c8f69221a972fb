import CloudModel

/// What a response says of a login.
struct LoginVerdict: Hashable {
    var outcome: AuditEvent.Outcome
    /// A stable word; empty for a success.
    var reason: String
    var status: UInt16

    init(_ outcome: AuditEvent.Outcome, _ reason: String, _ status: UInt16) {
        self.outcome = outcome
        self.reason = reason
        self.status = status
    }

    /// The response lacks the sign of success. A server's own error (5xx) says nothing about the credential: counted as
    /// a failed login, an outage would look like an attack.
    init(withoutSign status: UInt16, otherwise reason: String? = nil) {
        switch status {
        case 500...599: self.init(.unknown, "service-error", status)
        case 401: self.init(.failure, "bad-credential", status)
        case 403: self.init(.failure, "forbidden", status)
        case 429: self.init(.failure, "too-many-attempts", status)
        case 423: self.init(.failure, "locked", status)
        default: self.init(.failure, reason ?? "status-\(status)", status)
        }
    }

    /// The response's content cannot be read: only a status that is a refusal still tells something.
    init(unreadable status: UInt16, _ reason: String) {
        if (400...499).contains(status) {
            self.init(withoutSign: status)
        } else {
            self.init(.unknown, status >= 500 ? "service-error" : reason, status)
        }
    }
}

/// A JSON field as the sign of success.
struct JSONSign {
    var field: String
    /// Nil: any value but null.
    var value: String?

    func verdict(on content: UnsafeRawBufferPointer, isWhole: Bool, status: UInt16) -> LoginVerdict {
        var scanner = JSONFieldScanner(content)
        let ending = scanner.scan(for: [field])
        if let found = scanner.fields[0], let text = scanner.text(of: found) {
            let matches = value.map { text.bytes.elementsEqual($0.utf8) } ?? true
            text.wipe()
            // A later field of the same name would count instead: only a whole response is proof.
            if ending == .whole && isWhole {
                return matches
                    ? LoginVerdict(.success, "", status) : LoginVerdict(withoutSign: status, otherwise: "field-differs")
            }
        }
        switch ending {
        case .whole where isWhole: return LoginVerdict(withoutSign: status, otherwise: "field-missing")
        case .malformed: return LoginVerdict(unreadable: status, "response-not-json")
        case .whole, .endsEarly:
            return LoginVerdict(unreadable: status, isWhole ? "response-not-json" : "response-truncated")
        }
    }
}
