import AdministrationAPI
import CloudModel
import CloudPorts
import WebSocketFrames

extension RouteTable {
    static let consoles: [Route] = [
        Route(
            name: "openVirtualServerConsole", method: .get, path: "/api/v1/virtual-servers/{instance}/console",
            right: .operate,
            summary: "Opens the serial console of a virtual server as a WebSocket (RFC 6455). Messages carry octets, "
                + "whatever their kind and borders. One session at a time; opening and closing are events.",
            query: [
                QueryParameter(
                    "takeOver", .boolean, "Ends the session of whoever has the console open; they are told by whom.")
            ],
            answer: Route.Answer(
                status: 101, meaning: "The connection is a WebSocket from now on.",
                headers: ["Sec-WebSocket-Accept": "Made of the request's Sec-WebSocket-Key."]),
            refusals: [409, 426]
        ) { try await $0.open(.console, $1) },
        Route(
            name: "openVirtualServerDisplay", method: .get, path: "/api/v1/virtual-servers/{instance}/display",
            right: .operate,
            summary:
                "Opens the screen of a virtual server as a WebSocket (RFC 6455) that carries its display's protocol "
                + "(RFB for VNC). One session at a time; opening and closing are events.",
            query: [
                QueryParameter(
                    "takeOver", .boolean, "Ends the session of whoever has the display open; they are told by whom.")
            ],
            answer: Route.Answer(
                status: 101, meaning: "The connection is a WebSocket from now on.",
                headers: ["Sec-WebSocket-Accept": "Made of the request's Sec-WebSocket-Key."]),
            refusals: [409, 426]
        ) { try await $0.open(.display, $1) },
    ]
}

extension Handlers {
    func open(_ kind: ConsoleSession.Kind, _ call: Call) async throws -> Reply {
        let instance = InstanceID(call.placeholder("instance"))
        guard await administration.virtualServers().contains(where: { $0.identity.instance == instance }) else {
            throw API.Problem.notFound(
                "There is no virtual server '\(instance)'; see `cloudwright virtual-server list`.")
        }
        let key = try call.webSocketKey()
        try call.requireOwnOrigin()
        let begun: (session: ConsoleSession, line: any ConsoleLine)
        do { begun = try await begin(kind, of: instance, call) } catch {
            guard call.identity?.session != nil, let reason = Self.reason(of: error) else { throw error }
            // A page's script is not told how a handshake was refused: it is let in, told, and closed.
            return Self.webSocket(key) { socket in
                await socket?.close(code: WebSocketCloseCode.policy, reason: reason)
            }
        }
        let (session, line) = begun
        return Self.webSocket(key) { socket in
            if let socket {
                await session.carry(line, socket) { await watch(socket, call.identity) }
            }
            await line.close()
            await consoles.end(session)
            await recordEnd(of: session, call)
        }
    }

    private static func webSocket(
        _ key: String, _ talk: @escaping @Sendable (WebSocketConnection?) async -> Void
    ) -> Reply {
        Reply(
            status: 101,
            headers: [
                "connection": "Upgrade", "upgrade": "websocket",
                "sec-websocket-accept": WebSocketHandshake.accept(ofKey: key),
            ], body: .webSocket(talk))
    }

    /// Nil for what is no refusal.
    private static func reason(of error: any Error) -> String? {
        switch error {
        case let problem as API.Problem: problem.detail
        case let refusal as AdministrationRefusal: refusal.description
        default: nil
        }
    }

    private func begin(
        _ kind: ConsoleSession.Kind, of instance: InstanceID, _ call: Call
    ) async throws -> (session: ConsoleSession, line: any ConsoleLine) {
        let takingOver = call.query.boolean("takeOver")
        let session = try await consoles.begin(
            kind, of: instance, actor: call.actor, takingOver: takingOver, at: now())
        let line: any ConsoleLine
        do {
            switch kind {
            case .console: line = try await administration.openConsole(of: instance, takingOver: takingOver)
            case .display: line = try await administration.openDisplay(of: instance)
            }
            // Nobody gets a console that the event log has not.
            do {
                try await record(
                    "virtual-server.\(kind.rawValue)-opened",
                    "\(call.actor) opened the \(kind.rawValue) of \(instance) from \(call.source)", call,
                    ["instance": instance.rawValue, "source": call.source, "takenOver": String(takingOver)])
            } catch {
                await line.close()
                throw error
            }
        } catch {
            await consoles.end(session)
            throw error
        }
        return (session, line)
    }

    private func recordEnd(of session: ConsoleSession, _ call: Call) async {
        let (typed, said) = session.octets
        let seconds = (now() - session.openedAt).millisecondsRoundedUp / 1_000
        do {
            try await record(
                "virtual-server.\(session.kind.rawValue)-closed",
                "\(session.actor) had the \(session.kind.rawValue) of \(session.instance) open for \(seconds) s; "
                    + session.end.reason, call,
                [
                    "instance": session.instance.rawValue, "source": call.source, "seconds": String(seconds),
                    "bytesTyped": String(typed), "bytesSaid": String(said), "reason": session.end.reason,
                ])
        } catch {
            logger.error(
                "The end of a console could not be recorded",
                metadata: ["error": "\(error)", "actor": "\(session.actor)", "instance": "\(session.instance)"])
        }
    }

    /// Asks the client for a sign at each heartbeat, and whether it may still be here.
    private func watch(_ socket: WebSocketConnection, _ identity: Identity?) async -> ConsoleSession.End? {
        var silent = 0
        while !Task.isCancelled {
            _ = await hub.waitForGrowth(beyond: .max, for: settings.heartbeat)
            if await hub.hasFinished { return .platformStops }
            if Task.isCancelled { return nil }
            if let identity, await !authenticator.isStillValid(identity) { return .notAllowed }
            silent = socket.takeSign() ? 0 : silent + 1
            // Two pings went without an answer.
            if silent > 2 { return .silent }
            do { try await socket.send(.ping([])) } catch { return .closed }
        }
        return nil
    }
}

extension Call {
    /// The handshake's key; a problem where the request is none (RFC 6455, section 4.2.1).
    func webSocketKey() throws -> String {
        let connection = (headers["connection"] ?? "").lowercased().split(separator: ",")
            .map { $0.filter { $0 != " " } }
        guard headers["upgrade"]?.lowercased() == "websocket", connection.contains("upgrade"),
            headers["sec-websocket-version"] == WebSocketHandshake.version
        else {
            throw Refusal(
                problem: .upgradeRequired(
                    "A console is a WebSocket: send the handshake of RFC 6455 (Upgrade: websocket, "
                        + "Sec-WebSocket-Version: 13); a proxy in between has to pass it on."),
                headers: ["upgrade": "websocket", "sec-websocket-version": WebSocketHandshake.version])
        }
        guard let key = headers["sec-websocket-key"], WebSocketHandshake.isKey(key) else {
            throw API.Problem.invalid("Sec-WebSocket-Key is not 16 octets in Base64.")
        }
        return key
    }

    /// Refuses a WebSocket that another site's page opens: browsers send cookies along with those from everywhere, and
    /// no same-origin policy keeps the page from reading. Programs that carry a token send no Origin.
    func requireOwnOrigin() throws(API.Problem) {
        let site = headers["sec-fetch-site"] ?? "same-origin"
        guard let origin = headers["origin"] else {
            guard identity?.session == nil || headers["authorization"] != nil else {
                throw .forbidden("The request does not say which page it comes from (Origin); use the console's own.")
            }
            return
        }
        let own = ["http://", "https://"].map { $0 + (headers["host"] ?? "") }
        guard site == "same-origin", own.contains(origin) else {
            throw .forbidden(
                "The request comes from a page of '\(origin.prefix(128))'; consoles are opened by the platform's own "
                    + "page only. A proxy in between has to pass the Host on.")
        }
    }
}
