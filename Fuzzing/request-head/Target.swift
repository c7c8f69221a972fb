/// A request's head: read at once and in pieces it is the same, and what is passed on is read by everybody as we read it.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = UnsafeRawBufferPointer(start: start, count: count)
    var head = RequestHead()
    let outcome = head.parse(input)
    checkPieces(input, outcome)
    guard case .complete(let length) = outcome else { return 0 }
    precondition(length > 0 && length <= count, "a head ends within its octets")
    let address: StaticString = "192.0.2.1"
    var forwarding = RequestForwarding(
        clientAddress: UnsafeRawBufferPointer(start: address.utf8Start, count: address.utf8CodeUnitCount),
        requestID: UnsafeRawBufferPointer(start: address.utf8Start, count: address.utf8CodeUnitCount))
    let fallback: StaticString = "fallback"
    forwarding.fallbackHost = UnsafeRawBufferPointer(start: fallback.utf8Start, count: fallback.utf8CodeUnitCount)
    forwarding.forwardsUpgrade = true
    let whole = UnsafeRawBufferPointer(rebasing: input[..<length])
    withUnsafeTemporaryAllocation(byteCount: length + 2_048, alignment: 1) { output in
        guard let written = head.write(forwarding, from: whole, to: output) else {
            fatalError("a head of \(length) octets does not fit into what its documentation says")
        }
        checkForwarded(UnsafeRawBufferPointer(rebasing: output[..<written]), head)
    }
    return 0
}

/// The outcome does not depend on how the octets arrive, but that a fault may be told only when its line has ended.
private func checkPieces(_ input: UnsafeRawBufferPointer, _ expected: HeadOutcome) {
    var head = RequestHead()
    var outcome = HeadOutcome.incomplete
    for end in [input.count / 3, input.count * 2 / 3, input.count] where outcome == .incomplete {
        outcome = head.parse(UnsafeRawBufferPointer(rebasing: input[..<end]))
    }
    guard case .malformed = expected else {
        precondition(outcome == expected, "in pieces: \(outcome), at once: \(expected)")
        return
    }
    if outcome == .incomplete {
        (Array(input) + [0x0A]).withUnsafeBytes { outcome = head.parse($0) }
    }
    guard case .malformed = outcome else { fatalError("in pieces: \(outcome), at once: \(expected)") }
}

private func checkForwarded(_ output: UnsafeRawBufferPointer, _ original: borrowing RequestHead) {
    var head = RequestHead(limits: HeadLimits(requestLine: 64 << 10, head: 64 << 10, fields: 200))
    let outcome = head.parse(output)
    precondition(outcome == .complete(length: output.count), "what is passed on is one whole head, not \(outcome)")
    precondition(head.method == original.method && head.version == .http11)
    precondition(head.body == original.body, "framing: \(head.body) instead of \(original.body)")
    precondition(!head.isAbsoluteForm && head.authority != nil)
    precondition(!head.fields.contains(.xAPIKey) && !head.fields.isRepeated(.host))
}
