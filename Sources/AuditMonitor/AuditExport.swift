public import CloudModel

/// Audit events in the formats that systems for security events read, one line each.
public enum AuditExport: String, Sendable, CaseIterable {
    /// Open Cybersecurity Schema Framework, class Authentication (3002), as JSON lines
    /// (https://schema.ocsf.io/1.3.0/classes/authentication).
    case ocsf
    /// ArcSight's Common Event Format, version 0.
    case cef
    /// RFC 5424, one message a line (the framing of a file, not of a connection).
    case syslog

    /// The event as a line without its end.
    ///
    /// - Parameters:
    ///   - position: its place in the audit log; an export goes on after it.
    ///   - version: the platform's.
    public func line(_ event: AuditEvent, position: Int64, version: String) -> String {
        switch self {
        case .ocsf: Self.ocsf(event, position, version)
        case .cef: Self.cef(event, position, version)
        case .syslog: Self.syslog(event, position)
        }
    }

    private static func milliseconds(_ time: Timestamp) -> Int64 { time.microseconds / 1_000 }

    // MARK: OCSF

    private static func ocsf(_ event: AuditEvent, _ position: Int64, _ version: String) -> String {
        let (status, statusName): (Int64, String) =
            switch event.outcome {
            case .success: (1, "Success")
            case .failure: (2, "Failure")
            case .unknown: (0, "Unknown")
            }
        // A failed login is of low severity: many of them are an incident of their own.
        let (severity, severityName): (Int64, String) = event.outcome == .failure ? (2, "Low") : (1, "Informational")
        let isBasic = event.credentialKind == .basic
        return JSONText.line([
            ("activity_id", .number(1)), ("activity_name", .text("Logon")),
            ("auth_protocol", .text(isBasic ? "Basic Authentication" : event.credentialKind.rawValue)),
            ("auth_protocol_id", .number(isBasic ? 11 : 99)), ("category_name", .text("Identity & Access Management")),
            ("category_uid", .number(3)), ("class_name", .text("Authentication")), ("class_uid", .number(3_002)),
            (
                "http_request",
                .object([
                    ("http_method", .text(event.method)), ("url", .object([("path", .text(event.path))])),
                    ("user_agent", .text(event.userAgent)),
                ])
            ),
            ("message", .text("Login \(event.outcome.rawValue)")),
            (
                "metadata",
                .object([
                    (
                        "product",
                        .object([
                            ("name", .text("Cloudwright")), ("vendor_name", .text("Cloudwright")),
                            ("version", .text(version)),
                        ])
                    ), ("sequence", .number(position)), ("uid", .text(event.requestID.description)),
                    ("version", .text("1.3.0")),
                ])
            ), ("service", .object([("name", .text(event.service.rawValue))])), ("severity", .text(severityName)),
            ("severity_id", .number(severity)),
            ("src_endpoint", .object([("ip", .text(event.sourceAddress))])), ("status", .text(statusName)),
            ("status_code", .text("\(event.status)")), ("status_detail", .text(event.reason)),
            ("status_id", .number(status)), ("time", .number(milliseconds(event.receivedAt))),
            ("type_name", .text("Authentication: Logon")), ("type_uid", .number(300_201)),
            (
                "unmapped",
                .object([
                    ("consumer", event.consumer.map { .text($0.rawValue) }),
                    ("credential_tag", event.credentialTag.map { .text($0) }), ("observer", .text(event.observer)),
                ])
            ), ("user", .object([("name", .text(event.principal)), ("type_id", .number(0))])),
        ])
    }

    // MARK: CEF

    private static func cef(_ event: AuditEvent, _ position: Int64, _ version: String) -> String {
        let severity = event.outcome == .failure ? 5 : event.outcome == .unknown ? 3 : 1
        let header = ["Cloudwright", "cloudwright", version, "login-\(event.outcome.rawValue)"]
            .map { escaped($0, ["\\", "|"]) }.joined(separator: "|")
        let isIPv6 = event.sourceAddress.contains(":")
        var fields: [(String, String)] = [
            ("rt", "\(milliseconds(event.receivedAt))"), ("externalId", event.requestID.description),
            ("outcome", event.outcome.rawValue), ("reason", event.reason), ("duser", event.principal),
            ("destinationServiceName", event.service.rawValue), ("dvchost", event.observer),
            ("requestMethod", event.method), ("request", event.path), ("requestClientApplication", event.userAgent),
            ("cn1Label", "Status"), ("cn1", "\(event.status)"), ("cn2Label", "Position"), ("cn2", "\(position)"),
            ("cs1Label", "Credential kind"), ("cs1", event.credentialKind.rawValue),
        ]
        if isIPv6 {
            fields += [("c6a2Label", "Source IPv6 Address"), ("c6a2", event.sourceAddress)]
        } else {
            fields.append(("src", event.sourceAddress))
        }
        if let tag = event.credentialTag { fields += [("cs2Label", "Credential tag"), ("cs2", tag)] }
        if let consumer = event.consumer { fields += [("cs3Label", "Consumer"), ("cs3", consumer.rawValue)] }
        let text = fields.filter { !$0.1.isEmpty }.map { "\($0.0)=\(escaped($0.1, ["\\", "="]))" }
        return "CEF:0|\(header)|Login \(event.outcome.rawValue)|\(severity)|\(text.joined(separator: " "))"
    }

    // MARK: Syslog

    /// The facility is authpriv (10).
    private static func syslog(_ event: AuditEvent, _ position: Int64) -> String {
        let severity = event.outcome == .failure ? 4 : event.outcome == .unknown ? 5 : 6
        let host = String(event.observer.unicodeScalars.filter { (0x21...0x7E).contains($0.value) }.map(Character.init))
        var parameters: [(String, String)] = [
            ("position", "\(position)"), ("request", event.requestID.description),
            ("outcome", event.outcome.rawValue), ("reason", event.reason), ("principal", event.principal),
            ("service", event.service.rawValue), ("source", event.sourceAddress),
            ("credential", event.credentialKind.rawValue), ("method", event.method), ("path", event.path),
            ("status", "\(event.status)"), ("userAgent", event.userAgent),
        ]
        if let tag = event.credentialTag { parameters.append(("tag", tag)) }
        if let consumer = event.consumer { parameters.append(("consumer", consumer.rawValue)) }
        let data = parameters.map { "\($0.0)=\"\(escaped($0.1, ["\\", "\"", "]"]))\"" }.joined(separator: " ")
        // 32473 is the number that RFC 5612 keeps for what has none of its own.
        return "<\(10 * 8 + severity)>1 \(event.receivedAt.rfc3339) \(host.isEmpty ? "-" : String(host.prefix(255))) "
            + "cloudwright - login [login@32473 \(data)] login \(event.outcome.rawValue)"
    }

    /// A backslash before each of these; a line's end is never part of a field.
    private static func escaped(_ text: String, _ special: Set<Unicode.Scalar>) -> String {
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": result.append(contentsOf: "\\n".unicodeScalars)
            case "\r": result.append(contentsOf: "\\r".unicodeScalars)
            default:
                if special.contains(scalar) { result.append("\\") }
                result.append(scalar)
            }
        }
        return String(result)
    }
}

/// JSON as text, in the order in which it is given.
private indirect enum JSONText {
    case text(String)
    case number(Int64)
    /// What is nil is left out.
    case object([(String, JSONText?)])

    static func line(_ members: [(String, JSONText?)]) -> String { JSONText.object(members).encoded }

    private var encoded: String {
        switch self {
        case .text(let text): Self.quoted(text)
        case .number(let number): "\(number)"
        case .object(let members):
            "{"
                + members.compactMap { name, value in value.map { "\(Self.quoted(name)):\($0.encoded)" } }
                .joined(separator: ",") + "}"
        }
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            default:
                if scalar.value < 0x20 {
                    let hex = String(scalar.value, radix: 16)
                    result += "\\u" + String(repeating: "0", count: 4 - hex.utf8.count) + hex
                } else {
                    result.unicodeScalars.append(scalar)
                }
            }
        }
        return result + "\""
    }
}
