import HTTP1
import Testing

/// However the octets arrive, and whatever they are, a parser says the same and stays inside its memory.
@Suite struct ArrivalTests {
    static let requests: [String] = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\nPOST /path?a=b HTTP/1.1\r\nHost: a.test:80\r\nContent-Length: 5\r\nConnection: x-a\r\nX-A: 1\r\n\r\nhello",
        "PUT http://h/x HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\nExpect: 100-continue\r\n"
            + "\r\n",
        "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nEmpty:\t \r\n\r\n",
        "GET / HTTP/1.0\r\nAuthorization: Bearer abcdefghijklmnop\tqrst\r\nX-API-Key: k\r\nX-Request-ID: 7\r\n\r\n",
    ]
    static let badRequests: [String] = [
        "GET / HTTP/1.1\r\nHost: a\r\nFoo : b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nno colon here\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\nFoo: b\r\n\r\n", "GET / HTTP/3.1\r\nHost: a\r\n\r\n", "GET /\r\n\r\n",
        "GET / HTTP/1\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 2\r\n\r\n",
        "GET /\u{7f} HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nA: b\u{1}\r\n\r\n", "GET / HTTP/1.1 \r\n\r\n",
    ]
    static let responses: [String] = [
        "HTTP/1.1 200 OK\r\nContent-Length : 5\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\nhello",
        "HTTP/1.0 302 Found\r\nLocation: /x\r\nConnection: keep-alive\r\n\r\n", "HTTP/1.1 200\r\nX:\ty\t z \r\n\r\n",
        "HTTP/1.1 200 OK\r\nFoo bar: b\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nA\r\n\r\n",
    ]

    @Test("a request in two pieces, wherever it is cut", arguments: requests + badRequests)
    func requestCut(text: String) {
        let octets = Array(text.utf8)
        let whole = parseRequest(octets)
        #expect(whole != .incomplete)
        for cut in 0...octets.count { #expect(parseRequest(octets, arrivals: [cut]) == whole, "cut at \(cut)") }
        #expect(parseRequest(octets, arrivals: Array(0..<octets.count)) == whole, "one octet at a time")
    }

    @Test("a response in two pieces, wherever it is cut", arguments: responses)
    func responseCut(text: String) {
        let octets = Array(text.utf8)
        let whole = parseResponse(octets)
        #expect(whole != .incomplete)
        for cut in 0...octets.count { #expect(parseResponse(octets, arrivals: [cut]) == whole, "cut at \(cut)") }
        #expect(parseResponse(octets, arrivals: Array(0..<octets.count)) == whole, "one octet at a time")
    }

    @Test("every shorter part of a good request is incomplete", arguments: requests)
    func prefixes(text: String) throws {
        let octets = Array(text.utf8)
        let length = try #require(parseRequest(octets).message?.length)
        for count in 0..<length { #expect(parseRequest(Array(octets[..<count])) == .incomplete, "\(count) octets") }
        #expect(parseRequest(Array(octets[..<length])) == parseRequest(octets))
    }

    @Test("limits hold at the same octet however the head arrives")
    func limits() {
        let limits = HeadLimits(requestLine: 40, head: 64, fields: 3)
        for filler in 0..<80 {
            let target = String(repeating: "t", count: filler / 2)
            let value = String(repeating: "v", count: filler)
            for text in [
                "GET /\(target) HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX: \(value)\r\n\r\n",
            ] {
                let octets = Array(text.utf8)
                let whole = parseRequest(octets, limits: limits)
                #expect(whole != .incomplete)
                #expect(parseRequest(octets, arrivals: Array(0..<octets.count), limits: limits) == whole)
                #expect((whole.message == nil) == (octets.count > 64 || filler / 2 + 16 > 40))
            }
        }
    }

    @Test("a head that arrives octet by octet is not read over and over")
    func slowHead() {
        // Reading all from the start each time would be 80 thousand million octets.
        let octets = Array("GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "a", count: 400_000))\r\n\r\n".utf8)
        var head = RequestHead(limits: HeadLimits(head: HeadLimits.ceiling))
        octets.withUnsafeBytes { buffer in
            let clock = ContinuousClock()
            let took = clock.measure {
                for count in 1..<buffer.count {
                    guard head.parse(UnsafeRawBufferPointer(rebasing: buffer[..<count])) == .incomplete else {
                        Issue.record("not incomplete at \(count)")
                        return
                    }
                }
            }
            #expect(head.parse(buffer) == .complete(length: buffer.count))
            #expect(took < .seconds(2))
        }
    }

    @Test("random damage never breaks a parser, and never depends on arrival", arguments: 0..<64)
    func damage(seed: Int) {
        var generator = TestGenerator(seed: UInt64(seed))
        let interesting = Array("\r\n\t :,;\"%#?/\0\u{7f}=0aA".utf8) + [0x80, 0xFF]
        for _ in 0..<200 {
            let isRequest = Bool.random(using: &generator)
            let base = isRequest ? Self.requests : Self.responses
            var octets = Array(base.randomElement(using: &generator).unsafelyUnwrapped.utf8)
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let place = Int.random(in: 0..<octets.count, using: &generator)
                let octet = interesting.randomElement(using: &generator).unsafelyUnwrapped
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: octets[place] = octet
                case 1: octets.insert(octet, at: place)
                case 2 where octets.count > 1: octets.remove(at: place)
                default:
                    let end = Int.random(in: place...octets.count, using: &generator)
                    octets.insert(contentsOf: octets[place..<end], at: place)
                }
            }
            // A fault may be told as late as the end of its line, so all lines get one.
            octets += Array("\r\n\r\n".utf8)
            let arrivals = (0..<3).map { _ in Int.random(in: 0...octets.count, using: &generator) }.sorted()
            if isRequest {
                let whole = parseRequest(octets)
                #expect(parseRequest(octets, arrivals: arrivals) == whole)
                if let message = whole.message { checkRequest(message, octets) }
            } else {
                #expect(parseResponse(octets, arrivals: arrivals) == parseResponse(octets))
            }
        }
    }

    /// What holds for every accepted request, however odd.
    private func checkRequest(_ message: ParsedRequest, _ octets: [UInt8]) {
        #expect(message.length <= octets.count)
        #expect(octets[..<message.length].suffix(4) == Array("\r\n\r\n".utf8)[...] || message.fields.isEmpty)
        let head = octets[..<message.length]
        for (index, octet) in head.enumerated() where octet == 0x0A { #expect(index > 0 && head[index - 1] == 0x0D) }
        #expect(message.fields.filter { $0.known == .host }.count <= 1)
        let codings = message.fields.contains { $0.name.lowercased() == "transfer-encoding" }
        let lengths = message.fields.contains { $0.name.lowercased() == "content-length" }
        #expect(!(codings && lengths))
        #expect(codings == (message.body == .chunked))
    }

    @Test("one head value serves many messages")
    func reuse() {
        var head = RequestHead()
        let texts = Self.requests + Self.badRequests + ["GET / HTTP/1.0\r\n\r\n"]
        // Each message after each other one: nothing of the first may be left in the second.
        for first in texts {
            for second in texts {
                head.reset()
                _ = parse(Array(first.utf8), with: &head)
                head.reset()
                #expect(parse(Array(second.utf8), with: &head) == parseRequest(second), "\(second) after \(first)")
            }
        }
    }
}
