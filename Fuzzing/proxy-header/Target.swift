import CloudModel

/// The header of the PROXY protocol: at once and in pieces, and written again.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = UnsafeRawBufferPointer(start: start, count: count)
    let outcome = ProxyHeader.parse(input)
    switch outcome {
    case .incomplete:
        precondition(count < ProxyHeader.maximumLength, "a header that never ends would hold its connection")
        checkPieces(input, upTo: count)
    case .malformed: checkPieces(input, upTo: count)
    case .complete(let length, let source):
        precondition(length > 0 && length <= count && length <= ProxyHeader.maximumLength)
        checkPieces(input, upTo: length - 1)
        precondition(ProxyHeader.parse(UnsafeRawBufferPointer(rebasing: input[..<length])) == outcome)
        if let source { checkWritten(source) }
    }
    return 0
}

/// No beginning of a header is a header already: else what is passed on would depend on how the octets arrive. What was
/// malformed stays so with more octets.
private func checkPieces(_ input: UnsafeRawBufferPointer, upTo end: Int) {
    var isMalformed = false
    for length in stride(from: 0, through: max(end, 0), by: 1) {
        switch ProxyHeader.parse(UnsafeRawBufferPointer(rebasing: input[..<length])) {
        case .incomplete: precondition(!isMalformed, "malformed octets became a beginning")
        case .malformed: isMalformed = true
        case .complete: preconditionFailure("a header ends in two places")
        }
    }
    let whole = ProxyHeader.parse(input)
    if isMalformed { precondition(whole == .malformed, "malformed octets became a header") }
}

/// Who was read is who an instance is told of, in both versions.
private func checkWritten(_ source: ProxyHeader.Peer) {
    for version in ProxyProtocol.allCases {
        withUnsafeTemporaryAllocation(byteCount: ProxyHeader.maximumWritten, alignment: 1) { buffer in
            let count = ProxyHeader.write(version, source: source, destination: source, to: buffer)
            precondition(count <= ProxyHeader.maximumWritten)
            let again = ProxyHeader.parse(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<count]))
            precondition(again == .complete(length: count, source: source), "another source was written")
        }
    }
}
