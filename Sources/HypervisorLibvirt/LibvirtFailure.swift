import CLibvirt
import CloudModel

extension HypervisorError {
    /// What libvirt said last on this thread: to be read right after the call that failed.
    static func last(_ doing: String) -> HypervisorError {
        guard let error = virGetLastError() else { return HypervisorError(.failed, "\(doing): no reason given") }
        let number = virErrorNumber(UInt32(bitPattern: error.pointee.code))
        let domain = virErrorDomain(UInt32(bitPattern: error.pointee.domain))
        let message = error.pointee.message.map { String(cString: $0) } ?? "no reason given"
        return HypervisorError(code(number, domain, message), "\(doing): \(message)")
    }

    private static func code(_ number: virErrorNumber, _ domain: virErrorDomain, _ message: String) -> Code {
        switch number {
        case VIR_ERR_NO_DOMAIN, VIR_ERR_NO_STORAGE_VOL, VIR_ERR_NO_STORAGE_POOL: .notFound
        case VIR_ERR_DOM_EXIST: .conflict
        case VIR_ERR_OPERATION_INVALID: .invalidState
        case VIR_ERR_NO_MEMORY: .exhausted
        case VIR_ERR_NO_SUPPORT, VIR_ERR_CONFIG_UNSUPPORTED, VIR_ERR_OPERATION_UNSUPPORTED,
            VIR_ERR_ARGUMENT_UNSUPPORTED:
            .unsupported
        case VIR_ERR_OPERATION_ABORTED: .aborted
        case VIR_ERR_NO_CONNECT, VIR_ERR_INVALID_CONN, VIR_ERR_AUTH_FAILED: .unreachable
        case VIR_ERR_SYSTEM_ERROR, VIR_ERR_INTERNAL_ERROR, VIR_ERR_RPC:
            // The client side of the connection reports its end under these numbers.
            domain == VIR_FROM_RPC || domain == VIR_FROM_REMOTE ? .unreachable : .failed
        default: .failed
        }
    }
}
