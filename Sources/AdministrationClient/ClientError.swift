public import AdministrationAPI

/// Why a call of the administration API did not give what was asked for.
public enum ClientError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The server's address is none that can be called.
    case badAddress(String)
    /// No connection could be made, or it broke.
    case unreachable(server: String, reason: String)
    case timedOut(server: String, seconds: Int)
    /// The platform refused, and says why.
    case refused(API.Problem)
    /// Something answered that does not speak this API.
    case unexpectedAnswer(server: String, what: String)

    /// What happened and what to do, for people.
    public var description: String {
        switch self {
        case .badAddress(let address):
            "'\(address)' is not the address of a server; give it as http://HOST:PORT"
        case .unreachable(let server, let reason):
            """
            cannot reach \(server): \(reason)
            Is `cloudwright serve` running there? Name another server with --server or CLOUDWRIGHT_SERVER.
            """
        case .timedOut(let server, let seconds):
            "\(server) did not answer within \(seconds) s; try again, or wait longer with --timeout"
        case .refused(let problem): Self.text(of: problem)
        case .unexpectedAnswer(let server, let what):
            """
            \(server) does not answer as a Cloudwright administration API: \(what)
            Check the address; the gateway's port is not the administration's.
            """
        }
    }

    private static func text(of problem: API.Problem) -> String {
        var lines = [problem.detail]
        for fault in problem.faults where !problem.detail.contains(fault.detail) {
            lines.append("- " + (fault.pointer.map { "\($0): " } ?? "") + fault.detail)
        }
        if problem.status == 401 {
            lines.append("Log in with `cloudwright login`, or set CLOUDWRIGHT_TOKEN or --token-file.")
        }
        return lines.joined(separator: "\n")
    }
}
