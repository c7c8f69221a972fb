/// A response's head: read at once and in pieces it is the same, and the client is told the framing that we go by.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let start, count > 0 else { return 0 }
    // The first octet says what is answered: method, and the client's version.
    let method: RequestMethod = start[0] & 1 == 0 ? .get : .head
    let version: HTTPVersion = start[0] & 2 == 0 ? .http11 : .http10
    let input = UnsafeRawBufferPointer(start: start + 1, count: count - 1)
    var head = ResponseHead()
    let outcome = head.parse(input, answering: method)
    checkPieces(input, method, outcome)
    guard case .complete(let length) = outcome else { return 0 }
    precondition(length > 0 && length <= input.count, "a head ends within its octets")
    let forwarding = ResponseForwarding(requestVersion: version, requestMethod: method, keepsAlive: true)
    let whole = UnsafeRawBufferPointer(rebasing: input[..<length])
    withUnsafeTemporaryAllocation(byteCount: length + 1_024, alignment: 1) { output in
        guard let written = head.write(forwarding, from: whole, to: output) else {
            fatalError("a head of \(length) octets does not fit into what its documentation says")
        }
        checkForwarded(UnsafeRawBufferPointer(rebasing: output[..<written]), head, forwarding)
    }
    return 0
}

/// The outcome does not depend on how the octets arrive, but that a fault may be told only when its line has ended.
private func checkPieces(_ input: UnsafeRawBufferPointer, _ method: RequestMethod, _ expected: HeadOutcome) {
    var head = ResponseHead()
    var outcome = HeadOutcome.incomplete
    for end in [input.count / 3, input.count * 2 / 3, input.count] where outcome == .incomplete {
        outcome = head.parse(UnsafeRawBufferPointer(rebasing: input[..<end]), answering: method)
    }
    guard case .malformed = expected else {
        precondition(outcome == expected, "in pieces: \(outcome), at once: \(expected)")
        return
    }
    if outcome == .incomplete {
        (Array(input) + [0x0A]).withUnsafeBytes { outcome = head.parse($0, answering: method) }
    }
    guard case .malformed = outcome else { fatalError("in pieces: \(outcome), at once: \(expected)") }
}

private func checkForwarded(
    _ output: UnsafeRawBufferPointer, _ original: borrowing ResponseHead, _ forwarding: ResponseForwarding
) {
    var head = ResponseHead(limits: HeadLimits(requestLine: 64 << 10, head: 64 << 10, fields: 200))
    let outcome = head.parse(output, answering: forwarding.requestMethod)
    precondition(outcome == .complete(length: output.count), "what is passed on is one whole head, not \(outcome)")
    precondition(head.status == original.status)
    guard !original.isInterim, original.status != 101 else { return }
    let framing = original.clientFraming(forwarding)
    precondition(head.body == framing.body, "the client reads \(head.body) where \(framing.body) is sent")
    if forwarding.requestVersion == .http11 { precondition(head.keepsAlive == framing.keepsAlive) }
}
