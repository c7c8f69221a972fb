import CLibvirt
import CloudModel
import CloudPorts
import Glibc

/// One virtual server as libvirt holds it; the handle is given back at the end of its life.
final class LibvirtDomain {
    let handle: OpaquePointer

    /// Takes over a reference.
    init(owning handle: OpaquePointer) { self.handle = handle }
    deinit { virDomainFree(handle) }

    static func named(
        _ name: VirtualServerID, _ connection: OpaquePointer
    ) throws(HypervisorError) -> LibvirtDomain {
        guard let handle = virDomainLookupByName(connection, name.rawValue) else {
            throw .last("looking for \(name)")
        }
        return LibvirtDomain(owning: handle)
    }

    /// Nil where libvirt knows none of the name.
    static func ifAny(
        _ name: VirtualServerID, _ connection: OpaquePointer
    ) throws(HypervisorError) -> LibvirtDomain? {
        do { return try named(name, connection) } catch  where error.code == .notFound { return nil }
    }

    var name: VirtualServerID { VirtualServerID(virDomainGetName(handle).map { String(cString: $0) } ?? "") }

    var uuid: String {
        var text = [CChar](repeating: 0, count: Int(VIR_UUID_STRING_BUFLEN))
        guard virDomainGetUUIDString(handle, &text) == 0 else { return "" }
        return takeText(text)
    }

    func state(_ doing: String) throws(HypervisorError) -> virDomainState {
        var state: Int32 = 0
        guard virDomainGetState(handle, &state, nil, 0) == 0 else { throw .last(doing) }
        return virDomainState(UInt32(bitPattern: state))
    }

    func isActive(_ doing: String) throws(HypervisorError) -> Bool {
        let active = virDomainIsActive(handle)
        guard active >= 0 else { throw .last(doing) }
        return active == 1
    }

    func xml(_ flags: virDomainXMLFlags...) throws(HypervisorError) -> String {
        let bits = flags.reduce(UInt32(0)) { $0 | $1.rawValue }
        guard let text = virDomainGetXMLDesc(handle, bits) else { throw .last("reading the definition of \(name)") }
        defer { free(text) }
        return String(cString: text)
    }
}

func takeText(_ characters: [CChar]) -> String {
    String(decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// Parameters with names and types, as many of libvirt's calls take them.
struct TypedParameters: ~Copyable {
    private var list: virTypedParameterPtr?
    private var count: Int32 = 0
    private var capacity: Int32 = 0

    init() {}
    deinit { virTypedParamsFree(list, count) }

    mutating func add(_ name: String, unsigned value: UInt64) {
        virTypedParamsAddULLong(&list, &count, &capacity, name, value)
    }

    mutating func add(_ name: String, signed value: Int64) {
        virTypedParamsAddLLong(&list, &count, &capacity, name, value)
    }

    mutating func add(_ name: String, text: String) {
        virTypedParamsAddString(&list, &count, &capacity, name, text)
    }

    /// Passes them to a call. Its error is read before they are given back: that clears libvirt's last error.
    func pass(
        _ doing: String, to call: (virTypedParameterPtr?, Int32) throws(HypervisorError) -> Int32
    ) throws(HypervisorError) {
        guard try call(list, count) == 0 else { throw .last(doing) }
    }

    /// Reads any of libvirt's whole-number types.
    static func number(_ name: String, _ list: virTypedParameterPtr?, _ count: Int32) -> Int64? {
        guard let parameter = virTypedParamsGet(list, count, name) else { return nil }
        let value = parameter.pointee.value
        return switch virTypedParameterType(UInt32(bitPattern: parameter.pointee.type)) {
        case VIR_TYPED_PARAM_INT: Int64(value.i)
        case VIR_TYPED_PARAM_UINT: Int64(value.ui)
        case VIR_TYPED_PARAM_LLONG: Int64(value.l)
        case VIR_TYPED_PARAM_ULLONG: Int64(clamping: value.ul)
        default: nil
        }
    }
}

extension ActionFence {
    /// A call that changes something at the host, and may take long once it has been sent; it is given the epoch that
    /// it is sent under. Throws `notPermitted` where nothing was sent.
    func send<Value>(_ call: (Int64?) throws(HypervisorError) -> Value) throws(HypervisorError) -> Value {
        let value = try perform { epoch throws(HypervisorError) in try call(epoch) }
        guard let value else {
            throw HypervisorError(.notPermitted, "nothing was sent: the platform's lease does not last long enough")
        }
        return value
    }
}
