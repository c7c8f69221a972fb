import AuditMonitor
import CloudModel
import Credentials
import Testing

/// Runs one login through a capture as the gateway's loop does.
struct Login {
    var rule: LoginRule
    var authorization: String?
    var requestEncoding: String?
    var body: [UInt8] = []
    /// In pieces of this size.
    var pieceSize = 7
    var requestIsWhole = true
    var status: UInt16? = 200
    var fields: [(String, String)] = []
    var responseBody: [UInt8] = []
    var ending = LoginCapture.Ending.responded(complete: true)
    var path = "/login"
    var userAgent = "curl/8"

    static let tagger = SecretTagger(key: Array(0..<32))

    func event() -> AuditEvent {
        let capture = LoginCapture(rule: rule, tagger: Self.tagger)
        withBytes(authorization) { authorization in
            withBytes(requestEncoding) { capture.takeRequestHead(authorization: authorization, contentEncoding: $0) }
        }
        inPieces(body) { capture.takeRequestBody($0) }
        capture.endRequest(complete: requestIsWhole)
        if let status {
            capture.takeResponseStatus(status)
            for (name, value) in fields {
                Array(name.utf8).withUnsafeBytes { name in
                    Array(value.utf8).withUnsafeBytes { capture.takeResponseField(name: name, value: $0) }
                }
            }
            inPieces(responseBody) { if capture.wantsResponseBody { capture.takeResponseBody($0) } }
        }
        let context = LoginContext(
            requestID: RequestID(high: 1, low: 2), observer: "edge", service: "web", consumer: "acme",
            sourceAddress: "192.0.2.1", userAgent: userAgent, method: "POST", path: path,
            receivedAt: Timestamp(microseconds: 1), forwardedAt: Timestamp(microseconds: 2),
            respondedAt: Timestamp(microseconds: 3))
        return capture.event(context, ending)
    }

    private func withBytes(_ text: String?, _ body: (UnsafeRawBufferPointer?) -> Void) {
        guard let text else { return body(nil) }
        Array(text.utf8).withUnsafeBytes { body($0) }
    }

    private func inPieces(_ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) -> Void) {
        for start in stride(from: 0, to: bytes.count, by: pieceSize) {
            bytes[start..<min(start + pieceSize, bytes.count)].withUnsafeBytes { body($0) }
        }
    }
}

@Suite struct BasicAuthorizationTests {
    private func event(_ authorization: String?) -> AuditEvent {
        Login(rule: LoginRule(path: "/login", principal: .basicAuthorization), authorization: authorization).event()
    }

    private func basic(_ text: String) -> String { "Basic " + Base64.encoded(Array(text.utf8), .standard) }

    @Test func userAndPassword() {
        let event = event(basic("Aladdin:open sesame"))
        #expect(event.principal == "Aladdin")
        #expect(event.credentialKind == .basic)
        #expect(event.credentialTag == Login.tagger.tag(of: "open sesame"))
        #expect(event.outcome == .success && event.reason == "")
    }

    @Test func thePasswordMayHaveColons() {
        #expect(event(basic("a:b:c:")).credentialTag == Login.tagger.tag(of: "b:c:"))
    }

    @Test func thePasswordMayBeEmpty() {
        let event = event(basic("a:"))
        #expect(event.principal == "a" && event.credentialTag == Login.tagger.tag(of: ""))
    }

    @Test func textsAreUTF8() {
        #expect(event(basic("jürgen:pässword")).principal == "jürgen")
        // ISO 8859-1, as some clients still send: not readable, and not the end of the world.
        let latin = "Basic " + Base64.encoded([0x6A, 0xFC, 0x3A, 0x70], .standard)
        #expect(event(latin).principal == "j\u{FFFD}")
    }

    @Test(arguments: ["basic ", "BASIC   ", "bAsIc "])
    func theSchemeIsReadInAnyCase(_ scheme: String) {
        #expect(event(scheme + Base64.encoded(Array("a:b".utf8), .standard)).principal == "a")
    }

    @Test func paddingMayBeLeftOut() { #expect(event("Basic YTpi").principal == "a") }

    @Test(arguments: [
        "Basic", "Basic ", "Basic !!!!", "Basic YQ=", "Basic YQ==", "Basic YTpi YTpi", "Basic YTpi\u{E9}",
    ])
    func malformed(_ value: String) {
        let event = event(value)
        #expect(event.principal == "" && event.credentialTag == nil)
        #expect(event.credentialKind == .basic)
        #expect(event.reason == "malformed-authorization")
    }

    @Test func anotherSchemeIsAToken() {
        let event = event("Bearer abc")
        #expect(event.credentialKind == .token && event.credentialTag == Login.tagger.tag(of: "abc"))
        #expect(event.reason == "malformed-authorization")
    }

    @Test func noneAtAll() {
        #expect(event(nil).reason == "no-authorization")
        #expect(event(nil).credentialKind == .none)
        #expect(event(basic(":x")).reason == "principal-missing")
    }
}

@Suite struct FormTests {
    private let rule = LoginRule(path: "/login", principal: .form(field: "user", secret: "password"))

    private func event(_ body: String, whole: Bool = true) -> AuditEvent {
        Login(rule: rule, body: Array(body.utf8), requestIsWhole: whole).event()
    }

    @Test func userAndPassword() {
        let event = event("csrf=1&user=alice&password=p%26w%3D+1&x")
        #expect(event.principal == "alice")
        #expect(event.credentialKind == .password)
        #expect(event.credentialTag == Login.tagger.tag(of: "p&w= 1"))
        #expect(event.reason == "")
    }

    @Test func namesAndValuesAreDecoded() {
        #expect(event("us%65r=al%C3%AFce%40example.org&password=").principal == "alïce@example.org")
        #expect(event("user=50%&password=%zz").principal == "50%")
        #expect(event("user=50%&password=%zz").credentialTag == Login.tagger.tag(of: "%zz"))
        #expect(event("user=a=b").principal == "a=b")
    }

    @Test func theFirstOfSeveralCountsAndIsSaid() {
        let event = event("user=alice&user=bob&password=1&password=2")
        #expect(event.principal == "alice" && event.reason == "principal-repeated")
        #expect(event.credentialTag == Login.tagger.tag(of: "1"))
    }

    @Test(arguments: ["", "user=", "user", "User=a", "xuser=a", "password=1", "{\"user\":\"a\"}"])
    func aMissingPrincipalIsSaid(_ body: String) {
        #expect(event(body).principal == "" && event(body).reason == "principal-missing")
    }

    @Test func whatIsCutOffIsSaid() {
        let long = event("user=alice&junk=" + String(repeating: "x", count: 20_000) + "&password=secret")
        #expect(long.principal == "alice" && long.reason == "request-truncated")
        #expect(long.credentialTag == nil && long.credentialKind == .none)
        // Half a secret would be a tag of something that nobody presented.
        let half = event("user=alice&password=sec", whole: false)
        #expect(half.credentialTag == nil && half.reason == "request-truncated")
        #expect(event("password=a&user=ali", whole: false).principal == "")
    }

    @Test func anEncodedBodyIsSaid() {
        let event = Login(rule: rule, requestEncoding: "gzip", body: Array("user=alice".utf8)).event()
        #expect(event.principal == "" && event.reason == "request-encoded")
        let identity = Login(rule: rule, requestEncoding: "Identity", body: Array("user=alice".utf8)).event()
        #expect(identity.principal == "alice")
    }

    @Test func aSecretThatNoRuleNamesIsNotRead() {
        let rule = LoginRule(path: "/login", principal: .form(field: "user", secret: nil))
        let event = Login(rule: rule, body: Array("user=a&password=secret".utf8)).event()
        #expect(event.credentialTag == nil && event.credentialKind == .none)
    }
}

@Suite struct JSONTests {
    private let rule = LoginRule(path: "/login", principal: .json(field: "user", secret: "password"))

    private func event(_ body: String, whole: Bool = true) -> AuditEvent {
        Login(rule: rule, body: Array(body.utf8), requestIsWhole: whole).event()
    }

    @Test func userAndPassword() {
        let event = event(#" { "user" : "alice", "password":"p\"w\\ 1", "n":[1,{"user":"eve"}] } "#)
        #expect(event.principal == "alice")
        #expect(event.credentialTag == Login.tagger.tag(of: "p\"w\\ 1"))
        #expect(event.credentialKind == .password && event.reason == "")
    }

    @Test func onlyTopLevelFieldsCount() {
        #expect(event(#"{"a":{"user":"eve"},"b":[{"user":"mallory"}]}"#).reason == "principal-missing")
        #expect(event(#"{"a":{"user":"eve"},"user":"alice"}"#).principal == "alice")
    }

    @Test func escapes() {
        #expect(event(#"{"us\u0065r":"al\u00efce\u0040x"}"#).principal == "alïce@x")
        #expect(event(#"{"user":"\ud83d\ude00"}"#).principal == "\u{1F600}")
        #expect(event(#"{"user":"\ud83d"}"#).principal == "\u{FFFD}")
        #expect(event(#"{"user":"\ude00\ud83d x"}"#).principal == "\u{FFFD}\u{FFFD} x")
        #expect(event(#"{"user":"a\/b"}"#).principal == "a/b")
    }

    @Test func theLastOfSeveralCountsAndIsSaid() {
        let event = event(#"{"user":"alice","password":"1","user":"bob","password":"2"}"#)
        #expect(event.principal == "bob" && event.reason == "principal-repeated")
        #expect(event.credentialTag == Login.tagger.tag(of: "2"))
    }

    @Test(arguments: [("42", "42"), ("-1.5e+3", "-1.5e+3"), ("true", "true")])
    func numbersAreTakenAsWritten(_ json: String, _ principal: String) {
        #expect(event("{\"user\":\(json)}").principal == principal)
    }

    @Test(arguments: ["null", "{}", "[]", "[\"alice\"]", "\"\""])
    func whatIsNoTextIsNoPrincipal(_ json: String) {
        #expect(event("{\"user\":\(json)}").principal == "")
        #expect(event("{\"user\":\(json)}").reason == "principal-missing")
    }

    @Test(arguments: [
        "", "[]", "\"user\"", "user=alice", "{user:1}", "{\"user\":}", "{\"user\":\"a\",}", "{\"a\":[1,]}",
        "{\"a\":{\"b\":}}", "{\"a\":{\"b\":1,}}", "{\"a\":01}", "{\"a\":1.}", "{\"a\":+1}", "{\"a\":\"\u{1}\"}",
        "{\"a\":\"\\x\"}", "{\"a\":\"\\u12g4\"}", "{\"a\":tru}", "{\"a\":[}", "{\"a\":[1}}", "{} x", "{\"a\" 1}",
        "{\"a\":" + String(repeating: "[", count: 100) + String(repeating: "]", count: 100) + "}",
    ])
    func whatIsNotJSONIsSaid(_ body: String) { #expect(event(body).reason == "request-not-json", "\(body)") }

    @Test func depthIsBoundedButUsual() {
        let nested = String(repeating: "[", count: 60) + String(repeating: "]", count: 60)
        #expect(event("{\"a\":\(nested),\"user\":\"alice\"}").principal == "alice")
    }

    @Test func whatIsCutOffIsSaid() {
        let long = event("{\"user\":\"alice\",\"junk\":\"" + String(repeating: "x", count: 20_000) + "\"}")
        #expect(long.principal == "alice" && long.reason == "request-truncated")
        let half = event(#"{"user":"alice","password":"sec"#, whole: false)
        #expect(half.principal == "alice" && half.credentialTag == nil && half.reason == "request-truncated")
        #expect(event(#"{"user":4"#, whole: false).principal == "")
    }

    /// Nothing that is sent makes the scanner trap or read beyond its bytes.
    @Test(arguments: 0..<60 as Range<UInt64>)
    func survivesAnything(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let valid = Array(#"{"a":[1,{"b":null}],"user":"\ud83d\ude00x","password":"p","c":-1.5e3,"d":true}"#.utf8)
        for _ in 0..<300 {
            var body = valid
            for _ in 0..<Int.random(in: 1..<6, using: &random) {
                let position = Int.random(in: 0..<body.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: body[position] = UInt8.random(in: 0...255, using: &random)
                case 1: body.remove(at: position)
                default: body.insert(Array(#"{}[]",:\u"#.utf8).randomElement(using: &random)!, at: position)
                }
            }
            let event = Login(rule: rule, body: body, pieceSize: 1_000).event()
            #expect(event.principal.utf8.count <= PrintableText.longestText + 3)
        }
    }
}
