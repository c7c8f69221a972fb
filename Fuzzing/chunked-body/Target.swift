/// A body in chunks: read at once and in pieces it is the same, and its payload is what it says.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = UnsafeRawBufferPointer(start: start, count: count)
    var reader = BodyReader(.chunked)
    let progress = reader.read(input)
    precondition(progress.consumed >= 0 && progress.consumed <= count)
    precondition(progress.isComplete || progress.fault != nil || progress.consumed == count)
    precondition(!(progress.isComplete && progress.fault != nil))
    checkPieces(input, progress, payload: reader.payloadCount)
    checkEvents(input, progress, payload: reader.payloadCount)
    return 0
}

private func checkPieces(_ input: UnsafeRawBufferPointer, _ expected: BodyReader.Progress, payload: UInt64) {
    for step in [1, 7] {
        var reader = BodyReader(.chunked)
        var consumed = 0
        while consumed < input.count {
            let piece = input[consumed..<min(consumed + step, input.count)]
            let progress = reader.read(UnsafeRawBufferPointer(rebasing: piece))
            consumed += progress.consumed
            if let fault = progress.fault {
                precondition(fault == expected.fault, "in pieces: \(fault), at once: \(expected)")
                return
            }
            if progress.isComplete { break }
        }
        precondition(expected.fault == nil, "in pieces there is no fault, at once: \(expected)")
        precondition(consumed == expected.consumed && reader.isComplete == expected.isComplete)
        precondition(reader.payloadCount == payload)
    }
}

/// What is taken out of the framing lies within the octets, in order, and is as much as was counted.
private func checkEvents(_ input: UnsafeRawBufferPointer, _ expected: BodyReader.Progress, payload: UInt64) {
    var decoder = ChunkedDecoder()
    var offset = 0
    var end = 0
    var total: UInt64 = 0
    while case .payload(let start, let count) = decoder.next(in: input, from: &offset) {
        precondition(start >= end && count > 0 && start + count <= input.count)
        end = start + count
        total += UInt64(count)
    }
    if expected.fault == nil { precondition(total == payload, "\(total) octets of payload, \(payload) were counted") }
}
