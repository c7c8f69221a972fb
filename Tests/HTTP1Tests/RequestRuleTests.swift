import HTTP1
import Testing

/// The rules of RFC 9112 and 9110 that a proxy lives by, as far as requests go.
@Suite struct RequestRuleTests {
    /// A request that must be refused, and why.
    struct Refusal: Sendable, CustomTestStringConvertible {
        var text: String
        var fault: MessageFault
        var testDescription: String { text.debugDescription }

        init(_ text: String, _ fault: MessageFault) {
            self.text = text
            self.fault = fault
        }
    }

    @Test("a plain request is taken apart")
    func plain() throws {
        let text = "GET /a/b?c=d HTTP/1.1\r\nHost: Example.test:8080\r\nUser-Agent:\tx y \t\r\nEmpty:\r\n\r\nrest"
        let parsed = try #require(parseRequest(text).message)
        #expect(parsed.length == text.utf8.count - 4)
        #expect(parsed.method == .get && parsed.methodText == "GET")
        #expect(parsed.target == "/a/b?c=d" && parsed.path == "/a/b" && parsed.pathAndQuery == "/a/b?c=d")
        #expect(parsed.host == "Example.test:8080" && parsed.hostName == "Example.test" && parsed.port == 8080)
        #expect(parsed.fields.map(\.name) == ["Host", "User-Agent", "Empty"])
        #expect(parsed.fields.map(\.value) == ["Example.test:8080", "x y", ""])
        #expect(parsed.fields.map(\.known) == [.host, .userAgent, .other])
        #expect(parsed.body == .none && parsed.keepsAlive && !parsed.expectsContinue)
    }

    @Test("1: white space before the colon", arguments: ["Foo : a", "Foo\t: a", "Host : a", "Content-Length : 5"])
    func spaceBeforeColon(line: String) {
        #expect(parseRequest(request(line)).fault == .whitespaceBeforeColon)
        #expect(MessageFault.whitespaceBeforeColon.status == 400)
    }

    @Test("2: obsolete line folding", arguments: ["Foo: a\r\n b", "Foo: a\r\n\tb", "Foo:\r\n chunked"])
    func lineFolding(line: String) {
        #expect(parseRequest(request(line)).fault == .lineFolding)
    }

    @Test(
        "3: missing, repeated, invalid Host",
        arguments: [
            Refusal("GET / HTTP/1.1\r\n\r\n", .missingHost),
            Refusal("GET http://a/ HTTP/1.1\r\n\r\n", .missingHost),
            Refusal("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", .repeatedHost),
            Refusal("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", .repeatedHost),
            Refusal("GET / HTTP/1.1\r\nHost:\r\n\r\n", .invalidHost),
            Refusal("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", .invalidHost),
            Refusal("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", .invalidHost),
            Refusal("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", .invalidHost),
            Refusal("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", .invalidHost),
            Refusal("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", .invalidHost),
            Refusal("GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", .invalidHost),
            Refusal("GET / HTTP/1.1\r\nHost: :80\r\n\r\n", .invalidHost),
            Refusal("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", .invalidHost),
            Refusal("GET / HTTP/1.1\r\nHost: [1]\r\n\r\n", .invalidHost),
            Refusal("GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", .invalidHost),
            Refusal("GET / HTTP/1.1\r\nHost: \u{e9}\r\n\r\n", .invalidHost),
        ])
    func invalidHost(refusal: Refusal) {
        #expect(parseRequest(refusal.text).fault == refusal.fault)
        #expect(refusal.fault.status == 400)
    }

    @Test(
        "3: good hosts",
        arguments: ["a", "a.b-c_d~e", "192.0.2.1:80", "[2001:db8::1]", "[::ffff:192.0.2.1]:8443", "a:"])
    func goodHost(host: String) {
        #expect(parseRequest("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n").message?.host == host)
    }

    @Test("3: HTTP/1.0 may have no Host")
    func noHostInHTTP10() throws {
        let parsed = try #require(parseRequest("GET / HTTP/1.0\r\n\r\n").message)
        #expect(parsed.host == nil)
    }

    @Test(
        "4, 20: line ends that are not CRLF",
        arguments: [
            Refusal("GET / HTTP/1.1\nHost: a\r\n\r\n", .bareLineFeed),
            Refusal("GET / HTTP/1.1\r\nHost: a\n\r\n", .bareLineFeed),
            Refusal("GET / HTTP/1.1\r\nHost: a\r\n\n", .bareLineFeed),
            Refusal("GET / HTTP/1.1\r\nHost: a\r\n\rx", .bareCarriageReturn),
            Refusal("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", .bareCarriageReturn),
            Refusal("GET / HTTP/1.1\rHost: a\r\n\r\n", .bareCarriageReturn),
            Refusal("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", .bareCarriageReturn),
            Refusal("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", .invalidMethod),
            Refusal("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", .bareCarriageReturn),
        ])
    func lineEnds(refusal: Refusal) {
        #expect(parseRequest(refusal.text).fault == refusal.fault)
    }

    @Test("5: controls in values", arguments: Array(0...8) + Array(11...12) + Array(14...31) + [127])
    func controls(octet: Int) {
        var octets = Array("GET / HTTP/1.1\r\nHost: a\r\nFoo: some text, then ".utf8)
        octets += [UInt8(octet)] + Array("x\r\n\r\n".utf8)
        #expect(parseRequest(octets).fault == .controlInValue)
    }

    @Test("5: tab and octets from 0x80 are allowed in values")
    func obsoleteText() throws {
        let octets = Array("GET / HTTP/1.1\r\nHost: a\r\nFoo: a\tb".utf8) + [0x80, 0xFF] + Array("\r\n\r\n".utf8)
        #expect(parseRequest(octets).message != nil)
    }

    @Test("6: white space before the first field")
    func spaceBeforeFirstField() {
        #expect(parseRequest("GET / HTTP/1.1\r\n Host: a\r\n\r\n").fault == .lineFolding)
        #expect(parseRequest("GET / HTTP/1.1\r\n\tX: a\r\nHost: a\r\n\r\n").fault == .lineFolding)
    }

    @Test(
        "7: names, colons, versions and request lines",
        arguments: [
            Refusal(request(": a"), .emptyFieldName),
            Refusal(request("Foo"), .missingColon),
            Refusal(request("Foo bar: a"), .whitespaceBeforeColon),
            Refusal(request("F(o): a"), .invalidFieldName),
            Refusal(request("Fo\"o: a"), .invalidFieldName),
            Refusal(request("F\u{0}oo: a"), .invalidFieldName),
            Refusal(request("Fo\u{e9}: a"), .invalidFieldName),
            Refusal(request(version: "HTTP/1"), .invalidRequestLine),
            Refusal(request(version: "HTTP/01.1"), .invalidRequestLine),
            Refusal(request(version: "HTTP/1.10"), .invalidRequestLine),
            Refusal(request(version: "HTTP/1.1 "), .invalidRequestLine),
            Refusal(request(version: "HTTP/1,1"), .invalidRequestLine),
            Refusal(request(version: "http/1.1"), .invalidRequestLine),
            Refusal(request(version: " HTTP/1.1"), .invalidRequestLine),
            Refusal(request(version: "HTTP/2.0"), .unsupportedVersion),
            Refusal("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", .unsupportedVersion),
            Refusal(request(version: "HTTP/0.9"), .unsupportedVersion),
            Refusal("GET /\r\n\r\n", .invalidRequestLine),
            Refusal("GET\r\n\r\n", .invalidRequestLine),
            Refusal("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", .invalidRequestLine),
            Refusal(" GET / HTTP/1.1\r\nHost: a\r\n\r\n", .invalidMethod),
            Refusal("GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", .invalidMethod),
            Refusal("G\u{0}T / HTTP/1.1\r\nHost: a\r\n\r\n", .invalidMethod),
            Refusal("\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}", .invalidMethod),
            Refusal(String(repeating: "A", count: 33) + " / HTTP/1.1\r\nHost: a\r\n\r\n", .invalidMethod),
            Refusal("GET /\t HTTP/1.1\r\nHost: a\r\n\r\n", .invalidTarget),
            Refusal("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", .invalidTarget),
            Refusal("GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", .invalidTarget),
            Refusal("GET /\u{7f} HTTP/1.1\r\nHost: a\r\n\r\n", .invalidTarget),
            Refusal("GET a HTTP/1.1\r\nHost: a\r\n\r\n", .invalidTarget),
            Refusal("GET * HTTP/1.1\r\nHost: a\r\n\r\n", .invalidTarget),
            Refusal("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", .connectNotSupported),
            Refusal(request("Connection: a b"), .invalidConnection),
            Refusal(request("Connection: \"close\""), .invalidConnection),
            Refusal(request("Expect: 200-ok", "Content-Length: 1"), .unknownExpectation),
        ])
    func syntax(refusal: Refusal) {
        #expect(parseRequest(refusal.text).fault == refusal.fault)
    }

    @Test("7: a higher minor version counts as 1.1, an empty line before the request is skipped")
    func lenient() {
        #expect(parseRequest(request(version: "HTTP/1.7")).message?.version == .http11)
        #expect(parseRequest("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").message?.methodText == "GET")
        #expect(parseRequest("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").fault == .invalidMethod)
    }

    @Test(
        "8: invalid Content-Length",
        arguments: [
            "+5", "-0", "-5", "0x5", "1_0", "", "5 5", "5,", ",5", "5.0", "5;a", "\u{663}", "a", "5,6", "5, 5, 6",
        ])
    func invalidLength(value: String) {
        let fault = parseRequest(request("Content-Length: \(value)")).fault
        #expect(fault == .invalidContentLength || fault == .conflictingContentLength)
        #expect(fault?.status == 400)
    }

    @Test("8: Content-Length more than once")
    func repeatedLength() {
        #expect(parseRequest(request("Content-Length: 5", "Content-Length: 6")).fault == .conflictingContentLength)
        #expect(parseRequest(request("Content-Length: 5", "Content-Length: 0")).fault == .conflictingContentLength)
        #expect(parseRequest(request("Content-Length: 0", "Content-Length: 5")).fault == .conflictingContentLength)
        #expect(parseRequest(request("Content-Length: 5", "Content-Length: 5")).message?.body == .length(5))
        #expect(parseRequest(request("Content-Length: 5, 05")).message?.body == .length(5))
        #expect(parseRequest(request("Content-Length: 0")).message?.body == BodyFraming.none)
    }

    @Test("9: Content-Length too large to be counted")
    func lengthOverflow() {
        let largest = "9223372036854775807"
        #expect(parseRequest(request("Content-Length: \(largest)")).message?.body == .length(UInt64(Int64.max)))
        for tooLarge in [
            "9223372036854775808", "18446744073709551616", "99999999999999999999999", "18446744073709551621",
        ] {
            #expect(parseRequest(request("Content-Length: \(tooLarge)")).fault == .contentLengthTooLarge)
        }
        #expect(MessageFault.contentLengthTooLarge.status == 413)
    }

    @Test(
        "10, 13: Transfer-Encoding that is not chunked alone",
        arguments: [
            Refusal(request("Transfer-Encoding: gzip"), .chunkedNotLast),
            Refusal(request("Transfer-Encoding: identity"), .chunkedNotLast),
            Refusal(request("Transfer-Encoding: chunked, gzip"), .chunkedNotLast),
            Refusal(request("Transfer-Encoding: chunked", "Transfer-Encoding: identity"), .chunkedNotLast),
            Refusal(request("Transfer-Encoding: gzip, chunked"), .unsupportedTransferCoding),
            Refusal(request("Transfer-Encoding: xchunked"), .unsupportedTransferCoding),
            Refusal(request("Transfer-Encoding: chunked, foo"), .unsupportedTransferCoding),
            Refusal(request("Transfer-Encoding: foo, chunked"), .unsupportedTransferCoding),
            Refusal(request("Transfer-Encoding: chunked, chunked"), .chunkedNotLast),
            Refusal(request("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), .chunkedNotLast),
            Refusal(request("Transfer-Encoding:"), .invalidTransferEncoding),
            Refusal(request("Transfer-Encoding: ,"), .invalidTransferEncoding),
            Refusal(request("Transfer-Encoding: chunked,"), .invalidTransferEncoding),
            Refusal(request("Transfer-Encoding: \"chunked\""), .invalidTransferEncoding),
            Refusal(request("Transfer-Encoding: chunked;a=b"), .invalidTransferEncoding),
            Refusal(request("Transfer-Encoding: chunked x"), .invalidTransferEncoding),
            Refusal(request("Transfer-Encoding: \u{b}chunked"), .controlInValue),
            Refusal(request("Transfer-Encoding: \u{c}chunked"), .controlInValue),
            Refusal(request("Transfer-Encoding: chunked\u{0}"), .controlInValue),
        ])
    func transferEncoding(refusal: Refusal) {
        #expect(parseRequest(refusal.text).fault == refusal.fault)
        #expect(refusal.fault.status == (refusal.fault == .unsupportedTransferCoding ? 501 : 400))
    }

    @Test("13: chunked in any case", arguments: ["chunked", "Chunked", "CHUNKED", "\tchunked ", "chunkeD"])
    func chunked(value: String) {
        #expect(parseRequest(request("Transfer-Encoding: \(value)")).message?.body == .chunked)
    }

    @Test("11: both framings", arguments: [["Content-Length: 5", "Transfer-Encoding: chunked"], []])
    func bothFramings(lines: [String]) {
        let text =
            lines.isEmpty
            ? request("transfer-encoding: chunked", "content-length: 0") : request(lines[0], lines[1])
        #expect(parseRequest(text).fault == .transferEncodingWithContentLength)
    }

    @Test("12: Transfer-Encoding in HTTP/1.0")
    func transferEncodingInHTTP10() {
        let text = request("Transfer-Encoding: chunked", version: "HTTP/1.0")
        #expect(parseRequest(text).fault == .transferEncodingInHTTP10)
    }

    @Test("16: the absolute form replaces Host")
    func absoluteForm() throws {
        let text = "GET HTTP://other.test:81/x?y HTTP/1.1\r\nHost: example.test\r\n\r\n"
        let parsed = try #require(parseRequest(text).message)
        #expect(parsed.isAbsoluteForm && parsed.host == "other.test:81" && parsed.hostName == "other.test")
        #expect(parsed.path == "/x" && parsed.pathAndQuery == "/x?y")
        let bare = try #require(parseRequest("GET https://b HTTP/1.1\r\nHost: a\r\n\r\n").message)
        #expect(bare.host == "b" && bare.path.isEmpty && bare.pathAndQuery.isEmpty)
        let query = try #require(parseRequest("GET http://b?q HTTP/1.1\r\nHost: a\r\n\r\n").message)
        #expect(query.path.isEmpty && query.pathAndQuery == "?q")
        for target in ["ftp://a/", "http:///x", "http://u@a/", "http://", "http:/a", "://a", "http://a b/"] {
            #expect(parseRequest("GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n").fault != nil, "\(target)")
        }
        #expect(parseRequest("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").message?.path == "*")
    }

    @Test("17: fields that Connection lists")
    func connectionListed() throws {
        let text = request("X-One: 1", "Connection: x-one, keep-alive,, Missing", "x-two: 2", "Connection: X-Two")
        let parsed = try #require(parseRequest(text).message)
        let listed = parsed.fields.filter(\.isConnectionListed).map(\.name)
        #expect(listed == ["X-One", "x-two"])
        let many = (0...32).map { "a\($0)" }.joined(separator: ",")
        #expect(parseRequest(request("Connection: \(many)")).fault == .tooManyConnectionOptions)
    }

    @Test(
        "connection persistence",
        arguments: [
            ("HTTP/1.1", "", true), ("HTTP/1.1", "close", false), ("HTTP/1.1", "Close, keep-alive", false),
            ("HTTP/1.0", "", false), ("HTTP/1.0", "Keep-Alive", true), ("HTTP/1.0", "keep-alive, close", false),
        ])
    func persistence(version: String, options: String, keepsAlive: Bool) {
        let text = request("Connection: \(options)", version: version)
        #expect(parseRequest(text).message?.keepsAlive == keepsAlive)
    }

    @Test("expectation, trailers, upgrade")
    func negotiation() throws {
        let waiting = try #require(parseRequest(request("Expect: 100-Continue", "Content-Length: 3")).message)
        #expect(waiting.expectsContinue)
        #expect(parseRequest(request("Expect: 100-continue")).message?.expectsContinue == false)
        let old = request("Expect: 100-continue", "Content-Length: 3", version: "HTTP/1.0")
        #expect(parseRequest(old).message?.expectsContinue == false)
        #expect(parseRequest(request("TE: gzip;q=0.5, Trailers")).message?.acceptsTrailers == true)
        #expect(parseRequest(request("TE: gzip")).message?.acceptsTrailers == false)
        let upgrade = try #require(parseRequest(request("Upgrade: WebSocket", "Connection: x, Upgrade")).message)
        #expect(upgrade.upgradeProtocol == "WebSocket" && upgrade.isWebSocketUpgrade)
        #expect(parseRequest(request("Upgrade: websocket")).message?.upgradeProtocol == nil)
        #expect(parseRequest(request("Upgrade: h2c", "Connection: upgrade")).message?.upgradeProtocol == nil)
        #expect(parseRequest(request("Upgrade: foo, h2c", "Connection: upgrade")).message?.upgradeProtocol == nil)
        let oldUpgrade = request("Upgrade: websocket", "Connection: upgrade", version: "HTTP/1.0")
        #expect(parseRequest(oldUpgrade).message?.upgradeProtocol == nil)
    }

    @Test("20: long request lines and large heads")
    func sizes() {
        func get(_ count: Int) -> String { "GET /\(String(repeating: "a", count: count)) HTTP/1.1\r\nHost: a\r\n\r\n" }
        #expect(parseRequest(get(8000)).message != nil)
        #expect(parseRequest(get(16 * 1024)).fault == .requestLineTooLong)
        #expect(parseRequest(get(40 * 1024)).fault == .requestLineTooLong)
        #expect(MessageFault.requestLineTooLong.status == 414)
        let large = request("X: " + String(repeating: "a", count: 32 * 1024))
        #expect(parseRequest(large).fault == .headTooLarge)
        let several = request(
            String(repeating: "X: " + String(repeating: "a", count: 1000) + "\r\n", count: 40) + "Y: b")
        #expect(parseRequest(several).fault == .headTooLarge)
        let many = String(repeating: "X: a\r\n", count: 98) + "Y: b"
        #expect(parseRequest(request(many)).message?.fields.count == 100)
        #expect(parseRequest(request(many, "Z: c")).fault == .tooManyFields)
        #expect(MessageFault.headTooLarge.status == 431 && MessageFault.tooManyFields.status == 431)
    }

    @Test("methods: safe and idempotent as RFC 9110 section 9.2 says")
    func methods() {
        let names: [(String, RequestMethod, Bool, Bool)] = [
            ("GET", .get, true, true), ("HEAD", .head, true, true), ("OPTIONS", .options, true, true),
            ("TRACE", .trace, true, true), ("PUT", .put, false, true), ("DELETE", .delete, false, true),
            ("POST", .post, false, false), ("PATCH", .patch, false, false), ("get", .other, false, false),
            ("PROPFIND", .other, false, false), ("M-SEARCH!", .other, false, false),
        ]
        for (name, method, isSafe, isIdempotent) in names {
            let parsed = parseRequest(request(method: name)).message
            #expect(parsed?.method == method && parsed?.methodText == name)
            #expect(method.isSafe == isSafe && method.isIdempotent == isIdempotent)
        }
    }

    @Test("paths that leave their prefix")
    func prefixes() {
        func leaves(_ path: String) -> Bool {
            withExactMemory(Array("GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n".utf8)) { buffer in
                var head = RequestHead()
                guard case .complete = head.parse(buffer) else { return false }
                return head.pathLeavesItsPrefix(in: buffer)
            }
        }
        for path in [
            "/a/../b", "/..", "/a/.", "/a/%2e%2E/b", "/a/.%2e", "/a%2fb", "/a\\..\\b", "/a%5Cb", "/a%00", "/./a",
        ] {
            #expect(leaves(path), "\(path)")
        }
        for path in ["/a/b", "/", "/a..b/c", "/...", "/a/.b", "/%41", "/a/%2", "/a?../b", "/.well-known/x"] {
            #expect(!leaves(path), "\(path)")
        }
    }
}
