import CGateway
import CloudModel

/// Keys of session tickets of one listener, for the whole life of the gateway.
final class TicketKeys: @unchecked Sendable {
    /// How long a ticket may be used at least. Whoever gets hold of the keys can read what was sent meanwhile.
    static let lifetimeSeconds: Int64 = 7_200

    let pointer: OpaquePointer

    init() throws(GatewayError) {
        guard let keys = cgateway_ticket_keys_create(Self.lifetimeSeconds) else {
            throw GatewayError(.exhausted, "no random numbers for the keys of TLS sessions")
        }
        pointer = keys
    }

    deinit { cgateway_ticket_keys_free(pointer) }
}

/// What connections over TLS are made with. Connections that are made with it keep it alive.
final class TLSContext: @unchecked Sendable {
    let pointer: OpaquePointer

    private init(_ pointer: OpaquePointer) { self.pointer = pointer }

    deinit { cgateway_tls_context_free(pointer) }

    /// When the first of its certificates ends, in seconds since 1970.
    var expiry: Int64 { cgateway_tls_expiry(pointer) }

    /// For consumers, who are offered `protocols` in this order. `keys` has to last longer than every connection.
    static func accepting(
        _ settings: ListenerTLS, keys: TicketKeys, protocols: [String]
    ) throws(GatewayError) -> TLSContext {
        guard let pointer = cgateway_tls_server(settings.minimumVersion.number, keys.pointer) else {
            throw GatewayError(.exhausted, "no memory for TLS")
        }
        let context = TLSContext(pointer)
        for files in settings.certificates {
            try reasoned("certificate \(files.certificateFile)") {
                cgateway_tls_add_certificate(pointer, files.certificateFile, files.keyFile, $0)
            }
        }
        if let clients = settings.clientCertificates {
            try reasoned("authorities of client certificates") {
                cgateway_tls_ask_clients(pointer, clients.authorityFile, !clients.isOptional, $0)
            }
        }
        try context.offer(protocols)
        return context
    }

    /// For connections to instances.
    static func connecting(_ settings: InstanceTLS, protocols: [String]) throws(GatewayError) -> TLSContext {
        var made: OpaquePointer?
        try reasoned("TLS to instances of \(settings.serverName)") { reason in
            made = cgateway_tls_client(
                settings.authorityFile, settings.serverName, settings.certificate?.certificateFile,
                settings.certificate?.keyFile, reason)
            return made != nil
        }
        guard let made else { throw GatewayError(.exhausted, "no memory for TLS") }
        let context = TLSContext(made)
        try context.offer(protocols)
        return context
    }

    /// The protocols in the order of preference (RFC 7301).
    private func offer(_ protocols: [String]) throws(GatewayError) {
        guard !protocols.isEmpty else { return }
        let list = protocols.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
        guard cgateway_tls_offer(pointer, list, list.count) else {
            throw GatewayError(.exhausted, "no memory for TLS")
        }
    }

    private static func reasoned(
        _ what: String, _ body: (UnsafeMutablePointer<CChar>) -> Bool
    ) throws(GatewayError) {
        let reason = UnsafeMutablePointer<CChar>.allocate(capacity: CGATEWAY_TLS_REASON)
        defer { reason.deallocate() }
        reason.initialize(repeating: 0, count: CGATEWAY_TLS_REASON)
        guard !body(reason) else { return }
        throw GatewayError(.invalidConfiguration, "\(what): \(String(cString: reason))")
    }
}

extension TLSVersion {
    /// As the protocol has it.
    fileprivate var number: Int32 {
        switch self {
        case .v12: 0x0303
        case .v13: 0x0304
        }
    }
}
