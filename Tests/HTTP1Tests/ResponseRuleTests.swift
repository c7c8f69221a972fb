import HTTP1
import Testing

/// The same rules for the responses of upstream servers.
@Suite struct ResponseRuleTests {
    struct Refusal: Sendable, CustomTestStringConvertible {
        var text: String
        var fault: MessageFault
        var testDescription: String { text.debugDescription }

        init(_ text: String, _ fault: MessageFault) {
            self.text = text
            self.fault = fault
        }
    }

    @Test("a plain response is taken apart")
    func plain() throws {
        let text = "HTTP/1.1 404 Not Found\r\nContent-Length: 12\r\nServer:  x\r\n\r\n"
        let parsed = try #require(parseResponse(text).message)
        #expect(parsed.status == 404 && parsed.reason == "Not Found" && parsed.version == .http11)
        #expect(parsed.body == .length(12) && parsed.keepsAlive && parsed.length == text.utf8.count)
        #expect(parseResponse("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n").message?.reason == "")
        #expect(parseResponse("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n").message?.body == .length(0))
    }

    @Test("1: white space before the colon is removed")
    func spaceBeforeColon() throws {
        let parsed = try #require(parseResponse(response("Content-Length \t: 5", "Foo : bar")).message)
        #expect(parsed.body == .length(5))
        #expect(parsed.fields.map(\.name) == ["Content-Length", "Foo"])
        #expect(parseResponse(response("Foo bar: x")).fault == .whitespaceBeforeColon)
    }

    @Test(
        "2, 4 to 7: broken lines",
        arguments: [
            Refusal(response("Foo: a\r\n b"), .lineFolding),
            Refusal(response(" Foo: a"), .lineFolding),
            Refusal(response("Foo: a\rb"), .bareCarriageReturn),
            Refusal(response("Foo: a\nBar: b"), .bareLineFeed),
            Refusal("HTTP/1.1 200 OK\nFoo: a\r\n\r\n", .bareLineFeed),
            Refusal("HTTP/1.1 200 OK\rFoo: a\r\n\r\n", .bareCarriageReturn),
            Refusal(response("Foo: a\u{0}b"), .controlInValue),
            Refusal("HTTP/1.1 200 O\u{0}K\r\n\r\n", .controlInValue),
            Refusal(response(": a"), .emptyFieldName),
            Refusal(response("F{oo}: a"), .invalidFieldName),
            Refusal(response("Foo"), .missingColon),
            Refusal(response(version: "HTTP/1"), .invalidStatusLine),
            Refusal(response(version: "HTTP/01.1"), .invalidStatusLine),
            Refusal(response(version: "HTTP/2.0"), .unsupportedVersion),
            Refusal(response(version: "ICY"), .invalidStatusLine),
            Refusal(response(status: "20 OK"), .invalidStatusLine),
            Refusal(response(status: "2000 OK"), .invalidStatusLine),
            Refusal(response(status: "099 OK"), .invalidStatusLine),
            Refusal(response(status: "2x0 OK"), .invalidStatusLine),
            Refusal(response(status: " 200 OK"), .invalidStatusLine),
            Refusal("HTTP/1.1\r\n\r\n", .invalidStatusLine),
        ])
    func brokenLines(refusal: Refusal) {
        #expect(parseResponse(refusal.text).fault == refusal.fault)
    }

    @Test(
        "8 to 13: broken framing",
        arguments: [
            Refusal(response("Content-Length: +5"), .invalidContentLength),
            Refusal(response("Content-Length: 5", "Content-Length: 6"), .conflictingContentLength),
            Refusal(response("Content-Length: 9223372036854775808"), .contentLengthTooLarge),
            Refusal(response("Transfer-Encoding: gzip"), .chunkedNotLast),
            Refusal(response("Transfer-Encoding: gzip, chunked"), .unsupportedTransferCoding),
            Refusal(response("Transfer-Encoding: foo"), .unsupportedTransferCoding),
            Refusal(response("Transfer-Encoding: chunked, chunked"), .chunkedNotLast),
            Refusal(response("Transfer-Encoding:"), .invalidTransferEncoding),
            Refusal(response("Transfer-Encoding: chunked", "Content-Length: 5"), .transferEncodingWithContentLength),
            Refusal(response("Transfer-Encoding: chunked", version: "HTTP/1.0"), .transferEncodingInHTTP10),
        ])
    func brokenFraming(refusal: Refusal) {
        #expect(parseResponse(refusal.text).fault == refusal.fault)
    }

    @Test("15: without length or chunks the connection ends the body, and is not used again")
    func untilClose() throws {
        let parsed = try #require(parseResponse(response("Foo: a")).message)
        #expect(parsed.body == .untilClose && !parsed.keepsAlive)
    }

    @Test("18: a switch of protocols")
    func switching() throws {
        let text = response("Connection: Upgrade", "Upgrade: websocket", status: "101 Switching Protocols")
        let parsed = try #require(parseResponse(text).message)
        #expect(parsed.upgradeProtocol == "websocket" && parsed.body == .none && !parsed.keepsAlive)
        let unnamed = try #require(parseResponse(response(status: "101 X")).message)
        #expect(unnamed.upgradeProtocol == nil)
    }

    @Test(
        "19: responses without body",
        arguments: [
            ("200 OK", RequestMethod.head), ("204 No Content", .get), ("304 Not Modified", .get),
            ("100 Continue", .post), ("103 Early Hints", .get),
        ])
    func noBody(status: String, method: RequestMethod) throws {
        let plain = try #require(parseResponse(response(status: status), answering: method).message)
        #expect(plain.body == .none && plain.keepsAlive)
        let sized = response("Content-Length: 5", status: status)
        #expect(parseResponse(sized, answering: method).message?.body == BodyFraming.none)
        let chunked = response("Transfer-Encoding: chunked", status: status)
        #expect(parseResponse(chunked, answering: method).message?.body == BodyFraming.none)
    }

    @Test("19: a server that frames a body where there is none is not read on")
    func suspiciousServer() {
        #expect(parseResponse(response("Content-Length: 5", status: "204 X")).message?.keepsAlive == false)
        #expect(parseResponse(response("Transfer-Encoding: chunked", status: "204 X")).message?.keepsAlive == false)
        #expect(parseResponse(response("Content-Length: 0", status: "204 X")).message?.keepsAlive == true)
    }

    @Test("connection persistence")
    func persistence() {
        func keepsAlive(_ line: String, _ version: String) -> Bool? {
            parseResponse(response("Content-Length: 1", line, version: version)).message?.keepsAlive
        }
        #expect(keepsAlive("X: a", "HTTP/1.1") == true)
        #expect(keepsAlive("Connection: close", "HTTP/1.1") == false)
        #expect(keepsAlive("X: a", "HTTP/1.0") == false)
        #expect(keepsAlive("Connection: keep-alive", "HTTP/1.0") == true)
    }

    @Test("20: a large head")
    func sizes() {
        let large = response("X: " + String(repeating: "a", count: 33_000))
        #expect(parseResponse(large).fault == .headTooLarge)
        let many = String(repeating: "X: a\r\n", count: 100)
        #expect(parseResponse(response(many + "Y: b")).fault == .tooManyFields)
    }
}
