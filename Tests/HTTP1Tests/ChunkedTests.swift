import HTTP1
import Testing

/// What a reader made of a body.
private struct Reading: Equatable {
    var payload: [UInt8] = []
    var consumed = 0
    var isComplete = false
    var fault: MessageFault?
}

/// Reads `octets` in pieces that end at `cuts`; like a loop, it gives no octet twice.
private func read(_ octets: [UInt8], framing: BodyFraming = .chunked, cuts: [Int] = []) -> Reading {
    var reader = BodyReader(framing)
    var reading = Reading()
    for end in cuts + [octets.count] {
        guard end > reading.consumed else { continue }
        let piece = Array(octets[reading.consumed..<end])
        let finished = withExactMemory(piece) { buffer in
            var offset = 0
            while true {
                let before = offset
                let event = reader.next(in: buffer, from: &offset)
                #expect(offset >= before && offset <= buffer.count)
                switch event {
                case .payload(let start, let count):
                    #expect(start >= before && start + count == offset && count > 0)
                    reading.payload += piece[start..<(start + count)]
                case .needsMore:
                    #expect(offset == buffer.count)
                    reading.consumed += offset
                    return false
                case .complete:
                    reading.consumed += offset
                    reading.isComplete = true
                    return true
                case .malformed(let fault):
                    reading.consumed += offset
                    reading.fault = fault
                    return true
                }
            }
        }
        if finished { break }
    }
    #expect(reader.payloadCount == UInt64(reading.payload.count))
    #expect(reader.isComplete == reading.isComplete)
    return reading
}

private func read(_ text: String) -> Reading { read(Array(text.utf8)) }

@Suite struct ChunkedTests {
    @Test("a body ends where it ends, and the next message begins there")
    func plain() {
        let text = "5\r\nhello\r\n1A;name=value\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nX-Sum: 1\r\n\r\n"
        let reading = read(text + "GET / HTTP/1.1\r\n")
        #expect(String(decoding: reading.payload, as: UTF8.self) == "helloabcdefghijklmnopqrstuvwxyz")
        #expect(reading.isComplete && reading.consumed == text.utf8.count)
    }

    @Test(
        "14: good framing",
        arguments: [
            "0\r\n\r\n", "00\r\n\r\n", "1\r\na\r\n0\r\n\r\n", "a\r\n0123456789\r\n0\r\n\r\n",
            "A\r\n0123456789\r\n0\r\n\r\n",
            "1;a\r\nx\r\n0;b=c\r\n\r\n", "1;a=\"q\\\"; \t\"\r\nx\r\n0\r\n\r\n", "1 ;a\r\nx\r\n0\r\n\r\n",
            "1;a;b=c\r\nx\r\n0\r\n\r\n",
            "0\r\nA: b\r\nC:\r\n\r\n",
        ])
    func good(text: String) {
        let reading = read(text)
        #expect(reading.isComplete && reading.consumed == text.utf8.count)
    }

    @Test(
        "14: broken framing",
        arguments: [
            ("\r\n", MessageFault.invalidChunkSize), ("g\r\n", .invalidChunkSize), ("0x5\r\n", .invalidChunkSize),
            (" 5\r\n", .invalidChunkSize), ("+5\r\n", .invalidChunkSize), ("-5\r\n", .invalidChunkSize),
            ("5_0\r\n", .invalidChunkSize), ("5\n", .invalidChunkSize), (";a\r\n", .invalidChunkSize),
            ("5\rx", .missingChunkLineEnd), ("5 \r\n", .invalidChunkExtension), ("5 5\r\n", .invalidChunkExtension),
            ("5;\r\n", .invalidChunkExtension), ("5; a\r\n", .invalidChunkExtension),
            ("5;a b\r\n", .invalidChunkExtension),
            ("5;a=\r\n", .invalidChunkExtension), ("5;a\n", .invalidChunkExtension),
            ("5;a=\"b\n", .invalidChunkExtension),
            ("5;a=\"b\"c\r\n", .invalidChunkExtension), ("5;a=\"\\\u{0}\"\r\n", .invalidChunkExtension),
            ("1\r\nab", .missingChunkLineEnd), ("1\r\na\n", .missingChunkLineEnd), ("1\r\na\rb", .missingChunkLineEnd),
            ("0\r\nA: b\n", .bareLineFeed), ("0\r\n\n", .bareLineFeed), ("0\r\nA: b\r\r\n", .bareCarriageReturn),
            ("0\r\nA: b\r\n c\r\n", .lineFolding), ("0\r\nA : b\r\n", .whitespaceBeforeColon),
            ("0\r\nA\r\n", .missingColon),
            ("0\r\n: b\r\n", .emptyFieldName), ("0\r\n(: b\r\n", .invalidFieldName),
            ("0\r\nA: \u{0}\r\n", .controlInValue),
            ("0\r\n\rx", .missingChunkLineEnd),
        ])
    func broken(text: String, fault: MessageFault) {
        let reading = read(text)
        #expect(reading.fault == fault && !reading.isComplete)
    }

    @Test(
        "14: trailers that must come in the head",
        arguments: [
            "Content-Length", "TRANSFER-ENCODING", "host", "Authorization", "X-API-Key", "te", "Connection",
            "Set-Cookie",
            "Proxy-Authorization", "X-Forwarded-For", "Trailer",
        ])
    func forbiddenTrailer(name: String) {
        #expect(read("0\r\n\(name): 1\r\n\r\n").fault == .forbiddenTrailer)
        #expect(read("0\r\n\(name)x: 1\r\n\r\n").isComplete)
        #expect(read("0\r\nx\(name): 1\r\n\r\n").isComplete)
        #expect(read("0\r\n!\(name.dropFirst()): 1\r\n\r\n").isComplete)
    }

    @Test("9: sizes that cannot be counted")
    func sizeOverflow() {
        #expect(read("7fffffffffffffff\r\n").fault == .chunkSizeTooLarge)
        #expect(read("10000000000000000\r\n").fault == .chunkSizeTooLarge)
        #expect(read("100000000000000005\r\nhello").fault == .chunkSizeTooLarge)
        #expect(read("0000000000000000\r\n").fault == .chunkSizeTooLarge)
        let large = read("fffffffffffffff\r\nabc")
        #expect(large.fault == nil && large.payload.count == 3)
    }

    @Test("14: extensions and trailers are bounded")
    func bounds() {
        let name = String(repeating: "a", count: 1000)
        #expect(read("1;\(name)\r\nx\r\n0\r\n\r\n").isComplete)
        #expect(read(String(repeating: "1;\(name)\r\nx\r\n", count: 5)).fault == .chunkExtensionsTooLong)
        #expect(read("1" + String(repeating: " ", count: 5000) + ";a\r\n").fault == .chunkExtensionsTooLong)
        #expect(read("0\r\n" + String(repeating: "A: \(name)\r\n", count: 9) + "\r\n").fault == .trailersTooLarge)
        #expect(read("0\r\n" + String(repeating: "A: \(name)\r\n", count: 8) + "\r\n").isComplete)
    }

    @Test("15: a short body is never complete")
    func short() {
        let octets = Array("5\r\nhello\r\n0\r\nA: b\r\n\r\n".utf8)
        for count in 0..<octets.count {
            let reading = read(Array(octets[..<count]))
            #expect(!reading.isComplete && reading.fault == nil, "\(count) octets")
        }
        #expect(!read(Array("1234".utf8), framing: .length(5)).isComplete)
    }

    @Test("other framings")
    func otherFramings() {
        let octets = Array("hello, next".utf8)
        let sized = read(octets, framing: .length(5))
        #expect(sized.isComplete && sized.consumed == 5 && sized.payload == Array("hello".utf8))
        let none = read(octets, framing: .none)
        #expect(none.isComplete && none.consumed == 0)
        let open = read(octets, framing: .untilClose)
        #expect(!open.isComplete && open.consumed == octets.count)
        #expect(read(octets, framing: .length(5), cuts: [2, 4, 6]).isComplete)
        var reader = BodyReader(.length(5))
        let progress = octets.withUnsafeBytes { reader.read($0) }
        #expect(progress == BodyReader.Progress(consumed: 5, isComplete: true, fault: nil))
    }

    @Test("what was written is read back, in any pieces", arguments: 0..<32)
    func roundTrip(seed: Int) throws {
        var generator = TestGenerator(seed: UInt64(seed))
        for _ in 0..<20 {
            var payload: [UInt8] = []
            var octets: [UInt8] = []
            for _ in 0..<Int.random(in: 0...5, using: &generator) {
                let chunk = (0..<Int.random(in: 1...300, using: &generator)).map { _ in
                    UInt8.random(in: .min ... .max, using: &generator)
                }
                payload += chunk
                octets += written { writer in
                    writer.appendChunkSize(chunk.count)
                    chunk.withUnsafeBytes { writer.append($0) }
                    writer.appendLineEnd()
                }
            }
            octets += written { $0.appendLastChunk() }
            let expected = Reading(payload: payload, consumed: octets.count, isComplete: true, fault: nil)
            #expect(read(octets) == expected)
            #expect(read(octets + Array("next".utf8), cuts: Array(1..<octets.count)) == expected)
            let cuts = (0..<4).map { _ in Int.random(in: 0...octets.count, using: &generator) }.sorted()
            #expect(read(octets, cuts: cuts) == expected)
        }
    }

    @Test("random damage: the same reading in any pieces, and never more than was given", arguments: 0..<64)
    func damage(seed: Int) {
        var generator = TestGenerator(seed: UInt64(seed) &+ 1000)
        let interesting = Array("\r\n\t ;=\"\\:0aFg\0".utf8) + [0xFF]
        let base = Array("5;a=\"b\"\r\nhello\r\n1a\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nX-Sum: 1\r\n\r\n".utf8)
        for _ in 0..<300 {
            var octets = base
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                let place = Int.random(in: 0..<octets.count, using: &generator)
                let octet = interesting.randomElement(using: &generator).unsafelyUnwrapped
                if Bool.random(using: &generator) { octets[place] = octet } else { octets.insert(octet, at: place) }
            }
            let whole = read(octets)
            #expect(whole.consumed <= octets.count)
            let cuts = (0..<3).map { _ in Int.random(in: 0...octets.count, using: &generator) }.sorted()
            #expect(read(octets, cuts: cuts) == whole)
            #expect(read(octets, cuts: Array(1..<octets.count)) == whole)
        }
    }
}

/// What `body` writes.
func written(_ body: (inout OctetWriter) -> Void) -> [UInt8] {
    withWritableMemory(4096) { memory in
        var writer = OctetWriter(memory)
        body(&writer)
        return Array(memory[..<(writer.written ?? 0)])
    }
}
